"""The books of one tunnel: what its connections have carried, closed and open."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from frp_wrapper.metering.connection import Connection, Counts, Tell, ignore

RECENT = 256
"""Closed connections that are remembered; older ones only count in the totals."""


@dataclass(slots=True)
class Totals:
    """Sums since the tunnel was made."""

    bytes_sent: int = 0
    bytes_received: int = 0
    connections: int = 0
    errors: int = 0
    open: int = 0
    last_activity: datetime | None = None


class LiveConnection:
    """An open connection in the books; its numbers only grow."""

    __slots__ = ("cookie", "local_address", "opened_at", "received", "sent")

    def __init__(self, local_address: str, opened_at: datetime) -> None:
        self.local_address = local_address
        self.opened_at = opened_at
        self.cookie: int | None = None
        """The kernel's own number for its socket; None: not known yet."""
        self.sent = 0
        self.received = 0


class Ledger:
    """Counts for one tunnel; safe for several threads.

    Args:
        measured: Whether bytes are measured at all; connections may be known without.
        tell: Told of each connection that begins, ends or fails.
    """

    def __init__(self, *, measured: bool, tell: Tell = ignore) -> None:
        self.measured = measured
        self._tell = tell
        self._lock = threading.Lock()
        self._closed = Totals()
        self._open: set[LiveConnection] = set()
        self._recent: deque[Connection] = deque(maxlen=RECENT)

    def opened(self, local_address: str, at: datetime) -> LiveConnection:
        """Note a new connection."""
        connection = LiveConnection(local_address, at)
        with self._lock:
            self._open.add(connection)
            self._closed.connections += 1
            self._closed.last_activity = at
        self._tell("opened", self._view(connection, None))
        return connection

    def moved(self, connection: LiveConnection, sent: int, received: int) -> None:
        """Note what a connection has carried so far: bytes to the visitor, bytes from the visitor."""
        with self._lock:
            if sent > connection.sent or received > connection.received:
                connection.sent = max(sent, connection.sent)
                connection.received = max(received, connection.received)
                self._closed.last_activity = datetime.now(UTC)

    def closed(self, connection: LiveConnection) -> None:
        """Note the end of a connection; a second call does nothing."""
        now = datetime.now(UTC)
        with self._lock:
            if connection not in self._open:
                return
            self._open.remove(connection)
            self._closed.bytes_sent += connection.sent
            self._closed.bytes_received += connection.received
            self._closed.last_activity = now
            ended = self._view(connection, now)
            self._recent.append(ended)
        self._tell("closed", ended)

    def amend(self, connection: LiveConnection, sent: int, received: int) -> None:
        """Add to the totals what a connection turns out to have carried that was closed without its last numbers."""
        with self._lock:
            self._closed.bytes_sent += max(0, sent - connection.sent)
            self._closed.bytes_received += max(0, received - connection.received)
            connection.sent, connection.received = (
                max(sent, connection.sent),
                max(received, connection.received),
            )

    def failed(self, error: str) -> None:
        """Note a connection that the local service refused."""
        now = datetime.now(UTC)
        with self._lock:
            self._closed.errors += 1
            self._closed.connections += 1
            self._closed.last_activity = now
        self._tell("failed", Connection(None, now, now, None, None, error=error))

    def totals(self) -> Totals:
        """Give a consistent copy of the sums, open connections included."""
        with self._lock:
            return replace(
                self._closed,
                bytes_sent=self._closed.bytes_sent + sum(c.sent for c in self._open),
                bytes_received=self._closed.bytes_received + sum(c.received for c in self._open),
                open=len(self._open),
            )

    def counts(self) -> Counts:
        """Give the sums alone, open connections included."""
        with self._lock:
            closed = self._closed
            sent, received = closed.bytes_sent, closed.bytes_received
            for connection in self._open:
                sent += connection.sent
                received += connection.received
            return Counts(sent, received, closed.connections, closed.errors)

    def connections(self) -> list[Connection]:
        """Give the open connections, oldest first."""
        with self._lock:
            return [self._view(c, None) for c in sorted(self._open, key=lambda c: c.opened_at)]

    def recent(self) -> list[Connection]:
        """Give the last closed connections, newest last."""
        with self._lock:
            return list(self._recent)

    def _view(self, connection: LiveConnection, closed_at: datetime | None) -> Connection:
        return Connection(
            visitor=None,
            opened_at=connection.opened_at,
            closed_at=closed_at,
            bytes_sent=connection.sent if self.measured else None,
            bytes_received=connection.received if self.measured else None,
            local_address=connection.local_address,
        )
