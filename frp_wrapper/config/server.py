"""One frps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

from frp_wrapper.config._base import LogLevel


class ServerOptions(TypedDict, total=False):
    """The options of a server; `ServerConfig` explains them."""

    vhost_https_port: int | None
    tcpmux_httpconnect_port: int | None
    kcp_bind_port: int | None
    quic_bind_port: int | None
    subdomain_host: str | None
    dashboard_port: int | None
    dashboard_user: str
    dashboard_password: str
    allow_ports: Sequence[str]
    max_ports_per_client: int | None
    log_level: LogLevel
    enable_prometheus: bool
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerConfig:
    """One frps; a port of 0 stands for a free one, None for none.

    Attributes:
        bind_port: Where clients connect.
        auth_token: What they must present; empty: nothing.
        bind_host: Where frps and its tunnels listen.
        vhost_http_port: Where http tunnels are reachable.
        vhost_https_port: Where https tunnels are reachable.
        tcpmux_httpconnect_port: Where tcpmux tunnels are reachable.
        kcp_bind_port: Where clients connect by KCP (UDP).
        quic_bind_port: Where clients connect by QUIC (UDP).
        subdomain_host: The domain below which ``subdomain`` of a tunnel is.
        dashboard_port: Where frps's own dashboard and API listen, on loopback.
        dashboard_user: For it.
        dashboard_password: For it.
        allow_ports: The ports that tunnels may have, such as ``("6000-6100", "7200")``; empty: all.
        max_ports_per_client: How many one client may have.
        log_level: How much frps says.
        enable_prometheus: Give metrics on the dashboard's port.
        extra: Further keys of frps's configuration, nested and spelled as frp spells them; they win over all others.
    """

    bind_port: int = 7000
    auth_token: str = field(default="", repr=False)
    bind_host: str = "127.0.0.1"
    vhost_http_port: int | None = None
    vhost_https_port: int | None = None
    tcpmux_httpconnect_port: int | None = None
    kcp_bind_port: int | None = None
    quic_bind_port: int | None = None
    subdomain_host: str | None = None
    dashboard_port: int | None = None
    dashboard_user: str = ""
    dashboard_password: str = field(default="", repr=False)
    allow_ports: Sequence[str] = ()
    max_ports_per_client: int | None = None
    log_level: LogLevel = "info"
    enable_prometheus: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
