"""frp's old file, ``frpc.ini``: read by turning it into the tables of an ``frpc.toml``."""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from frp_wrapper.errors import ConfigError
from frp_wrapper.files import frpc_toml
from frp_wrapper.files.setup import Draft, Table

_COMMON = {
    "server_addr": "serverAddr",
    "server_port": "serverPort",
    "token": "auth.token",
    "user": "user",
    "client_id": "clientID",
    "dns_server": "dnsServer",
    "udp_packet_size": "udpPacketSize",
    "nat_hole_stun_server": "natHoleStunServer",
    "protocol": "transport.protocol",
    "tcp_mux": "transport.tcpMux",
    "tcp_mux_keepalive_interval": "transport.tcpMuxKeepaliveInterval",
    "pool_count": "transport.poolCount",
    "dial_server_timeout": "transport.dialServerTimeout",
    "dial_server_keepalive": "transport.dialServerKeepalive",
    "heartbeat_interval": "transport.heartbeatInterval",
    "heartbeat_timeout": "transport.heartbeatTimeout",
    "http_proxy": "transport.proxyURL",
    "connect_server_local_ip": "transport.connectServerLocalIP",
    "tls_enable": "transport.tls.enable",
    "tls_cert_file": "transport.tls.certFile",
    "tls_key_file": "transport.tls.keyFile",
    "tls_trusted_ca_file": "transport.tls.trustedCaFile",
    "tls_server_name": "transport.tls.serverName",
    "disable_custom_tls_first_byte": "transport.tls.disableCustomTLSFirstByte",
    "oidc_client_id": "auth.oidc.clientID",
    "oidc_client_secret": "auth.oidc.clientSecret",
    "oidc_audience": "auth.oidc.audience",
    "oidc_scope": "auth.oidc.scope",
    "oidc_token_endpoint_url": "auth.oidc.tokenEndpointURL",
    "log_level": "log.level",
    "log_file": "log.to",
    "admin_addr": "webServer.addr",
    "admin_port": "webServer.port",
    "admin_user": "webServer.user",
    "admin_pwd": "webServer.password",
    "start": "start",
    "includes": "includes",
}
_OURS = (
    "log_way", "log_max_days", "disable_log_color", "login_fail_exit", "assets_dir", "pprof_enable",
    "authentication_method",
)  # fmt: skip
_SECTION = {
    "type": "type",
    "local_ip": "localIP",
    "local_port": "localPort",
    "remote_port": "remotePort",
    "custom_domains": "customDomains",
    "subdomain": "subdomain",
    "locations": "locations",
    "http_user": "httpUser",
    "http_pwd": "httpPassword",
    "host_header_rewrite": "hostHeaderRewrite",
    "route_by_http_user": "routeByHTTPUser",
    "multiplexer": "multiplexer",
    "sk": "secretKey",
    "allow_users": "allowUsers",
    "use_encryption": "transport.useEncryption",
    "use_compression": "transport.useCompression",
    "bandwidth_limit": "transport.bandwidthLimit",
    "bandwidth_limit_mode": "transport.bandwidthLimitMode",
    "proxy_protocol_version": "transport.proxyProtocolVersion",
    "group": "loadBalancer.group",
    "group_key": "loadBalancer.groupKey",
    "health_check_type": "healthCheck.type",
    "health_check_timeout_s": "healthCheck.timeoutSeconds",
    "health_check_max_failed": "healthCheck.maxFailed",
    "health_check_interval_s": "healthCheck.intervalSeconds",
    "health_check_url": "healthCheck.path",
    "server_name": "serverName",
    "server_user": "serverUser",
    "bind_addr": "bindAddr",
    "bind_port": "bindPort",
    "protocol": "protocol",
    "keep_tunnel_open": "keepTunnelOpen",
    "max_retries_an_hour": "maxRetriesAnHour",
    "min_retry_interval": "minRetryInterval",
    "fallback_to": "fallbackTo",
    "fallback_timeout_ms": "fallbackTimeoutMs",
}
_PLUGIN = {
    "plugin": "type",
    "plugin_http_user": "httpUser",
    "plugin_http_passwd": "httpPassword",
    "plugin_user": "username",
    "plugin_passwd": "password",
    "plugin_local_path": "localPath",
    "plugin_strip_prefix": "stripPrefix",
    "plugin_unix_path": "unixPath",
    "plugin_local_addr": "localAddr",
    "plugin_host_header_rewrite": "hostHeaderRewrite",
    "plugin_crt_path": "crtPath",
    "plugin_key_path": "keyPath",
}
_LISTS = ("customDomains", "locations", "allowUsers", "start", "includes")
_NUMBERS = ("dialServerKeepalive",)
"""What goes to frpc as it is, so that it must have the right type already."""
_MOST_PORTS = 1000


def draft(text: str, file: Path) -> Draft:
    """Read a file; faults are noted in the draft.

    Raises:
        ConfigError: It is no INI file.
    """
    parser = configparser.ConfigParser(
        interpolation=None, strict=False, delimiters=("=",), comment_prefixes=("#", ";"), default_section="\0"
    )
    parser.optionxform = str  # type: ignore[method-assign,assignment]  # names of headers and metadata keep their case
    try:
        parser.read_string(text, str(file))
    except configparser.Error as exc:
        raise ConfigError(
            f"{file} is not INI: {exc.message}", hint="Correct the place that is named."
        ) from exc
    faults: list[str] = []
    tables: Table = {"proxies": [], "visitors": []}
    for name in parser.sections():
        values = dict(parser[name])
        if name == "common":
            tables |= _common(values, faults)
        else:
            _add_section(tables, name, values, faults)
    result = frpc_toml.draft(tables, file.parent, lambda _: {})
    result.faults = faults + result.faults
    return result


def _common(values: dict[str, str], faults: list[str]) -> Table:
    metadatas = _prefixed(values, "meta_")
    table = _renamed(values, _COMMON)
    for key in _OURS:
        values.pop(key, None)
    faults += [f"[common]: there is no option {key}" for key in values]
    return table | ({"metadatas": metadatas} if metadatas else {})


def _add_section(tables: Table, name: str, values: dict[str, str], faults: list[str]) -> None:
    is_visitor = values.pop("role", "server") == "visitor"
    headers, metadatas = _prefixed(values, "header_"), _prefixed(values, "meta_")
    plugin_headers = _prefixed(values, "plugin_header_")
    plugin = _renamed(values, _PLUGIN)
    table = _renamed(values, _SECTION) | {"name": name}
    table |= {"requestHeaders": {"set": headers}} if headers else {}
    table |= {"metadatas": metadatas} if metadatas else {}
    if plugin:
        table["plugin"] = plugin | ({"requestHeaders": {"set": plugin_headers}} if plugin_headers else {})
    faults += [f"[{name}]: there is no option {key}" for key in values]
    if name.startswith("range:"):
        tables["proxies"] += _range(name.removeprefix("range:").strip(), table, faults)
    else:
        tables["visitors" if is_visitor else "proxies"].append(table)


def _range(name: str, table: Table, faults: list[str]) -> list[Table]:
    """Give the tunnels of a section that stands for many: ``name_0``, ``name_1``, ..."""
    local, remote = _ports(str(table.get("localPort", ""))), _ports(str(table.get("remotePort", "")))
    if not local or len(local) != len(remote):
        faults.append(
            f"[range:{name}]: local_port and remote_port must name as many ports, {_MOST_PORTS} at most"
        )
        return []
    pairs = enumerate(zip(local, remote, strict=True))
    return [
        table | {"name": f"{name}_{n}", "localPort": one, "remotePort": other} for n, (one, other) in pairs
    ]


def _ports(text: str) -> list[int]:
    ports: list[int] = []
    for part in text.split(","):
        first, _, last = part.strip().partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            return []
        ports += range(int(first), min(int(last or first), int(first) + _MOST_PORTS) + 1)
    return ports if len(ports) <= _MOST_PORTS else []


def _prefixed(values: dict[str, str], prefix: str) -> dict[str, str]:
    names = [key for key in values if key.startswith(prefix)]
    return {key.removeprefix(prefix): values.pop(key) for key in names}


def _renamed(values: dict[str, str], names: Mapping[str, str]) -> Table:
    table: Table = {}
    for ini, path in names.items():
        if ini in values:
            _put(table, path, values.pop(ini))
    return table


def _put(table: Table, path: str, text: str) -> None:
    first, _, rest = path.partition(".")
    if rest:
        _put(table.setdefault(first, {}), rest, text)
        return
    value: Any = text
    if first in _NUMBERS and text.isdecimal():
        value = int(text)
    if first in _LISTS:
        value = [part.strip() for part in text.split(",") if part.strip()]
    table[first] = value
