"""One relayed connection: its two sockets, the two directions between them, and its place in the counters."""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from frp_wrapper.sidecar.news import News, row
from frp_wrapper.sidecar.pump import PipePool, Pump
from frp_wrapper.sidecar.slots import Slots

if TYPE_CHECKING:
    from frp_wrapper.sidecar.entrance import Visit
    from frp_wrapper.sidecar.gate import Gate

_IN = _OUT = _ENDS = 0
if hasattr(select, "epoll"):
    _IN, _OUT, _ENDS = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP | select.EPOLLHUP


@dataclass(frozen=True, slots=True)
class Desk:
    """What all connections of one relay thread work with: counters, a buffer, pipes."""

    slots: Slots
    buffer: memoryview
    pipes: PipePool
    news: News


class Link:
    """A connection from frpc to a local service.

    frpc's health checks pass, but are not counted as visitors.

    Args:
        gate: The tunnel.
        incoming: From frpc.
        outgoing: To the local service; may still be connecting.
        peer: frpc's ``address:port``.
        visit: What is known of it, and its first bytes.
        desk: What all connections of the thread share.
    """

    __slots__ = (
        "_closed_at", "_connect_seconds", "_descriptor", "_down", "_error", "_first_byte_seconds", "_news", "_opened", "_opened_at",
        "_received", "_sent", "_slots", "_up", "_visitor", "closed", "counted", "done", "gate", "incoming", "outgoing", "peer",
    )  # fmt: skip

    def __init__(
        self,
        gate: Gate,
        incoming: socket.socket,
        outgoing: socket.socket,
        peer: str,
        *,
        visit: Visit,
        desk: Desk,
    ) -> None:
        self.gate = gate
        self.incoming = incoming
        self.outgoing = outgoing
        self.peer = peer
        self.closed = False
        self.counted = False
        self.done = False
        """Both directions have come to their end."""
        self._slots = desk.slots
        self._news = desk.news
        self._up = Pump(incoming, outgoing, desk.buffer, desk.pipes)
        self._down = Pump(outgoing, incoming, desk.buffer, desk.pipes)
        self._down.writable = True  # nothing has been sent to it
        self._descriptor = incoming.fileno()
        self._up.push(visit.head)
        self._up.moved = visit.payload
        self._up.ended = visit.ended
        self._visitor = visit.visitor
        self._sent = 0
        self._received = 0
        self._opened_at = time.time()
        self._opened = time.monotonic()
        self._closed_at: float | None = None
        self._connect_seconds: float | None = None
        self._first_byte_seconds: float | None = None
        self._error: str | None = None
        if not visit.is_check:
            self._count()

    @property
    def was_connected(self) -> bool:
        """The local service has taken the connection."""
        return self._connect_seconds is not None

    def error_of(self, descriptor: int) -> str:
        """Say why a socket failed."""
        end = self.incoming if descriptor == self.incoming.fileno() else self.outgoing
        return os.strerror(end.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))

    def on_event(self, descriptor: int, events: int) -> bool:
        """Move what can be moved since epoll reported ``events`` of one of the sockets, and count it.

        Args:
            descriptor: That of the socket.
            events: 0 to go on where this stopped for the others to have their turn.

        Returns:
            Whether there is more to do at once.

        Raises:
            OSError: One of the sockets failed.
        """
        if descriptor == self._descriptor:
            reading, writing = self._up, self._down
        else:
            reading, writing = self._down, self._up
        if events & _ENDS:
            reading.readable = reading.ending = True
        elif events & _IN:
            reading.readable = True
        if not writing.writable and events & _OUT:
            writing.writable = True
            if writing is self._up and self._connect_seconds is None:
                self._connect_seconds = time.monotonic() - self._opened
        elif events:  # which concerns one direction
            return reading.writable and self._run(reading, writing)
        return self._run(self._up, self._down) | self._run(self._down, self._up)

    def _run(self, pump: Pump, other: Pump) -> bool:
        try:
            return pump.run(other.finished)
        finally:
            self.done = pump.finished and other.finished
            if pump.moved:
                self._account()

    def close(self, error: str | None) -> None:
        """Close both sockets."""
        if self.closed:
            return
        self.closed = True
        self._closed_at = (
            self._opened_at + time.monotonic() - self._opened
        )  # true also when the clock is set meanwhile
        self._error = error
        self._up.close()
        self._down.close()
        self.incoming.close()
        self.outgoing.close()
        if self.counted and self.gate.is_open:
            self._slots.closed(self.gate.slot)

    def describe(self) -> dict[str, Any]:
        """Give what is known of it; times are seconds since the epoch."""
        return row(
            self._visitor,
            self.peer,
            self._opened_at,
            self._closed_at,
            sent=self._sent,
            received=self._received,
            error=self._error,
            connect_seconds=self._connect_seconds,
            first_byte_seconds=self._first_byte_seconds,
        )

    def _count(self) -> None:
        self.counted = True
        if self.gate.is_open:
            self._slots.opened(self.gate.slot)
        if self._news.wants_opened:
            self._news.add(self.gate.name, "opened", self.describe())

    def _account(self) -> None:
        received, self._up.moved = self._up.moved, 0
        sent, self._down.moved = self._down.moved, 0
        if not self.counted:
            return
        self._received += received
        self._sent += sent
        if sent and self._first_byte_seconds is None:
            self._first_byte_seconds = time.monotonic() - self._opened
        if self.gate.is_open:
            self._slots.moved(self.gate.slot, sent, received)
