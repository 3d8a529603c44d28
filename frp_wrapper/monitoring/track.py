"""What a monitor remembers of one tunnel, and the numbers that follow from it."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime

from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.rules import Values

WINDOW = 60.0
"""Seconds over which rates are taken."""
FLAPPING_WINDOW = 300.0
MIN_CONNECTIONS = 10
"""With fewer connections in the window a share of failures says nothing."""
_MAX_POINTS = 600
_MAX_CHANGES = 64
_UP, _DOWN = "online", ("offline", "error")


class Track:
    """The recent past of one tunnel, bounded."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, int, int, int]] = deque(maxlen=_MAX_POINTS)
        self._changes: deque[float] = deque(maxlen=_MAX_CHANGES)
        self._is_up: bool | None = None

    def values(self, metrics: TunnelMetrics, status: str | None, now: float) -> Values:
        """Take in the numbers of a moment and give all that rules can name.

        Args:
            metrics: As they are now.
            status: The tunnel's; None: not known.
            now: Seconds on the monitor's clock.
        """
        self._note_status(status, now)
        return {
            "bytes_sent": metrics.bytes_sent,
            "bytes_received": metrics.bytes_received,
            "connection_count": metrics.connection_count,
            "error_count": metrics.error_count,
            "open_connections": metrics.open_connections,
            "uptime_seconds": metrics.uptime_seconds,
            "idle_seconds": _idle_seconds(metrics),
            "offline": None if status is None else float(status == "offline"),
            "down": None if status is None else float(status in _DOWN),
            "latency": metrics.latency.p95 if metrics.latency else None,
            "server_latency": metrics.server_latency,
            "reconnects": metrics.reconnects,
            "uptime_percent": metrics.uptime_percent,
            "changes": float(sum(at > now - FLAPPING_WINDOW for at in self._changes)),
            **self._rates(metrics, now),
        }

    def _note_status(self, status: str | None, now: float) -> None:
        if status not in (_UP, *_DOWN):
            return
        is_up = status == _UP
        if self._is_up is not None and is_up != self._is_up:
            self._changes.append(now)
        self._is_up = is_up

    def _rates(self, metrics: TunnelMetrics, now: float) -> Values:
        """Give rates over the window; before the first point there was nothing."""
        names = ("bytes_per_second", "connections_per_second", "errors_per_second", "error_rate")
        totals = (metrics.bytes_sent, metrics.bytes_received, metrics.connection_count, metrics.error_count)
        if any(total is None for total in totals):
            return dict.fromkeys(names)
        sent, received, connections, errors = (total or 0 for total in totals)
        while len(self._points) > 1 and self._points[1][0] <= now - WINDOW:
            self._points.popleft()
        then, moved_then, connections_then, errors_then = self._points[0] if self._points else (now, 0, 0, 0)
        self._points.append((now, sent + received, connections, errors))
        passed = now - then
        new, failed = connections - connections_then, errors - errors_then
        return {
            "bytes_per_second": (sent + received - moved_then) / passed if passed else None,
            "connections_per_second": new / passed if passed else None,
            "errors_per_second": failed / passed if passed else None,
            "error_rate": failed / new if new >= MIN_CONNECTIONS else 0.0,
        }


def _idle_seconds(metrics: TunnelMetrics) -> float | None:
    if metrics.last_activity is None:
        return metrics.uptime_seconds
    last = metrics.last_activity
    if last.tzinfo is None:
        last = last.astimezone(UTC)
    return (datetime.now(UTC) - last).total_seconds()
