"""Ports of this machine that no tunnel may lead to, because what listens there is ours."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
from collections.abc import Mapping

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConfigError

__all__ = ["allow", "check", "refuse"]

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_lock = threading.Lock()
_refused: Mapping[int, str] = {}


def refuse(port: int, host: str) -> None:
    """Refuse tunnels to the dashboard that listens at an address of this machine, from now on."""
    global _refused  # noqa: PLW0603 - replaced, not changed: a check reads it without the lock
    with _lock:
        _refused = {**_refused, port: host}


def allow(port: int) -> None:
    """Undo `refuse`; a port that is not refused is no error."""
    global _refused  # noqa: PLW0603
    with _lock:
        _refused = {other: host for other, host in _refused.items() if other != port}


def check(config: TunnelConfig) -> None:
    """Refuse a tunnel that leads to a dashboard of this process.

    Raises:
        ConfigError: It does; the reason is ``own_dashboard_port``.
    """
    for host, port in _targets(config):
        listening = _refused.get(port)
        if listening is not None and leads_to(host, listening):
            raise ConfigError(
                f"tunnel {config.name!r} leads to {host}:{port}, which is this program's own dashboard;"
                " exposing it would give it away",
                reason="own_dashboard_port",
                hint="Expose the port of your service. To reach the dashboard from elsewhere, use ssh -L.",
            )


def leads(config: TunnelConfig, host: str, port: int) -> bool:
    """Say whether a tunnel leads to what listens at an address and port of this machine."""
    return any(to == port and leads_to(target, host) for target, to in _targets(config))


def leads_to(target: str, listening: str) -> bool:
    """Say whether who connects to ``target`` reaches what listens at the address ``listening`` of this machine.

    Looks names up, so it may take a while: ask only where the port is the same.
    """
    addresses = _addresses(target)
    ours = ipaddress.ip_address(listening)
    if ours.is_unspecified:
        return any(_is_of_this_machine(address) for address in addresses)
    return any(address == ours or address.is_unspecified for address in addresses)


def _targets(config: TunnelConfig) -> list[tuple[str, int]]:
    if config.tunnel_type in ("udp", "sudp"):
        return []
    if config.local_port is not None:
        return [(config.local_host, config.local_port)]
    host, _, port = str(getattr(config.plugin, "local_addr", "")).rpartition(":")
    return [(host.strip("[]") or "127.0.0.1", int(port))] if port.isdigit() else []


def _addresses(host: str) -> list[Address]:
    found: list[Address] = []
    with contextlib.suppress(OSError, ValueError):
        for *_, address in socket.getaddrinfo(host.strip("[]"), None, type=socket.SOCK_STREAM):
            parsed = ipaddress.ip_address(str(address[0]).partition("%")[0])
            found.append(getattr(parsed, "ipv4_mapped", None) or parsed)
    return found


def _is_of_this_machine(address: Address) -> bool:
    if address.is_loopback or address.is_unspecified:
        return True
    with socket.socket(socket.AF_INET if address.version == 4 else socket.AF_INET6) as probe:
        try:
            probe.bind((str(address), 0))  # only an address of this machine can be bound
        except OSError:
            return False
    return True
