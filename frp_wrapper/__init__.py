"""frp tunnels from Python, and what flows through them.

    from frp_wrapper import FRPClient

    with FRPClient("frp.example.com", auth_token="...") as client:
        tunnel = client.expose_tcp(3000)
        print(tunnel.url, tunnel.metrics)

Names are loaded when they are first used: importing the package starts nothing, opens nothing, and costs little.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frp_wrapper._lazy import load
from frp_wrapper._version import __version__

if TYPE_CHECKING:
    from frp_wrapper.aio import AsyncFRPClient
    from frp_wrapper.attached import AttachedClient, attach
    from frp_wrapper.client import FRPClient
    from frp_wrapper.config import ClientConfig, HealthCheck, ServerConfig, TunnelConfig, VisitorConfig
    from frp_wrapper.errors import (
        AuthenticationError,
        BinaryNotFoundError,
        ConfigError,
        ConnectionFailedError,
        FRPError,
        ProcessError,
        TimeoutError,
        TunnelError,
    )
    from frp_wrapper.metering.connection import Connection
    from frp_wrapper.monitoring.aggregator import MetricsAggregator
    from frp_wrapper.monitoring.dashboard import MonitoringDashboard
    from frp_wrapper.monitoring.events import EventEmitter, EventType
    from frp_wrapper.monitoring.logger import FRPLogger, LogLevel, configure_logging, unconfigure_logging
    from frp_wrapper.monitoring.metrics import TunnelMetrics
    from frp_wrapper.monitoring.monitor import TunnelMonitor
    from frp_wrapper.monitoring.parser import OutputParser
    from frp_wrapper.monitoring.rules import Rule
    from frp_wrapper.server import FRPServer
    from frp_wrapper.tunnel import Tunnel, TunnelStatus, Visitor

_HOMES = {
    "MetricsAggregator": "monitoring.aggregator",
    "MonitoringDashboard": "monitoring.dashboard",
    "configure_logging": "monitoring.logger",
    "unconfigure_logging": "monitoring.logger",
    "Rule": "monitoring.rules",
    "OutputParser": "monitoring.parser",
    "LogLevel": "monitoring.logger",
    "FRPLogger": "monitoring.logger",
    "TunnelMonitor": "monitoring.monitor",
    "AsyncFRPClient": "aio",
    "AttachedClient": "attached",
    "attach": "attached",
    "AuthenticationError": "errors",
    "BinaryNotFoundError": "errors",
    "ClientConfig": "config",
    "ConfigError": "errors",
    "Connection": "metering.connection",
    "ConnectionFailedError": "errors",
    "EventEmitter": "monitoring.events",
    "EventType": "monitoring.events",
    "FRPClient": "client",
    "FRPError": "errors",
    "FRPServer": "server",
    "HealthCheck": "config",
    "ProcessError": "errors",
    "ServerConfig": "config",
    "TimeoutError": "errors",
    "Tunnel": "tunnel",
    "TunnelConfig": "config",
    "TunnelError": "errors",
    "TunnelMetrics": "monitoring.metrics",
    "TunnelStatus": "tunnel",
    "Visitor": "tunnel",
    "VisitorConfig": "config",
}

__all__ = [
    "AsyncFRPClient",
    "AttachedClient",
    "AuthenticationError",
    "BinaryNotFoundError",
    "ClientConfig",
    "ConfigError",
    "Connection",
    "ConnectionFailedError",
    "EventEmitter",
    "EventType",
    "FRPClient",
    "FRPError",
    "FRPLogger",
    "FRPServer",
    "HealthCheck",
    "LogLevel",
    "MetricsAggregator",
    "MonitoringDashboard",
    "OutputParser",
    "ProcessError",
    "Rule",
    "ServerConfig",
    "TimeoutError",
    "Tunnel",
    "TunnelConfig",
    "TunnelError",
    "TunnelMetrics",
    "TunnelMonitor",
    "TunnelStatus",
    "Visitor",
    "VisitorConfig",
    "__version__",
    "attach",
    "configure_logging",
    "unconfigure_logging",
]


def __getattr__(name: str) -> Any:
    return load(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return __all__
