"""What became of visitors' connections, noted until the host asks."""

from __future__ import annotations

from collections import deque
from typing import Any

_NEWS = 8192
"""Connections that are noted until the host asks, which it does once a second."""
_AT_ONCE = 4096
"""Connections in one answer: so that it stays a small part of the largest frame."""

Row = tuple[
    str | None, float, float | None, int, int, str, str | None, str | None, float | None, float | None
]
"""A connection, in the order of `_NAMES`; a tuple, because thousands a second are noted and memory is what that takes."""
_NAMES = (
    "visitor", "opened_at", "closed_at", "bytes_sent", "bytes_received", "local_address",
    "error", "reason", "connect_seconds", "first_byte_seconds",
)  # fmt: skip


class News:
    """What became of connections, until the host asks; bounded, and what the bound drops is counted."""

    def __init__(self) -> None:
        self._rows: deque[tuple[str, str, Row]] = deque(maxlen=_NEWS)
        self._lost = 0
        self._lost_told = 0
        self.wants_opened = False
        """Whether the host wants to know of connections as soon as they begin."""
        self.forgotten = 0
        """Visitors whose rate was forgotten before it was back to its full amount, because there were so many."""
        self._forgotten_told = 0

    def add(self, tunnel: str, kind: str, row: Row) -> None:
        """Note that a connection was ``opened``, ``closed`` or ``refused``, or by the service ``broken`` or ``failed``."""
        self._lost += len(self._rows) == _NEWS
        self._rows.append((tunnel, kind, row))

    def take(self, *, opened: bool) -> dict[str, Any]:
        """Give what has been noted since the last time, whether there is more, and how much was lost."""
        self.wants_opened = opened
        taken = [self._rows.popleft() for _ in range(min(_AT_ONCE, len(self._rows)))]
        rows = [{"tunnel": tunnel, "kind": kind, "connection": describe(row)} for tunnel, kind, row in taken]
        lost, self._lost_told = self._lost - self._lost_told, self._lost
        forgotten, self._forgotten_told = self.forgotten - self._forgotten_told, self.forgotten
        return {"rows": rows, "more": bool(self._rows), "lost": lost, "forgotten": forgotten}


def row(
    visitor: str | None,
    peer: str,
    opened_at: float,
    closed_at: float | None,
    *,
    sent: int = 0,
    received: int = 0,
    error: str | None = None,
    reason: str | None = None,
    first_byte_seconds: float | None = None,
) -> Row:
    """Note what is known of a connection; times are seconds since the epoch."""
    return (visitor, opened_at, closed_at, sent, received, peer, error, reason, None, first_byte_seconds)


def describe(row: Row) -> dict[str, Any]:
    """Name what is known of a connection for the host; what is not known is left out."""
    return {name: value for name, value in zip(_NAMES, row, strict=True) if value is not None}
