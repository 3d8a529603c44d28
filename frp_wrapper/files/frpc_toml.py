"""frp's own file since 0.52, as TOML or JSON: its keys in the spelling of our configurations."""

from __future__ import annotations

import glob
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frp_wrapper.errors import ConfigError
from frp_wrapper.files.setup import Draft, Table

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CLIENT = {
    "serverAddr": "server",
    "serverPort": "port",
    "user": "user",
    "clientID": "client_id",
    "dnsServer": "dns_server",
    "udpPacketSize": "udp_packet_size",
    "natHoleStunServer": "nat_hole_stun_server",
    "metadatas": "metadatas",
    "auth.token": "auth_token",
    "auth.oidc": "oidc",
    "transport.protocol": "protocol",
    "transport.wireProtocol": "wire_protocol",
    "transport.tcpMux": "tcp_mux",
    "transport.tcpMuxKeepaliveInterval": "tcp_mux_keepalive_interval",
    "transport.poolCount": "pool_count",
    "transport.dialServerTimeout": "dial_timeout",
    "transport.heartbeatInterval": "heartbeat_interval",
    "transport.heartbeatTimeout": "heartbeat_timeout",
    "transport.proxyURL": "proxy_url",
    "transport.connectServerLocalIP": "connect_server_local_ip",
    "transport.tls": "tls",
    "log.level": "log_level",
}
_OURS = ("log", "webServer", "loginFailExit", "store", "auth.method")
"""What this package sets itself."""
_TLS = {"disable_custom_tlsfirst_byte": "disable_custom_first_byte"}
_OIDC = {"token_endpoint_url": "token_endpoint_url"}
_PROXY = {
    "name": "name",
    "type": "tunnel_type",
    "localIP": "local_host",
    "localPort": "local_port",
    "remotePort": "remote_port",
    "customDomains": "custom_domains",
    "subdomain": "subdomain",
    "locations": "locations",
    "httpUser": "http_user",
    "httpPassword": "http_password",
    "hostHeaderRewrite": "host_header_rewrite",
    "requestHeaders.set": "request_headers",
    "responseHeaders.set": "response_headers",
    "routeByHTTPUser": "route_by_http_user",
    "multiplexer": "multiplexer",
    "secretKey": "secret_key",
    "allowUsers": "allow_users",
    "natTraversal.disableAssistedAddrs": "disable_assisted_addrs",
    "transport.useEncryption": "use_encryption",
    "transport.useCompression": "use_compression",
    "transport.bandwidthLimit": "bandwidth_limit",
    "transport.bandwidthLimitMode": "bandwidth_limit_mode",
    "transport.proxyProtocolVersion": "proxy_protocol",
    "loadBalancer.group": "group",
    "loadBalancer.groupKey": "group_key",
    "healthCheck": "health_check",
    "plugin": "plugin",
    "metadatas": "metadatas",
    "annotations": "annotations",
}
_VISITOR = {
    "name": "name",
    "type": "visitor_type",
    "serverName": "server_name",
    "serverUser": "server_user",
    "secretKey": "secret_key",
    "bindAddr": "bind_host",
    "bindPort": "bind_port",
    "protocol": "protocol",
    "keepTunnelOpen": "keep_tunnel_open",
    "maxRetriesAnHour": "max_retries_an_hour",
    "minRetryInterval": "min_retry_interval",
    "fallbackTo": "fallback_to",
    "fallbackTimeoutMs": "fallback_timeout_ms",
    "transport.useEncryption": "use_encryption",
    "transport.useCompression": "use_compression",
}


def draft(data: Table, folder: Path, read: Callable[[Path], Table]) -> Draft:
    """Read the tables of a file; faults are noted in the draft.

    Args:
        data: The file.
        folder: What ``includes`` are relative to.
        read: Reads an included file.
    """
    result = Draft(client={})
    proxies, visitors = data.pop("proxies", []), data.pop("visitors", [])
    for pattern in data.pop("includes", []):
        for name in sorted(glob.glob(str(folder / str(pattern)))):  # noqa: PTH207 - Path.glob takes no absolute ones
            _include(result, Path(name), read, proxies, visitors)
    start = data.pop("start", [])
    result.tunnels = [_proxy(result, table) for table in _chosen(proxies, start)]
    result.visitors = [_visitor(result, table) for table in _chosen(visitors, start)]
    result.client = _client(result, data)
    return result


def _include(result: Draft, file: Path, read: Callable[[Path], Table], proxies: Any, visitors: Any) -> None:
    try:
        tables = read(file)
    except ConfigError as exc:
        result.faults.append(exc.what)
        return
    proxies += tables.get("proxies", [])
    visitors += tables.get("visitors", [])


def _chosen(tables: list[Table], start: list[str]) -> list[Table]:
    """Leave out what is not to be started."""
    return [
        dict(table)
        for table in tables
        if table.pop("enabled", True) and (not start or table.get("name") in start)
    ]


def _client(result: Draft, data: Table) -> Table:
    client = _renamed(data, _CLIENT)
    client.setdefault("server", "127.0.0.1")
    for key in _OURS:
        if (value := _take(data, key)) is not None:
            result.ignored[key] = value
    if client.get("log_level") in ("info", "warn", "error"):
        del client["log_level"]  # passive metering needs frpc's debug lines, and nobody reads its log here
    for name, words in (("tls", _TLS), ("oidc", _OIDC)):
        if name in client:
            client[name] = _snake_case(client[name], words)
    if rest := _without_empty(data):
        client["extra"] = rest
    return client


def _proxy(result: Draft, table: Table) -> Table:
    proxy = _renamed(table, _PROXY)
    for name in ("health_check", "plugin"):
        if name in proxy:
            proxy[name] = _snake_case(proxy[name], {})
    if isinstance(headers := proxy.get("plugin", {}).get("request_headers"), Mapping):
        proxy["plugin"]["request_headers"] = headers.get("set", {})
    if isinstance(headers := proxy.get("health_check", {}).get("http_headers"), list):
        proxy["health_check"]["http_headers"] = {one.get("name"): one.get("value") for one in headers}
    if proxy.get("plugin"):
        proxy.pop("local_host", None)
    _note_unknown(result, "proxy", proxy, table)
    return proxy


def _visitor(result: Draft, table: Table) -> Table:
    visitor = _renamed(table, _VISITOR)
    _note_unknown(result, "visitor", visitor, table)
    return visitor


def _note_unknown(result: Draft, kind: str, made: Table, rest: Table) -> None:
    for key in _without_empty(rest):
        result.faults.append(f"{kind} {made.get('name')!r}: there is no option {key}")


def _renamed(data: Table, names: Mapping[str, str]) -> Table:
    """Take the known keys out of a table, under our names for them."""
    taken = {ours: _take(data, frps) for frps, ours in names.items()}
    return {name: value for name, value in taken.items() if value is not None}


def _take(data: Table, path: str) -> Any:
    first, _, rest = path.partition(".")
    if not rest:
        return data.pop(first, None)
    inner = data.get(first)
    return _take(inner, rest) if isinstance(inner, dict) else None


def _snake_case(table: Any, words: Mapping[str, str]) -> Any:
    if not isinstance(table, dict):
        return table
    names = {key: _WORD.sub("_", key).lower() for key in table}
    return {words.get(names[key], names[key]): value for key, value in table.items()}


def _without_empty(data: Table) -> Table:
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in data.items()}
    return {key: value for key, value in kept.items() if value != {}}
