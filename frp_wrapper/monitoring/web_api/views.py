"""What is shown of a client, as plain values: the shapes of the HTTP interface."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Protocol, get_args, get_type_hints

from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.monitoring.events import Event, EventEmitter, EventType
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.tunnel import Tunnel

if TYPE_CHECKING:
    from frp_wrapper.metering.connection import Connection
    from frp_wrapper.monitoring.log_ring import LogRing

__all__ = [
    "PLAIN_NUMBERS",
    "Client",
    "client_view",
    "connection_views",
    "event_view",
    "plain_numbers",
    "status_of_tunnel",
    "tunnel_key",
    "tunnel_view",
    "visitor_totals",
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


def _is_plain(hint: Any) -> bool:
    return set(get_args(hint) or (hint,)) <= {int, float, str, bool, datetime, type(None)}


PLAIN_NUMBERS = tuple(name for name, hint in get_type_hints(TunnelMetrics).items() if _is_plain(hint))
"""The fields of `TunnelMetrics` that are one number, word or time."""
_plain_numbers = attrgetter(*PLAIN_NUMBERS)


def plain_numbers(metrics: TunnelMetrics) -> View:
    """Give the numbers without those that have an inside, such as quantiles: what many ask for often stays short."""
    return dict(zip(PLAIN_NUMBERS, _plain_numbers(metrics), strict=True))


def client_view(client: Client) -> View:
    """Give how the client is, now."""
    return {
        "server": client.server,
        "port": client.config.port,
        "connected": client.is_connected(),
        "uptime": client.get_uptime(),
        "login_error": error_view(client.login_error),
        "server_latency": getattr(client, "server_latency", None),
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
        "reason": connection.reason,
        "connect_seconds": connection.connect_seconds,
        "first_byte_seconds": connection.first_byte_seconds,
    }


def connection_views(open_now: Sequence[Connection], recent: Sequence[Connection]) -> View:
    """Give the connections of a tunnel.

    Args:
        open_now: Those that are open.
        recent: The last closed ones, newest last.
    """
    return {
        "open": [connection_view(connection) for connection in open_now],
        "recent": [connection_view(connection) for connection in reversed(recent)],
        "visitors": visitor_totals([*open_now, *recent]),
    }


def visitor_totals(connections: Iterable[Connection]) -> list[View]:
    """Give what each visitor's address, without the port, has moved in these connections: the first 50 by bytes."""
    totals: dict[str, View] = {}
    for connection in connections:
        if connection.visitor is None or connection.reason is not None:
            continue
        address = connection.visitor.rpartition(":")[0].strip("[]")
        total = totals.setdefault(
            address, {"address": address, "connections": 0, "bytes_sent": 0, "bytes_received": 0}
        )
        total["connections"] += 1
        total["bytes_sent"] += connection.bytes_sent or 0
        total["bytes_received"] += connection.bytes_received or 0
    most = sorted(totals.values(), key=lambda total: -(total["bytes_sent"] + total["bytes_received"]))
    return most[:TOP_VISITORS]


def event_view(event: Event) -> View:
    """Give an event."""
    return {"id": event.id, "at": event.at, "type": event.type.value, "data": event.data}
