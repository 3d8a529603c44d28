"""What became of visitors' connections, noted until the host asks."""

from __future__ import annotations

from collections import deque
from typing import Any

_NEWS = 8192
"""Connections that are noted until the host asks, which it does once a second."""
_AT_ONCE = 4096
"""Connections in one answer: so that it stays a small part of the largest frame."""


class News:
    """What became of connections, until the host asks; bounded, and what the bound drops is counted."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=_NEWS)
        self._lost = 0
        self._lost_told = 0
        self.wants_opened = False
        """Whether the host wants to know of connections as soon as they begin."""
        self.forgotten = 0
        """Visitors whose rate was forgotten before it was back to its full amount, because there were so many."""
        self._forgotten_told = 0

    def add(self, tunnel: str, kind: str, row: dict[str, Any]) -> None:
        """Note that a connection was ``opened``, ``closed`` or ``refused``, or by the service ``broken`` or ``failed``."""
        self._lost += len(self._rows) == _NEWS
        self._rows.append({"tunnel": tunnel, "kind": kind, "connection": row})

    def take(self, *, opened: bool) -> dict[str, Any]:
        """Give what has been noted since the last time, whether there is more, and how much was lost."""
        self.wants_opened = opened
        rows = [self._rows.popleft() for _ in range(min(_AT_ONCE, len(self._rows)))]
        lost, self._lost_told = self._lost - self._lost_told, self._lost
        forgotten, self._forgotten_told = self.forgotten - self._forgotten_told, self.forgotten
        return {"rows": rows, "more": bool(self._rows), "lost": lost, "forgotten": forgotten}


def row(
    visitor: str | None,
    peer: str,
    opened_at: float,
    closed_at: float | None = None,
    *,
    sent: int = 0,
    received: int = 0,
    error: str | None = None,
    reason: str | None = None,
    connect_seconds: float | None = None,
    first_byte_seconds: float | None = None,
) -> dict[str, Any]:
    """Describe a connection to the host; times are seconds since the epoch, what is not known is left out."""
    known = {
        "visitor": visitor,
        "opened_at": opened_at,
        "closed_at": closed_at,
        "bytes_sent": sent,
        "bytes_received": received,
        "local_address": peer,
        "error": error,
        "reason": reason,
        "connect_seconds": connect_seconds,
        "first_byte_seconds": first_byte_seconds,
    }
    return {name: value for name, value in known.items() if value is not None}
