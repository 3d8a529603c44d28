"""Whether the server answers: frpc's heartbeats, which it tells of in debug lines."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["HEARTBEATS", "Pulse"]

_SENT, _ANSWERED = "send heartbeat to server", "receive heartbeat from server"
HEARTBEATS = frozenset({_SENT, _ANSWERED})
"""The messages of frpc that a `Pulse` takes in."""
_LEAST_PATIENCE = 0.8
"""Seconds that an answer may take on any line; with a heartbeat a second, a dead server is known within two."""
_MOST_MEASURED = 3.0
_BURST = 0.5
"""After an outage all answers come at once: only the first of them is measured, and as no more than three seconds, so that
what has been an outage does not pass for a slow line for long."""
_MOST_AWAITED = 64
_LATE = 0.2
"""Seconds by which we may be woken late; beyond, this machine is too busy for a verdict on another."""


class Pulse:
    """The round trips of heartbeats, and their absence.

    frpc itself cuts the connection only after a minute or more; this tells long before, and harms nothing when it errs:
    with the next answer the server counts as there again. How long an answer may take follows the line as TCP's own
    timer does (RFC 6298): slow lines are not dead ones.

    Args:
        clock: Seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._awaited: deque[tuple[float, float]] = deque(maxlen=_MOST_AWAITED)
        self._due: float | None = None
        self._answered_at = float("-inf")
        self._deviation = 0.0
        self.latency: float | None = None
        """Seconds of a round trip to the server, smoothed; None: not measured yet."""

    def note(self, record: Mapping[str, Any]) -> bool:
        """Take in a heartbeat line; True when it is an answer."""
        now = self._clock()
        written = _written(record)
        if record["message"] == _SENT:
            self._awaited.append((written or now, now))
            if self._due is None:
                self._due = now + self._patience()
            return False
        if self._awaited:
            then, seen = self._awaited.popleft()
            if now - self._answered_at > _BURST:
                self._measure(written - then if written is not None else now - seen)
        self._answered_at = now
        self._due = self._awaited[0][1] + self._patience() if self._awaited else None
        return True

    def reset(self) -> None:
        """Await nothing: the connection to the server is gone, or a new one has begun."""
        self._awaited.clear()
        self._due = None

    def wait(self) -> float | None:
        """Give the seconds until an answer is overdue; None: none is awaited."""
        return max(0.0, self._due - self._clock()) if self._due is not None else None

    def is_overdue(self) -> bool:
        """Say, once for each silence, that an answer is overdue."""
        now = self._clock()
        if self._due is None or now < self._due:
            return False
        if now - self._due > _LATE:
            self._due = now + _LATE
            return False
        self._due = None
        return True

    def _patience(self) -> float:
        return max(_LEAST_PATIENCE, (self.latency or 0.0) + 4 * self._deviation)

    def _measure(self, took: float) -> None:
        took = min(max(took, 0.0), _MOST_MEASURED)
        if self.latency is None:
            self.latency, self._deviation = took, took / 2
            return
        self._deviation += (abs(self.latency - took) - self._deviation) / 4
        self.latency += (took - self.latency) / 8


def _written(record: Mapping[str, Any]) -> float | None:
    """Give when frpc wrote a line, by its own clock; None when it writes whole seconds only, up to frp 0.54."""
    if record["time"] is None or "." not in record["timestamp"]:
        return None
    seconds: float = record["time"].timestamp()
    return seconds
