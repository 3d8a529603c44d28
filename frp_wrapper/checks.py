"""Everything that is wrong with a configuration, found before any program starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import urlsplit

from frp_wrapper import relay_options
from frp_wrapper._type_faults import type_faults
from frp_wrapper.config import ClientConfig, ServerConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError

__all__ = ["check", "faults_of"]

Config = TunnelConfig | VisitorConfig | ClientConfig | ServerConfig

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}\Z")
_HOST = re.compile(r"[^\s/@,]{1,253}\Z")
_DOMAIN = re.compile(r"(\*\.)?[A-Za-z0-9_.:\[\]-]{1,253}\Z")
_SUBDOMAIN = re.compile(r"[A-Za-z0-9_-]{1,63}\Z")
_BANDWIDTH = re.compile(r"\d+(\.\d+)?(MB|KB)\Z")
_PORT_RANGE = re.compile(r"\d{1,5}(-\d{1,5})?\Z")

_ONLY_FOR = {
    "remote_port": ("tcp", "udp"),
    "custom_domains": ("http", "https", "tcpmux"),
    "subdomain": ("http", "https", "tcpmux"),
    "locations": ("http",),
    "http_user": ("http", "tcpmux"),
    "http_password": ("http", "tcpmux"),
    "host_header_rewrite": ("http",),
    "request_headers": ("http",),
    "response_headers": ("http",),
    "route_by_http_user": ("http", "tcpmux"),
    "multiplexer": ("tcpmux",),
    "secret_key": ("stcp", "sudp", "xtcp"),
    "allow_users": ("stcp", "sudp", "xtcp"),
    "disable_assisted_addrs": ("xtcp",),
    "group": ("tcp", "http", "https", "tcpmux"),
    "group_key": ("tcp", "http", "https", "tcpmux"),
}
"""Which types of tunnel have an option; frpc would drop it silently for the others."""

_PORT_FIELDS = (
    "bind_port",
    "vhost_http_port",
    "vhost_https_port",
    "tcpmux_httpconnect_port",
    "kcp_bind_port",
    "quic_bind_port",
    "dashboard_port",
)


def check(*configs: Config) -> None:
    """Refuse what frp would refuse, misunderstand, or silently ignore.

    Raises:
        ConfigError: With every fault of every configuration.
    """
    faults = [fault for config in configs for fault in faults_of(config)]
    if faults:
        count = f"{len(faults)} faults" if len(faults) > 1 else "a fault"
        raise ConfigError(f"the configuration has {count}", faults=faults, hint="Correct them and try again.")


def faults_of(config: Config) -> list[str]:
    """Give every fault of one configuration as a sentence; empty: none."""
    if wrong := type_faults(config):
        return wrong  # what has the wrong type cannot be looked at closer
    if isinstance(config, TunnelConfig):
        return [f"tunnel {config.name!r}: {fault}" for fault in _tunnel_faults(config)]
    if isinstance(config, VisitorConfig):
        return [f"visitor {config.name!r}: {fault}" for fault in _visitor_faults(config)]
    if isinstance(config, ClientConfig):
        return list(_client_faults(config))
    return list(_server_faults(config))


def _tunnel_faults(config: TunnelConfig) -> Iterator[str]:
    yield from _name_faults(config.name)
    yield from _misplaced_options(config)
    yield from _target_faults(config)
    yield from _address_faults(config)
    yield from _transport_faults(config)
    yield from relay_options.faults(config)


def _name_faults(name: str) -> Iterator[str]:
    if not _NAME.match(name):
        yield "name may have letters, digits, '.', '_' and '-' only, 1 to 100 of them: frp's log cannot be read otherwise"


def _misplaced_options(config: TunnelConfig) -> Iterator[str]:
    for option, types in _ONLY_FOR.items():
        if getattr(config, option) and config.tunnel_type not in types:
            yield f"{option} is for {', '.join(types)} tunnels, not for {config.tunnel_type}"


def _target_faults(config: TunnelConfig) -> Iterator[str]:
    if config.plugin is None and config.local_port is None:
        yield "local_port is missing: where does the local service listen?"
    if config.plugin is not None and config.local_port is not None:
        yield "local_port and plugin exclude each other: the plugin is the service"
    yield from _port_faults("local_port", config.local_port)
    if not _HOST.match(config.local_host):
        yield f"local_host {config.local_host!r} is not a host name or address"
    check = config.health_check
    if check is not None and check.type == "http" and not (check.path or "").startswith("/"):
        yield "health_check.path is missing: an http check needs a path that begins with '/'"


def _address_faults(config: TunnelConfig) -> Iterator[str]:
    yield from _port_faults("remote_port", config.remote_port or None)
    if config.tunnel_type in ("http", "https", "tcpmux") and not (config.custom_domains or config.subdomain):
        yield f"type {config.tunnel_type} needs custom_domains or subdomain: how do visitors ask for it?"
    for domain in config.custom_domains:
        if not _DOMAIN.match(domain):
            yield f"custom_domains has {domain!r}, which is not a domain (no scheme, no path)"
    if config.subdomain and not _SUBDOMAIN.match(config.subdomain):
        yield f"subdomain {config.subdomain!r} may have letters, digits, '_' and '-' only; the server adds the rest"
    for location in config.locations:
        if not location.startswith("/"):
            yield f"locations has {location!r}, which does not begin with '/'"
    if config.tunnel_type == "tcpmux" and config.multiplexer is None:
        yield "multiplexer is missing: for tcpmux it is 'httpconnect'"
    if config.tunnel_type in ("stcp", "sudp", "xtcp") and not config.secret_key:
        yield f"secret_key is missing: without it anybody on the server could visit this {config.tunnel_type} tunnel"


def _transport_faults(config: TunnelConfig) -> Iterator[str]:
    if config.bandwidth_limit is not None and not _BANDWIDTH.match(config.bandwidth_limit):
        yield f"bandwidth_limit {config.bandwidth_limit!r} is not a number with KB or MB, such as '500KB'"
    if config.group_key and not config.group:
        yield "group_key is given without group"
    if config.http_password and not config.http_user:
        yield "http_password is given without http_user"


def _visitor_faults(config: VisitorConfig) -> Iterator[str]:
    yield from _name_faults(config.name)
    if not _NAME.match(config.server_name):
        yield f"server_name {config.server_name!r} cannot be the name of a tunnel"
    if not config.secret_key:
        yield "secret_key is missing: it is the one of the tunnel"
    if config.bind_port != -1:
        yield from _port_faults("bind_port", config.bind_port)
    if not _HOST.match(config.bind_host):
        yield f"bind_host {config.bind_host!r} is not an address"


def _client_faults(config: ClientConfig) -> Iterator[str]:
    if not _HOST.match(config.server):
        yield f"server {config.server!r} is not a host name or address (no scheme, no port, no path)"
    yield from _port_faults("port", config.port)
    if config.user and not _NAME.match(config.user):
        yield "user may have letters, digits, '.', '_' and '-' only"
    if config.auth_token and config.oidc:
        yield "auth_token and oidc exclude each other"
    if config.auth_token and not config.auth_token.isprintable():
        yield "auth_token has characters that cannot be printed: was it read with its line end?"
    if config.server_dashboard is not None and not _is_address(config.server_dashboard):
        yield (
            "server_dashboard is not an address such as http://user:password@host:7500 (special characters of the "
            "password as %XX)"
        )


def _is_address(url: str) -> bool:
    """Say whether frps's dashboard could be there; a password in it must be in no message."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and not set(" ?#") & set(url)
    is_whole = "@" not in parts.path  # else a "/" in the password has cut the address short
    return is_plain and is_whole and parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0


def _server_faults(config: ServerConfig) -> Iterator[str]:
    for name in _PORT_FIELDS:
        yield from _port_faults(name, getattr(config, name) or None)
    if not _HOST.match(config.bind_host):
        yield f"bind_host {config.bind_host!r} is not an address"
    for ports in config.allow_ports:
        if not _PORT_RANGE.match(ports):
            yield f"allow_ports has {ports!r}; a port or a range such as '6000-6100' is meant"
    if config.dashboard_port is not None and not (config.dashboard_user and config.dashboard_password):
        yield "dashboard_port needs dashboard_user and dashboard_password: without them it is open to every local program"


def _port_faults(name: str, port: int | None) -> Iterator[str]:
    if port is not None and not (type(port) is int and 1 <= port <= 65535):
        yield f"{name} {port!r} is not a port (a whole number from 1 to 65535)"
