"""One connection of a visitor, as far as it can be known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

__all__ = ["Connection", "Counts", "Tell", "ignore"]


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection through a tunnel; times are timezone-aware UTC.

    Attributes:
        visitor: The visitor's ``address:port`` as the server sees it; None where nothing tells it (only the relay can).
        opened_at: When frpc handed it to the local service.
        closed_at: When it ended; None while it is open.
        bytes_sent: Payload bytes from the local service to the visitor; None: not measured.
        bytes_received: Payload bytes from the visitor to the local service; None: not measured.
        local_address: The ``address:port`` that the local service sees as its peer.
        error: Why it failed or was refused; None: it was not.
        connect_seconds: How long the local service took to accept it; None: not measured (only the relay does).
        sent_per_second: Bytes a second to the visitor since the open connections were last asked for, half a second ago at
            least; None: not known (yet), or closed.
        received_per_second: Likewise from the visitor.
        first_byte_seconds: How long it took from then until the first byte of the local service came; None: none has, or
            not measured (only the relay does).
        reason: Why it was refused, a code of docs/errors.md; None: it was not.
    """

    visitor: str | None
    opened_at: datetime
    closed_at: datetime | None
    bytes_sent: int | None
    bytes_received: int | None
    local_address: str | None = None
    error: str | None = None
    connect_seconds: float | None = None
    sent_per_second: float | None = None
    received_per_second: float | None = None
    first_byte_seconds: float | None = None
    reason: str | None = None

    @property
    def duration(self) -> float:
        """Seconds from opening to closing, or to now."""
        end = self.closed_at or datetime.now(self.opened_at.tzinfo)
        return (end - self.opened_at).total_seconds()


class Counts(NamedTuple):
    """The totals of a tunnel since it was made; what `TunnelMetrics` is made of, at less cost."""

    bytes_sent: int
    bytes_received: int
    connections: int
    errors: int


Tell = Callable[[str, Connection], None]
"""Is told what a connection did, and the connection: it was ``opened`` or ``closed``, by the local service ``broken`` off
or not taken (``failed``), or ``refused`` by the relay. Must not block."""


def ignore(kind: str, connection: Connection) -> None:
    """Tell nobody."""
