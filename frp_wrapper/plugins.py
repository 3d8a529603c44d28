"""frpc's client plugins: they answer visitors in the place of a local service."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

__all__ = [
    "Http2HttpPlugin",
    "Http2HttpsPlugin",
    "HttpProxyPlugin",
    "Https2HttpPlugin",
    "Https2HttpsPlugin",
    "Plugin",
    "Socks5Plugin",
    "StaticFilePlugin",
    "Tls2RawPlugin",
    "UnixDomainSocketPlugin",
    "VirtualNetPlugin",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpProxyPlugin:
    """An HTTP proxy: visitors reach whatever this machine reaches, its loopback included."""

    type: Literal["http_proxy"] = "http_proxy"
    http_user: str | None = None
    http_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Socks5Plugin:
    """A SOCKS5 proxy: visitors reach whatever this machine reaches, its loopback included."""

    type: Literal["socks5"] = "socks5"
    username: str | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFilePlugin:
    """A web server for the files below ``local_path``."""

    local_path: str
    type: Literal["static_file"] = "static_file"
    strip_prefix: str | None = None
    http_user: str | None = None
    http_password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class UnixDomainSocketPlugin:
    """Connects visitors to a Unix domain socket."""

    unix_path: str
    type: Literal["unix_domain_socket"] = "unix_domain_socket"


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2HttpPlugin:
    """Passes HTTP on to an HTTP service, with the headers changed (frp 0.59 and later)."""

    local_addr: str
    type: Literal["http2http"] = "http2http"
    host_header_rewrite: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Http2HttpsPlugin:
    """Passes HTTP on to an HTTPS service."""

    local_addr: str
    type: Literal["http2https"] = "http2https"
    host_header_rewrite: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Https2HttpPlugin:
    """Ends TLS and passes HTTP on; without a certificate frpc makes up one."""

    local_addr: str
    type: Literal["https2http"] = "https2http"
    host_header_rewrite: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    enable_http2: bool | None = None
    crt_path: str | None = None
    key_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Https2HttpsPlugin:
    """Ends TLS and passes HTTPS on; without a certificate frpc makes up one."""

    local_addr: str
    type: Literal["https2https"] = "https2https"
    host_header_rewrite: str | None = None
    request_headers: Mapping[str, str] = field(default_factory=dict)
    enable_http2: bool | None = None
    crt_path: str | None = None
    key_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls2RawPlugin:
    """Ends TLS and passes the bytes on (frp 0.60 and later)."""

    local_addr: str
    type: Literal["tls2raw"] = "tls2raw"
    crt_path: str | None = None
    key_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualNetPlugin:
    """Joins a virtual network of frp (0.62 and later; an experimental feature of frp)."""

    type: Literal["virtual_net"] = "virtual_net"


Plugin = (
    HttpProxyPlugin
    | Socks5Plugin
    | StaticFilePlugin
    | UnixDomainSocketPlugin
    | Http2HttpPlugin
    | Http2HttpsPlugin
    | Https2HttpPlugin
    | Https2HttpsPlugin
    | Tls2RawPlugin
    | VirtualNetPlugin
)
