"""How fast the open connections are, from one look at them to the next."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import NamedTuple

from frp_wrapper.metering.connection import Connection

__all__ = ["ConnectionRates"]

_SHORTEST, _LONGEST = 0.5, 60.0
"""Seconds between two looks that give a rate of now."""

Name = tuple[datetime, str | None, str | None]


class _Look(NamedTuple):
    at: float
    moved: dict[Name, tuple[int, int]]


class ConnectionRates:
    """Remembers the last looks at the connections of one tunnel; costs nothing while nobody asks.

    Args:
        clock: Seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._before: _Look | None = None
        self._last: _Look | None = None

    def rated(self, connections: Sequence[Connection]) -> list[Connection]:
        """Give them with their rates."""
        now = self._clock()
        with self._lock:
            before = self._reference(now)
            moved = {_name(one): (one.bytes_sent or 0, one.bytes_received or 0) for one in connections}
            if self._last is None or now - self._last.at >= _SHORTEST:
                self._before, self._last = self._last, _Look(now, moved)
        if before is None:
            return list(connections)
        return [_rated(one, before, now) for one in connections]

    def _reference(self, now: float) -> _Look | None:
        """Give the last look that is long enough ago."""
        for look in (self._last, self._before):
            if look is not None and _SHORTEST <= now - look.at <= _LONGEST:
                return look
        return None


def _name(connection: Connection) -> Name:
    return connection.opened_at, connection.local_address, connection.visitor


def _rated(connection: Connection, before: _Look, now: float) -> Connection:
    if connection.bytes_sent is None or connection.bytes_received is None:
        return connection
    sent, received = before.moved.get(_name(connection), (0, 0))  # else it is younger than that look
    passed = now - before.at
    return replace(
        connection,
        sent_per_second=max(0, connection.bytes_sent - sent) / passed,
        received_per_second=max(0, connection.bytes_received - received) / passed,
    )
