"""What can be configured, as immutable values; `frp_wrapper.checks` says all that is wrong with them at once."""

from frp_wrapper.config.client import ClientConfig, ClientOptions, OIDCConfig, TLSConfig
from frp_wrapper.config.server import ServerConfig, ServerOptions
from frp_wrapper.config.tunnel import (
    HealthCheck,
    MeterMode,
    TunnelConfig,
    TunnelOptions,
    TunnelType,
    VisitorConfig,
    VisitorOptions,
    VisitorType,
)
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
