"""Who has come through a tunnel, and how much each has moved; bounded."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from frp_wrapper.metering.connection import Connection
from frp_wrapper.monitoring.counters import default_counters

__all__ = ["MOST_VISITORS", "VisitorTotals", "Visitors"]

MOST_VISITORS = 1000
"""Addresses of one tunnel that are told apart."""
_KEPT = 900
"""So many stay when there are too many: those that have moved the most."""


@dataclass(slots=True)
class VisitorTotals:
    """What one visitor's address has done; without its ports, which are another with each connection.

    Attributes:
        address: The visitor's address.
        connections: How many, the open ones included.
        open_connections: How many of them are open.
        bytes_sent: Payload bytes from the local service to it.
        bytes_received: Payload bytes from it to the local service.
        first_seen: When its first connection began that is remembered, UTC.
        last_seen: When its last one ended, or began if it is open.
    """

    address: str
    connections: int
    open_connections: int
    bytes_sent: int
    bytes_received: int
    first_seen: datetime
    last_seen: datetime

    @property
    def bytes_moved(self) -> int:
        """Both ways together."""
        return self.bytes_sent + self.bytes_received


class Visitors:
    """Sums the closed connections of one tunnel by visitor; safe for several threads.

    Where there are more than `MOST_VISITORS` addresses those that have moved the least are forgotten: who matters stays.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._totals: dict[str, VisitorTotals] = {}
        self.forgotten = 0
        """Addresses that were dropped because there were too many; one that comes back counts anew."""

    def add(self, connection: Connection) -> None:
        """Count a connection that has ended."""
        with self._lock:
            _add(self._totals, connection)
            if len(self._totals) > MOST_VISITORS:
                self._forget()

    def top(self, limit: int, open_now: Iterable[Connection] = ()) -> list[VisitorTotals]:
        """Give those that have moved the most, with what open connections have moved so far."""
        with self._lock:
            totals = {address: replace(total) for address, total in self._totals.items()}
        for connection in open_now:
            _add(totals, connection)
        return sorted(totals.values(), key=lambda total: -total.bytes_moved)[:limit]

    def _forget(self) -> None:
        if not self.forgotten:  # with the first, as most tunnels never have so many
            default_counters.watch(
                self,
                "forgotten",
                "frp_wrapper_visitors_forgotten_total",
                "Visitors' addresses that were dropped because a tunnel had too many.",
            )
        most = sorted(self._totals.values(), key=lambda total: -total.bytes_moved)
        self.forgotten += len(most) - _KEPT
        self._totals = {total.address: total for total in most[:_KEPT]}


def address_of(visitor: str) -> str:
    """Give the address of ``address:port``."""
    return visitor.rpartition(":")[0].strip("[]")


def _add(totals: dict[str, VisitorTotals], connection: Connection) -> None:
    if connection.visitor is None:
        return
    address, seen = address_of(connection.visitor), connection.closed_at or connection.opened_at
    total = totals.get(address)
    if total is None:
        total = totals[address] = VisitorTotals(address, 0, 0, 0, 0, connection.opened_at, seen)
    total.connections += 1
    total.open_connections += connection.closed_at is None
    total.bytes_sent += connection.bytes_sent or 0
    total.bytes_received += connection.bytes_received or 0
    total.first_seen = min(total.first_seen, connection.opened_at)
    total.last_seen = max(total.last_seen, seen)
