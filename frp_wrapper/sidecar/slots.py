"""Counters of relayed tunnels in memory that host and sidecar share: the relay writes, the host reads without a call."""

from __future__ import annotations

import mmap
import time
from enum import IntEnum
from pathlib import Path


class Field(IntEnum):
    """The numbers of one slot, unsigned 64 bits each."""

    BYTES_SENT = 0
    BYTES_RECEIVED = 1
    CONNECTIONS = 2
    ERRORS = 3
    OPEN = 4
    LAST_ACTIVITY = 5
    """Nanoseconds since the epoch; 0: nothing yet."""
    HEALTH_CHECKS = 6
    """Connections of frpc's own health checks."""
    DATAGRAMS_SENT = 7
    DATAGRAMS_RECEIVED = 8
    DATAGRAMS_DROPPED = 9
    SESSIONS_EVICTED = 10
    """Sessions of datagrams that ended because others needed the room."""
    REFUSED_NOT_ALLOWED = 11
    REFUSED_UNKNOWN = 12
    REFUSED_LIMIT = 13
    REFUSED_RATE = 14
    REFUSED_VISITOR_RATE = 15


_SENT, _RECEIVED, _CONNECTIONS, _, _OPEN, _ACTIVITY = map(int, list(Field)[:6])
"""Plain numbers: those of an enumeration take longer to look up than to add."""
_WORDS = 16
"""A slot is two cache lines; what changes with each piece of data is in the first."""


def size_of(slots: int) -> int:
    """Give the bytes that so many slots take."""
    return slots * _WORDS * 8


class Slots:
    """Maps the file of counters.

    Args:
        path: The file; it must be there in full size.
        slots: How many slots it has.

    Raises:
        OSError: It cannot be mapped.
    """

    def __init__(self, path: str | Path, slots: int) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123 - the sidecar starts faster without pathlib's work
            self._map = mmap.mmap(file.fileno(), size_of(slots))
        self._words = memoryview(self._map).cast("Q")

    def read(self, slot: int, field: Field) -> int:
        """Give one number."""
        return self._words[slot * _WORDS + field]

    def add(self, slot: int, field: Field, amount: int) -> None:
        """Add to one number; only one thread of one process may write."""
        self._words[slot * _WORDS + field] += amount

    def went_on(self, slot: int, *, connections: int, open_now: int, sent: int, received: int) -> None:
        """Add what has happened just now, as `add` does, and set how many connections are open."""
        words, start = self._words, slot * _WORDS
        words[start + _SENT] += sent
        words[start + _RECEIVED] += received
        words[start + _CONNECTIONS] += connections
        words[start + _OPEN] = open_now
        words[start + _ACTIVITY] = time.time_ns()

    def write(self, slot: int, field: Field, value: int) -> None:
        """Set one number."""
        self._words[slot * _WORDS + field] = value

    def clear(self, slot: int) -> None:
        """Set all numbers of a slot to zero."""
        for field in Field:
            self.write(slot, field, 0)

    def close(self) -> None:
        """Unmap the file."""
        self._words.release()
        self._map.close()
