"""The options of a tunnel that only the relay can fulfil, and what can be wrong with them."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator, Sequence

from frp_wrapper.config import TunnelConfig

__all__ = ["DATAGRAMS", "faults", "needs_addresses", "wanted"]

DATAGRAMS = frozenset({"udp", "sudp"})
"""Types of tunnel that carry datagrams."""
_BY_ADDRESS = ("allow", "deny", "visitor_connection_rate")
_LIMITS = ("max_connections", "connection_rate")
_MOST_NETWORKS = 10_000
_NAMELESS = {
    "http": "visitors of an http tunnel share connections, so one who is refused would come in by another's; "
    "ask visitors for http_user and http_password, or use an https tunnel",
    "xtcp": "frpc does not tell the addresses of an xtcp tunnel's visitors; use secret_key and allow_users",
}


def wanted(config: TunnelConfig) -> list[str]:
    """Give the options that are set and that only the relay can fulfil."""
    return [option for option in (*_BY_ADDRESS, *_LIMITS) if getattr(config, option)]


def needs_addresses(config: TunnelConfig) -> list[str]:
    """Give the options that are set and need the addresses of visitors."""
    return [option for option in _BY_ADDRESS if getattr(config, option)]


def faults(config: TunnelConfig) -> Iterator[str]:
    """Give every fault of these options as a sentence."""
    for option in ("allow", "deny"):
        yield from _network_faults(option, getattr(config, option))
    if config.max_connections is not None and config.max_connections < 1:
        yield f"max_connections {config.max_connections} lets nobody in; at least 1 is meant, or None for no limit"
    for option in ("connection_rate", "visitor_connection_rate"):
        rate = getattr(config, option)
        if rate is not None and not (rate > 0 and math.isfinite(rate)):
            yield f"{option} {rate:g} is not a number of new connections a second above 0"
    yield from _place_faults(config)


def _place_faults(config: TunnelConfig) -> Iterator[str]:
    """Give what is wrong with where the relay would stand."""
    options = " and ".join(wanted(config))
    is_relayed = config.meter == "relay" or bool(options and config.meter == "auto")
    if options and config.meter in ("passive", "off"):
        yield f"{options} can only be had through the relay, which meter={config.meter!r} rules out: leave meter out, or {options}"
    if (options or config.meter == "relay") and config.plugin is not None:
        what = options or "meter='relay'"
        yield f"{what} needs a local service for the relay to stand before, and a plugin has none: leave {what} out"
    if is_relayed and config.tunnel_type in DATAGRAMS and config.health_check is not None:
        yield (
            "health_check asks by TCP, which the relay of a tunnel of datagrams does not answer: "
            f"leave health_check out, or {options or 'meter'}"
        )
    for option in needs_addresses(config):
        if config.tunnel_type in _NAMELESS:
            yield f"{option} cannot be had: {_NAMELESS[config.tunnel_type]}"
    if config.tunnel_type in DATAGRAMS and config.proxy_protocol == "v1":
        yield "proxy_protocol 'v1' has no form for datagrams, so frpc would send nothing; use 'v2'"


def _network_faults(option: str, networks: Sequence[str]) -> Iterator[str]:
    if len(networks) > _MOST_NETWORKS:
        yield f"{option} has {len(networks)} networks; {_MOST_NETWORKS} are the most, larger ones hold several"
        return
    for text in networks:
        try:
            ipaddress.ip_network(text)
        except ValueError:
            yield f"{option} has {text!r}, which is not an address or network such as {_meant(text)}"


def _meant(text: str) -> str:
    try:
        return repr(str(ipaddress.ip_network(text, strict=False)))
    except ValueError:
        return "'203.0.113.9', '10.0.0.0/8' or '2001:db8::/32' (no name, no port)"
