"""Logging, parsing, events, metrics and alerts of tunnels. Names are loaded when they are first used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from frp_wrapper._lazy import load

if TYPE_CHECKING:
    from frp_wrapper.monitoring.aggregator import MetricsAggregator
    from frp_wrapper.monitoring.dashboard import MonitoringDashboard
    from frp_wrapper.monitoring.events import EventEmitter, EventType
    from frp_wrapper.monitoring.logger import FRPLogger, LogLevel, configure_logging, unconfigure_logging
    from frp_wrapper.monitoring.metrics import TunnelMetrics
    from frp_wrapper.monitoring.monitor import TunnelMonitor
    from frp_wrapper.monitoring.parser import OutputParser
    from frp_wrapper.monitoring.rules import Rule

_HOMES = {
    "MetricsAggregator": "aggregator",
    "MonitoringDashboard": "dashboard",
    "configure_logging": "logger",
    "unconfigure_logging": "logger",
    "EventEmitter": "events",
    "EventType": "events",
    "FRPLogger": "logger",
    "LogLevel": "logger",
    "OutputParser": "parser",
    "Rule": "rules",
    "TunnelMetrics": "metrics",
    "TunnelMonitor": "monitor",
}

__all__ = [
    "EventEmitter",
    "EventType",
    "FRPLogger",
    "LogLevel",
    "MetricsAggregator",
    "MonitoringDashboard",
    "OutputParser",
    "Rule",
    "TunnelMetrics",
    "TunnelMonitor",
    "configure_logging",
    "unconfigure_logging",
]


def __getattr__(name: str) -> Any:
    return load(__name__, _HOMES, name)


def __dir__() -> list[str]:
    return __all__
