"""The configuration of frps in frp's words."""

from __future__ import annotations

from typing import Any

from frp_wrapper.config import ServerConfig
from frp_wrapper.frp.toml import compact, merged

__all__ = ["server_tables"]


def server_tables(config: ServerConfig) -> dict[str, Any]:
    """Give the whole configuration of an frps; the ports must be real ones, not 0."""
    tables = compact(
        {
            "bindAddr": config.bind_host,
            "bindPort": config.bind_port,
            "kcpBindPort": config.kcp_bind_port,
            "quicBindPort": config.quic_bind_port,
            "vhostHTTPPort": config.vhost_http_port,
            "vhostHTTPSPort": config.vhost_https_port,
            "tcpmuxHTTPConnectPort": config.tcpmux_httpconnect_port,
            "subDomainHost": config.subdomain_host,
            "maxPortsPerClient": config.max_ports_per_client,
            "allowPorts": [_port_range(ports) for ports in config.allow_ports],
            "enablePrometheus": config.enable_prometheus or None,
            "auth": {"method": "token", "token": config.auth_token} if config.auth_token else {},
            "log": {"to": "console", "level": config.log_level, "disablePrintColor": True},
            "webServer": _dashboard(config),
        }
    )
    return merged(tables, config.extra)


def _dashboard(config: ServerConfig) -> dict[str, Any]:
    if config.dashboard_port is None:
        return {}
    return {
        "addr": "127.0.0.1",
        "port": config.dashboard_port,
        "user": config.dashboard_user,
        "password": config.dashboard_password,
    }


def _port_range(ports: str) -> dict[str, int]:
    first, _, last = ports.partition("-")
    return {"start": int(first), "end": int(last)} if last else {"single": int(first)}
