"""What can be configured, as immutable values; `check` says everything that is wrong with them at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypedDict

from frp_wrapper.plugins import Plugin

__all__ = [
    "ClientConfig",
    "ClientOptions",
    "HealthCheck",
    "MeterMode",
    "OIDCConfig",
    "Plugin",
    "ServerConfig",
    "ServerOptions",
    "TLSConfig",
    "TunnelConfig",
    "TunnelOptions",
    "TunnelType",
    "VisitorConfig",
    "VisitorOptions",
    "VisitorType",
]

TunnelType = Literal["tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp"]
VisitorType = Literal["stcp", "sudp", "xtcp"]
MeterMode = Literal["passive", "relay", "off"]
Protocol = Literal["tcp", "kcp", "quic", "websocket", "wss"]
LogLevel = Literal["trace", "debug", "info", "warn", "error"]

_STRICT = {"extra": "forbid", "revalidate_instances": "always"}
"""An unknown key in a file is a mistake, not something to ignore; and a dataclass by itself checks no types."""


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

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

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
            through a relay of ours, which also learns visitors' addresses; ``off``.
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

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    name: str
    tunnel_type: TunnelType
    local_port: int | None = None
    local_host: str = "127.0.0.1"
    meter: MeterMode = "passive"
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

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

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


@dataclass(frozen=True, slots=True, kw_only=True)
class TLSConfig:
    """TLS between frpc and frps.

    Attributes:
        enable: Use it; None: as frp does, which is yes from 0.50 on.
        cert_file: Our certificate, for servers that ask for one.
        key_file: Its key.
        trusted_ca_file: Who must have signed the server's certificate; None: it is not verified.
        server_name: The name in the server's certificate; None: the server's host.
        disable_custom_first_byte: For servers behind something that expects plain TLS.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    enable: bool | None = None
    cert_file: str | None = None
    key_file: str | None = None
    trusted_ca_file: str | None = None
    server_name: str | None = None
    disable_custom_first_byte: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OIDCConfig:
    """Login with a token of an OpenID Connect provider.

    Attributes:
        client_id: As registered with the provider.
        client_secret: Likewise.
        token_endpoint_url: Where tokens are had.
        audience: For whom the token shall be.
        scope: What it shall allow.
        additional_endpoint_params: Sent along.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    client_id: str
    client_secret: str = field(repr=False)
    token_endpoint_url: str
    audience: str | None = None
    scope: str | None = None
    additional_endpoint_params: Mapping[str, str] = field(default_factory=dict)


class ClientOptions(TypedDict, total=False):
    """The options of a client besides server, port and token; `ClientConfig` explains them."""

    user: str
    client_id: str | None
    protocol: Protocol
    wire_protocol: Literal["v1", "v2"] | None
    tls: TLSConfig
    oidc: OIDCConfig | None
    pool_count: int | None
    tcp_mux: bool
    tcp_mux_keepalive_interval: int | None
    dial_timeout: int | None
    heartbeat_interval: int | None
    heartbeat_timeout: int | None
    proxy_url: str | None
    connect_server_local_ip: str | None
    dns_server: str | None
    udp_packet_size: int | None
    nat_hole_stun_server: str | None
    metadatas: Mapping[str, str]
    log_level: LogLevel
    extra: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientConfig:
    """One connection to an frps.

    Attributes:
        server: Host name or address.
        port: Where frps listens.
        auth_token: What frps asks for.
        user: Put in front of the names of all tunnels, so that users of one server do not collide.
        client_id: Tells several clients of one user apart (frp 0.67 and later).
        protocol: What runs between frpc and frps.
        wire_protocol: The version of frp's own messages (frp 0.69 and later).
        tls: TLS between frpc and frps.
        oidc: Login by OpenID Connect instead of a token.
        pool_count: Connections to the server that are opened ahead of visitors.
        tcp_mux: Carry everything in one connection.
        tcp_mux_keepalive_interval: Seconds between signs of life in it.
        dial_timeout: Seconds that a connection to the server may take.
        heartbeat_interval: Seconds between heartbeats; -1: none.
        heartbeat_timeout: Seconds without an answer after which the server counts as lost.
        proxy_url: An HTTP or SOCKS proxy on the way to the server. The environment is not asked.
        connect_server_local_ip: The address of this machine to come from.
        dns_server: Who resolves the server's name.
        udp_packet_size: Bytes; the same as on the server.
        nat_hole_stun_server: For xtcp.
        metadatas: Handed to plugins of the server.
        log_level: How much frpc says; at ``debug`` (and ``trace``) it names each connection, without which
            ``meter="passive"`` has nothing to go by.
        extra: Further keys of frpc's configuration, nested and spelled as frp spells them; they win over all others.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = _STRICT

    server: str
    port: int = 7000
    auth_token: str | None = field(default=None, repr=False)
    user: str = ""
    client_id: str | None = None
    protocol: Protocol = "tcp"
    wire_protocol: Literal["v1", "v2"] | None = None
    tls: TLSConfig = field(default_factory=TLSConfig)
    oidc: OIDCConfig | None = None
    pool_count: int | None = None
    tcp_mux: bool = True
    tcp_mux_keepalive_interval: int | None = None
    dial_timeout: int | None = None
    heartbeat_interval: int | None = None
    heartbeat_timeout: int | None = None
    proxy_url: str | None = field(default=None, repr=False)
    connect_server_local_ip: str | None = None
    dns_server: str | None = None
    udp_packet_size: int | None = None
    nat_hole_stun_server: str | None = None
    metadatas: Mapping[str, str] = field(default_factory=dict)
    log_level: LogLevel = "debug"
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)


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
