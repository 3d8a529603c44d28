"""One tunnel, or the local end of somebody else's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, TypedDict

from frp_wrapper.config._base import STRICT
from frp_wrapper.plugins import Plugin

TunnelType = Literal["tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp"]
VisitorType = Literal["stcp", "sudp", "xtcp"]
MeterMode = Literal["auto", "passive", "relay", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthCheck:
    """How frpc finds out whether the local service is well; it takes the tunnel down while it is not.

    Attributes:
        type: ``tcp``: it accepts a connection; ``http``: it answers ``path`` with 2xx.
        path: For ``http``.
        timeout_seconds: How long one check may take.
        max_failed: So many failures take the tunnel down.
        interval_seconds: From one check to the next.
        http_headers: Sent with each ``http`` check (frp 0.56 and later).
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    type: Literal["tcp", "http"] = "tcp"
    path: str | None = None
    timeout_seconds: int = 3
    max_failed: int = 1
    interval_seconds: int = 10
    http_headers: Mapping[str, str] = field(default_factory=dict)


class TunnelOptions(TypedDict, total=False):
    """The options of a tunnel besides its name, type and local port; `TunnelConfig` explains them."""

    local_host: str
    meter: MeterMode
    allow: Sequence[str]
    deny: Sequence[str]
    max_connections: int | None
    connection_rate: float | None
    visitor_connection_rate: float | None
    remote_port: int | None
    custom_domains: Sequence[str]
    subdomain: str | None
    locations: Sequence[str]
    http_user: str | None
    http_password: str | None
    host_header_rewrite: str | None
    request_headers: Mapping[str, str]
    response_headers: Mapping[str, str]
    route_by_http_user: str | None
    multiplexer: Literal["httpconnect"] | None
    secret_key: str | None
    allow_users: Sequence[str]
    disable_assisted_addrs: bool
    use_encryption: bool
    use_compression: bool
    bandwidth_limit: str | None
    bandwidth_limit_mode: Literal["client", "server"] | None
    proxy_protocol: Literal["v1", "v2"] | None
    group: str | None
    group_key: str | None
    health_check: HealthCheck | None
    plugin: Plugin | None
    metadatas: Mapping[str, str]
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TunnelConfig:
    """One tunnel.

    Attributes:
        name: Unique on the server: letters, digits, ``.``, ``_`` and ``-``.
        tunnel_type: frp's type of proxy.
        local_port: Where the local service listens; None only with a plugin.
        local_host: The machine of the local service.
        meter: ``passive``: read the kernel's counters (Linux, TCP), nothing stands in the way of the data; ``relay``:
            through a relay of ours (Linux), which also learns visitors' addresses and counts datagrams; ``off``;
            ``auto``: the relay where one of the next five options asks for it or the kernel does not tell, else passive.
        allow: Addresses and networks (IPv4, IPv6) whose visitors may come in, others are refused; empty: everybody's.
            Of an stcp tunnel: those of the visitors' frpc. Not for http, where visitors share connections, and xtcp.
        deny: Likewise, whose visitors may not come in; it wins over ``allow``.
        max_connections: So many connections (for udp and sudp: sessions) may be open; more are refused.
        connection_rate: So many new connections a second may come in, on average; as many (at least one) at once.
        visitor_connection_rate: Likewise, of each visitor's address (of IPv6 its first 64 bits).
        remote_port: For tcp and udp, the port on the server; None or 0: frps chooses.
        custom_domains: For http, https and tcpmux: the domains that lead here.
        subdomain: Likewise, below the server's own domain.
        locations: For http: only paths that begin so.
        http_user: For http and tcpmux: visitors must give this user ...
        http_password: ... and this password.
        host_header_rewrite: For http: the Host header that the local service sees.
        request_headers: For http: set on every request.
        response_headers: For http: set on every response (frp 0.58 and later).
        route_by_http_user: For http and tcpmux: only requests of this user come here.
        multiplexer: For tcpmux: ``httpconnect``.
        secret_key: For stcp, sudp and xtcp: what visitors must know.
        allow_users: Likewise: whose visitors may come; ``*``: everybody's. Empty: one's own.
        disable_assisted_addrs: For xtcp: do not tell the visitor local addresses (frp 0.65 and later).
        use_encryption: Encrypt between frpc and frps.
        use_compression: Compress between frpc and frps.
        bandwidth_limit: Such as ``1MB`` or ``500KB`` a second.
        bandwidth_limit_mode: Who limits.
        proxy_protocol: Send the visitor's address ahead of the data, in this version of the PROXY protocol.
        group: Tunnels of one group share their address and are used in turn.
        group_key: What members of the group must know.
        health_check: How frpc finds out whether the local service is well.
        plugin: What answers in the place of a local service.
        metadatas: Handed to plugins of the server.
        annotations: Shown by the server's dashboard.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    name: str
    tunnel_type: TunnelType
    local_port: int | None = None
    local_host: str = "127.0.0.1"
    meter: MeterMode = "auto"
    allow: Sequence[str] = ()
    deny: Sequence[str] = ()
    max_connections: int | None = None
    connection_rate: float | None = None
    visitor_connection_rate: float | None = None
    remote_port: int | None = None
    custom_domains: Sequence[str] = ()
    subdomain: str | None = None
    locations: Sequence[str] = ()
    http_user: str | None = None
    http_password: str | None = field(default=None, repr=False)
    host_header_rewrite: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    response_headers: Mapping[str, str] = field(default_factory=dict)
    route_by_http_user: str | None = None
    multiplexer: Literal["httpconnect"] | None = None
    secret_key: str | None = field(default=None, repr=False)
    allow_users: Sequence[str] = ()
    disable_assisted_addrs: bool = False
    use_encryption: bool = False
    use_compression: bool = False
    bandwidth_limit: str | None = None
    bandwidth_limit_mode: Literal["client", "server"] | None = None
    proxy_protocol: Literal["v1", "v2"] | None = None
    group: str | None = None
    group_key: str | None = field(default=None, repr=False)
    health_check: HealthCheck | None = None
    plugin: Plugin | None = None
    metadatas: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


class VisitorOptions(TypedDict, total=False):
    """The options of a visitor; `VisitorConfig` explains them."""

    bind_host: str
    server_user: str | None
    use_encryption: bool
    use_compression: bool
    protocol: Literal["quic", "kcp"] | None
    keep_tunnel_open: bool
    max_retries_an_hour: int | None
    min_retry_interval: int | None
    fallback_to: str | None
    fallback_timeout_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class VisitorConfig:
    """The local end of a secret tunnel of another client.

    Attributes:
        name: Unique within this client.
        visitor_type: The type of the tunnel.
        server_name: The name of the tunnel.
        secret_key: The key of the tunnel.
        bind_port: Where to listen on this machine; -1: nowhere, only as the ``fallback_to`` of another visitor.
        bind_host: On which address.
        server_user: Whose tunnel it is, when not of the own user.
        use_encryption: As the tunnel has it.
        use_compression: As the tunnel has it.
        protocol: For xtcp: what runs between the peers.
        keep_tunnel_open: For xtcp: do not wait for a first connection.
        max_retries_an_hour: For xtcp with ``keep_tunnel_open``.
        min_retry_interval: For xtcp with ``keep_tunnel_open``, in seconds.
        fallback_to: For xtcp: the visitor to use when there is no way through.
        fallback_timeout_ms: For xtcp: after so many milliseconds.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

    name: str
    visitor_type: VisitorType
    server_name: str
    secret_key: str = field(repr=False)
    bind_port: int
    bind_host: str = "127.0.0.1"
    server_user: str | None = None
    use_encryption: bool = False
    use_compression: bool = False
    protocol: Literal["quic", "kcp"] | None = None
    keep_tunnel_open: bool = False
    max_retries_an_hour: int | None = None
    min_retry_interval: int | None = None
    fallback_to: str | None = None
    fallback_timeout_ms: int | None = None
