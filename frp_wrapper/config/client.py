"""One connection to an frps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypedDict

from frp_wrapper.config._base import STRICT, LogLevel

Protocol = Literal["tcp", "kcp", "quic", "websocket", "wss"]


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

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

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

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

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
    usage_file: str | None
    server_dashboard: str | None
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
        heartbeat_interval: Seconds between heartbeats; -1: none; None: 1, so that a server that falls silent is known
            within two seconds (with ``oidc`` 30). One is 134 bytes and three or four packets, 25 MB a day: on a metered
            line choose a longer interval. Answers are timed only at log level ``debug`` or ``trace``.
        heartbeat_timeout: Seconds without an answer after which frpc cuts the connection and logs in anew.
        proxy_url: An HTTP or SOCKS proxy on the way to the server. The environment is not asked.
        connect_server_local_ip: The address of this machine to come from.
        dns_server: Who resolves the server's name.
        udp_packet_size: Bytes; the same as on the server.
        nat_hole_stun_server: For xtcp.
        metadatas: Handed to plugins of the server.
        log_level: How much frpc says; at ``debug`` (and ``trace``) it names each connection, without which
            ``meter="passive"`` has nothing to go by.
        usage_file: Where to keep what each tunnel has moved by day (`Tunnel.usage`); None: only while this client lives.
            Several clients and processes may share one file.
        server_dashboard: The dashboard of frps, ``http[s]://user:password@host:7500``, for `Tunnel.server_counters`; None:
            there is no access to it. Special characters of the password as ``%XX``. frpc is not told.
        extra: Further keys of frpc's configuration, nested and spelled as frp spells them; they win over all others.
    """

    __pydantic_config__: ClassVar[Mapping[str, str]] = STRICT

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
    usage_file: str | None = None
    server_dashboard: str | None = field(default=None, repr=False)
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False)
