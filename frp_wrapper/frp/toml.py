"""Our configuration in frp's words: the keys of its TOML files and of its store API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from frp_wrapper.config import ClientConfig, HealthCheck, Plugin, TLSConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.frp.admin import AdminEndpoint
from frp_wrapper.relay_options import DATAGRAMS, needs_addresses
from frp_wrapper.sidecar.health_checks import CONNECT_PATH

__all__ = [
    "Version",
    "client_tables",
    "compact",
    "merged",
    "proxy_table",
    "render",
    "store_body",
    "visitor_table",
]

Version = tuple[int, int, int]
Table = dict[str, Any]

_SINCE: Mapping[str, Version] = {
    "client_id": (0, 67, 0),
    "wire_protocol": (0, 69, 0),
    "response_headers": (0, 58, 0),
    "disable_assisted_addrs": (0, 65, 0),
    "annotations": (0, 55, 0),
    "health_check.http_headers": (0, 56, 0),
    "the address of visitors of datagrams": (0, 63, 0),
    "plugin http2http": (0, 59, 0),
    "plugin tls2raw": (0, 60, 0),
    "plugin virtual_net": (0, 62, 0),
    "plugin.enable_http2": (0, 61, 0),
}
"""The first frp that knows an option; older ones end with an error when they meet it."""


def proxy_table(config: TunnelConfig, *, version: Version, local: tuple[str, int] | None = None) -> Table:
    """Give the ``[[proxies]]`` entry of a tunnel.

    Args:
        config: A tunnel without faults.
        version: Of the frpc that will read it.
        local: Where frpc shall connect to instead of the local service: a relay of ours.

    Raises:
        ConfigError: This frp does not know an option that is used.
    """
    _need(config, ("response_headers", "disable_assisted_addrs", "annotations"), version)
    if config.tunnel_type in DATAGRAMS and needs_addresses(config):
        _require("the address of visitors of datagrams", version)
    table: Table = {
        "name": config.name,
        "type": config.tunnel_type,
        "customDomains": list(config.custom_domains),
        "subdomain": config.subdomain,
        "locations": list(config.locations),
        "httpUser": config.http_user,
        "httpPassword": config.http_password,
        "hostHeaderRewrite": config.host_header_rewrite,
        "requestHeaders": _headers(config.request_headers),
        "responseHeaders": _headers(config.response_headers),
        "routeByHTTPUser": config.route_by_http_user,
        "multiplexer": config.multiplexer,
        "secretKey": config.secret_key,
        "allowUsers": list(config.allow_users),
        "natTraversal": {"disableAssistedAddrs": config.disable_assisted_addrs or None},
        "transport": _proxy_transport(config, through_relay=local is not None),
        "loadBalancer": {"group": config.group, "groupKey": config.group_key},
        "healthCheck": _health_check(config.health_check, version, through_relay=local is not None),
        "metadatas": dict(config.metadatas),
        "annotations": dict(config.annotations),
        "plugin": _plugin(config.plugin, version),
    }
    if config.tunnel_type in ("tcp", "udp"):
        table["remotePort"] = config.remote_port or 0
    if config.plugin is None:
        table["localIP"], table["localPort"] = local or (config.local_host, config.local_port)
    return compact(table)


def visitor_table(config: VisitorConfig) -> Table:
    """Give the ``[[visitors]]`` entry of a visitor without faults."""
    return compact(
        {
            "name": config.name,
            "type": config.visitor_type,
            "serverName": config.server_name,
            "serverUser": config.server_user,
            "secretKey": config.secret_key,
            "bindAddr": config.bind_host,
            "bindPort": config.bind_port,
            "protocol": config.protocol,
            "keepTunnelOpen": config.keep_tunnel_open or None,
            "maxRetriesAnHour": config.max_retries_an_hour,
            "minRetryInterval": config.min_retry_interval,
            "fallbackTo": config.fallback_to,
            "fallbackTimeoutMs": config.fallback_timeout_ms,
            "transport": {
                "useEncryption": config.use_encryption or None,
                "useCompression": config.use_compression or None,
            },
        }
    )


def store_body(table: Mapping[str, Any]) -> Table:
    """Give what the store API takes for a proxy or visitor: its keys in a block named like its type."""
    inner = {key: value for key, value in table.items() if key not in ("name", "type")}
    return {"name": table["name"], "type": table["type"], table["type"]: inner}


def client_tables(
    config: ClientConfig, *, admin: AdminEndpoint, store_path: str | None, version: Version
) -> Table:
    """Give the common part of frpc's configuration.

    Args:
        config: A client without faults.
        admin: Where frpc's own admin API shall listen.
        store_path: Where frpc keeps tunnels that are added while it runs; None: this frp has no store.
        version: Of the frpc that will read it.

    Raises:
        ConfigError: This frp does not know an option that is used.
    """
    _need(config, ("client_id", "wire_protocol"), version)
    tables = compact(
        {
            "serverAddr": config.server,
            "serverPort": config.port,
            "user": config.user or None,
            "clientID": config.client_id,
            "loginFailExit": False,  # trying again is better done by frpc than by restarting it
            "dnsServer": config.dns_server,
            "udpPacketSize": config.udp_packet_size,
            "natHoleStunServer": config.nat_hole_stun_server,
            "metadatas": dict(config.metadatas),
            "auth": _auth(config),
            "transport": _client_transport(config),
            "log": {"to": "console", "level": config.log_level, "disablePrintColor": True},
            "webServer": {
                "addr": admin.host,
                "port": admin.port,
                "user": admin.user,
                "password": admin.password,
            },
            "store": {"path": store_path},
        }
    )
    return merged(tables, config.extra)


def render(tables: Mapping[str, Any]) -> str:
    """Give the TOML text of a configuration, safe against frp's own pass of templates over the file."""
    import tomli_w  # noqa: PLC0415 - not needed to import the package

    # frp reads the file as a Go template first; this action gives back the two braces it stands for
    return tomli_w.dumps(tables).replace("{{", '{{"{{"}}')


def _auth(config: ClientConfig) -> Table:
    if config.oidc is None:
        return {"method": "token", "token": config.auth_token} if config.auth_token else {}
    oidc = config.oidc
    return {
        "method": "oidc",
        "oidc": {
            "clientID": oidc.client_id,
            "clientSecret": oidc.client_secret,
            "tokenEndpointURL": oidc.token_endpoint_url,
            "audience": oidc.audience,
            "scope": oidc.scope,
            "additionalEndpointParams": dict(oidc.additional_endpoint_params),
        },
    }


def _client_transport(config: ClientConfig) -> Table:
    return {
        "protocol": config.protocol,
        "wireProtocol": config.wire_protocol,
        "tcpMux": config.tcp_mux,
        "tcpMuxKeepaliveInterval": config.tcp_mux_keepalive_interval,
        "poolCount": config.pool_count,
        "dialServerTimeout": config.dial_timeout,
        "heartbeatInterval": _heartbeat_interval(config),
        "heartbeatTimeout": config.heartbeat_timeout,
        "proxyURL": config.proxy_url,
        "connectServerLocalIP": config.connect_server_local_ip,
        "tls": _tls(config.tls),
    }


def _heartbeat_interval(config: ClientConfig) -> int:
    """Give the seconds between heartbeats: one, unless each may cost a token of an identity provider."""
    if config.heartbeat_interval is not None:
        return config.heartbeat_interval
    return 1 if config.oidc is None else 30


def _tls(tls: TLSConfig) -> Table:
    return {
        "enable": tls.enable,
        "certFile": tls.cert_file,
        "keyFile": tls.key_file,
        "trustedCaFile": tls.trusted_ca_file,
        "serverName": tls.server_name,
        "disableCustomTLSFirstByte": tls.disable_custom_first_byte,
    }


def _proxy_transport(config: TunnelConfig, *, through_relay: bool) -> Table:
    return {
        "useEncryption": config.use_encryption or None,
        "useCompression": config.use_compression or None,
        "bandwidthLimit": config.bandwidth_limit,
        "bandwidthLimitMode": config.bandwidth_limit_mode,
        # the relay learns the visitor's address from the header
        "proxyProtocolVersion": config.proxy_protocol or ("v2" if through_relay else None),
    }


def _health_check(check: HealthCheck | None, version: Version, *, through_relay: bool) -> Table:
    if check is None:
        return {}
    if through_relay and check.type == "tcp":  # frpc would only find that the relay listens
        check = replace(check, type="http", path=CONNECT_PATH, http_headers={})
    if check.http_headers:
        _require("health_check.http_headers", version)
    return {
        "type": check.type,
        "path": check.path,
        "timeoutSeconds": check.timeout_seconds,
        "maxFailed": check.max_failed,
        "intervalSeconds": check.interval_seconds,
        "httpHeaders": [{"name": name, "value": value} for name, value in check.http_headers.items()],
    }


def _plugin(plugin: Plugin | None, version: Version) -> Table:
    if plugin is None:
        return {}
    _require(f"plugin {plugin.type}", version)
    values = {field.name: getattr(plugin, field.name) for field in fields(plugin)}
    if values.get("enable_http2") is not None:
        _require("plugin.enable_http2", version)
    headers = values.pop("request_headers", {})
    table = {_PLUGIN_KEYS.get(name, _camel(name)): value for name, value in values.items()}
    return table | {"requestHeaders": _headers(headers)}


_PLUGIN_KEYS = {"enable_http2": "enableHTTP2"}


def _headers(headers: Mapping[str, str]) -> Table:
    return {"set": dict(headers)}


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


def _need(config: TunnelConfig | ClientConfig, options: tuple[str, ...], version: Version) -> None:
    for option in options:
        if getattr(config, option):
            _require(option, version)


def _require(option: str, version: Version) -> None:
    since = _SINCE.get(option, (0, 52, 0))
    if version < since:
        raise ConfigError(
            f"{option} needs frp {_dotted(since)} or later; this frpc is {_dotted(version)}",
            reason="needs_newer_frp",
            hint=f"Use a newer frpc (frpw frp install), or leave {option} out.",
        )


def _dotted(version: Version) -> str:
    return ".".join(str(part) for part in version)


def compact(table: Mapping[str, Any]) -> Table:
    """Leave out what is None or empty, at every depth: absent and empty mean the same to frp."""
    kept = {key: compact(value) if isinstance(value, Mapping) else value for key, value in table.items()}
    return {key: value for key, value in kept.items() if value is not None and value not in ({}, [])}


def merged(base: Table, extra: Mapping[str, Any]) -> Table:
    """Lay ``extra`` over ``base``, table by table."""
    result = dict(base)
    for key, value in extra.items():
        old = result.get(key)
        both = isinstance(old, dict) and isinstance(value, Mapping)
        result[key] = merged(old, value) if both else value  # type: ignore[arg-type] # both are tables here
    return result
