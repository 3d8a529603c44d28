"""What is shown of a client, as plain values: the shapes of the HTTP interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol

from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.monitoring.events import Event, EventEmitter, EventType
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.tunnel import Tunnel

if TYPE_CHECKING:
    from frp_wrapper.metering.connection import Connection
    from frp_wrapper.monitoring.log_ring import LogRing

__all__ = [
    "SPECIFIED_NUMBERS",
    "Client",
    "client_view",
    "connection_views",
    "event_view",
    "specified_numbers",
    "status_of_tunnel",
    "tunnel_key",
    "tunnel_view",
    "usage_view",
]

View = dict[str, Any]
TOP_VISITORS = 50


class Client(Protocol):
    """What the dashboard needs of an `FRPClient`."""

    config: ClientConfig
    events: EventEmitter
    log_lines: LogRing

    @property
    def server(self) -> str:
        """The server's host."""

    @property
    def pid(self) -> int | None:
        """The process id of frpc."""

    @property
    def frp_version(self) -> str | None:
        """The version of frpc, None while it does not run."""

    @property
    def login_error(self) -> FRPError | None:
        """Why the last login failed."""

    @property
    def server_api(self) -> object | None:
        """What asks frps's dashboard; None: nothing does."""

    @property
    def server_counters_error(self) -> FRPError | None:
        """Why frps did not tell its counters."""

    @property
    def dropped_events(self) -> int:
        """Events that no handler has seen."""

    @property
    def dropped_output(self) -> int:
        """Bytes of frpc's output that were dropped."""

    @property
    def state_version(self) -> object:
        """Another value after every change of state."""

    def is_connected(self) -> bool:
        """Say whether frpc is logged in."""

    def get_uptime(self) -> float:
        """Give the seconds since the last login."""

    def list_tunnels(self) -> list[Tunnel]:
        """Give the tunnels that are not closed."""

    def notify(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Queue an event for the client's handlers."""

    def expose(self, config: TunnelConfig, *, wait: bool = True) -> Tunnel:
        """Open a tunnel."""

    def restart(self, tunnel: Tunnel) -> None:
        """Take a tunnel down and open it again."""


def status_of_tunnel(tunnel: Tunnel, metrics: TunnelMetrics | View) -> View:
    """Give a tunnel as the status of the specification has it."""
    return {
        "id": tunnel.id,
        "type": tunnel.config.tunnel_type,
        "local_port": tunnel.config.local_port,
        "url": tunnel.url,
        "status": tunnel.status.value,
        "metrics": metrics,
    }


SPECIFIED_NUMBERS = (
    "tunnel_id",
    "bytes_sent",
    "bytes_received",
    "connection_count",
    "error_count",
    "last_activity",
    "uptime_seconds",
    "open_connections",
)
"""What ``/api/status`` tells of a tunnel's metrics: those of the specification, and how many connections are open. It is
asked often by many, so it is short; ``/api/tunnels`` tells all."""
_specified_numbers = attrgetter(*SPECIFIED_NUMBERS)


def specified_numbers(metrics: TunnelMetrics) -> View:
    """Give the numbers that the status tells."""
    return dict(zip(SPECIFIED_NUMBERS, _specified_numbers(metrics), strict=True))


def client_view(client: Client) -> View:
    """Give how the client is, now."""
    return {
        "server": client.server,
        "port": client.config.port,
        "connected": client.is_connected(),
        "uptime": client.get_uptime(),
        "login_error": error_view(client.login_error),
        "server_latency": getattr(client, "server_latency", None),
        "server_dashboard": client.server_api is not None,
        "server_counters_error": error_view(client.server_counters_error),
        "frpc_pid": client.pid,
        "frp_version": client.frp_version,
        "dropped_events": client.dropped_events,
        "dropped_output": client.dropped_output,
    }


def tunnel_view(tunnel: Tunnel, metrics: TunnelMetrics) -> View:
    """Give how a tunnel is, with numbers that were taken for it."""
    config = tunnel.config
    return {
        "id": tunnel.id,
        "type": config.tunnel_type,
        "local_host": config.local_host,
        "local_port": config.local_port,
        "url": tunnel.url,
        "urls": tunnel.urls,
        "status": tunnel.status.value,
        "error": error_view(tunnel.error),
        "meter": config.meter,
        "uptime": tunnel.uptime,
        "metrics": metrics,
    }


def error_view(error: FRPError | None) -> View | None:
    """Give why something is as it is."""
    if error is None:
        return None
    return {"reason": error.reason, "message": error.what, "hint": error.hint}


_CLOCKWORK = frozenset({"tunnel_id", "as_of", "uptime_seconds", "uptime_percent", "server_latency"})
"""Numbers that go on by themselves while nothing happens, or are the client's."""
_telling = attrgetter(*(field.name for field in fields(TunnelMetrics) if field.name not in _CLOCKWORK))


def tunnel_key(view: View) -> tuple[Any, ...]:
    """Give what is compared to find out whether a tunnel has changed: all but what goes on by itself."""
    error = view["error"]
    return (view["status"], view["urls"], error and error["message"], _telling(view["metrics"]))


def connection_view(connection: Connection) -> View:
    """Give one connection."""
    return {
        "id": f"{connection.opened_at.timestamp():.6f}/{connection.local_address or connection.visitor}",
        "visitor": connection.visitor,
        "opened_at": connection.opened_at,
        "closed_at": connection.closed_at,
        "bytes_sent": connection.bytes_sent,
        "bytes_received": connection.bytes_received,
        "duration": connection.duration,
        "local_address": connection.local_address,
        "error": connection.error,
        "sent_per_second": connection.sent_per_second,
        "received_per_second": connection.received_per_second,
        "reason": connection.reason,
        "connect_seconds": connection.connect_seconds,
        "first_byte_seconds": connection.first_byte_seconds,
    }


def connection_views(tunnel: Tunnel) -> View:
    """Give the connections of a tunnel: the open ones, the last closed ones, newest first, and who has moved the most."""
    return {
        "open": [connection_view(connection) for connection in tunnel.connections()],
        "recent": [connection_view(connection) for connection in reversed(tunnel.recent_connections())],
        "visitors": tunnel.top_visitors(TOP_VISITORS),
    }


def usage_view(tunnel: Tunnel) -> View:
    """Give what a tunnel has moved by days; null where nothing counts."""
    usage = tunnel.usage
    traffic = {} if usage is None else {day.isoformat(): moved._asdict() for day, moved in usage.days.items()}
    return {
        "tunnel_id": tunnel.id,
        "today": usage and usage.today._asdict(),
        "this_month": usage and usage.this_month._asdict(),
        "days": traffic,
    }


def event_view(event: Event) -> View:
    """Give an event."""
    return {"id": event.id, "at": event.at, "type": event.type.value, "data": event.data}
