"""One relayed connection: its two sockets, the two directions between them, and its place in the counters."""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frp_wrapper.sidecar.news import News, Row
from frp_wrapper.sidecar.pump import PipePool, Pump
from frp_wrapper.sidecar.slots import Slots

if TYPE_CHECKING:
    from frp_wrapper.sidecar.entrance import Visit
    from frp_wrapper.sidecar.gate import Gate

_IN = _OUT = _ENDS = 0
if hasattr(select, "epoll"):
    _IN, _OUT, _ENDS = select.EPOLLIN, select.EPOLLOUT, select.EPOLLRDHUP | select.EPOLLHUP


class ServiceError(OSError):
    """The local service refused a connection, or broke it off."""

    def __init__(self, code: int) -> None:
        super().__init__(code, os.strerror(code))


@dataclass(slots=True)
class Desk:
    """What all connections of one relay thread work with."""

    slots: Slots
    buffer: memoryview
    pipes: PipePool
    news: News
    changed: set[Gate]
    """Tunnels of which the shared counters do not know all yet."""
    connecting: int = 0
    """Connections that the service has not taken yet."""


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
        "_closed_at", "_connect_seconds", "_desk", "_down", "_error", "_first_byte_seconds", "_opened_at",
        "_received", "_sent", "_up", "_visitor", "counted", "descriptor", "done", "gate", "incoming", "opened", "outgoing", "peer",
    )  # fmt: skip

    def __init__(
        self,
        gate: Gate,
        incoming: socket.SocketType,
        outgoing: socket.SocketType,
        peer: str,
        *,
        visit: Visit,
        desk: Desk,
    ) -> None:
        self.gate = gate
        self.incoming = incoming
        self.outgoing = outgoing
        self.peer = peer
        self.counted = False
        self.done = False
        """Both directions have come to their end."""
        self._desk = desk
        self._up = Pump(incoming, outgoing, desk.buffer, desk.pipes)
        self._down = Pump(outgoing, incoming, desk.buffer, desk.pipes)
        self._down.writable = True  # nothing has been sent to it
        self.descriptor = incoming.fileno()
        """That of the socket from frpc."""
        if visit.head or visit.ended:
            self._up.push(visit.head, visit.payload, ended=visit.ended)
        self._visitor = visit.visitor
        self._sent = 0
        self._received = 0
        self._opened_at = time.time()
        self.opened = time.monotonic()
        self._closed_at: float | None = None
        self._connect_seconds: float | None = None
        self._first_byte_seconds: float | None = None
        self._error: str | None = None
        desk.connecting += 1
        if not visit.is_check:
            self._count()

    @property
    def was_connected(self) -> bool:
        """The local service has taken the connection."""
        return self._connect_seconds is not None

    def error_of(self, descriptor: int) -> OSError:
        """Say why a socket failed."""
        if descriptor != self.descriptor:
            return ServiceError(self.outgoing.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR))
        code = self.incoming.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return OSError(code, os.strerror(code))

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
        if descriptor == self.descriptor:
            reading, writing = self._up, self._down
        else:
            reading, writing = self._down, self._up
        if events & _ENDS:
            reading.readable = reading.ending = True
        elif events & _IN:
            reading.readable = True
        more = False
        if not writing.writable and events & _OUT:
            writing.writable = True
            if self._connect_seconds is None:
                self._connected()
            more = writing.run(reading.finished)
        elif not events:
            more = writing.run(reading.finished) | reading.run(writing.finished)
        if reading.readable and reading.writable:
            more |= reading.run(writing.finished)
        if reading.moved or writing.moved:
            self._account()
        if reading.finished and writing.finished:
            self.done = True
        return more

    def close(self, error: str | None) -> None:
        """Close both sockets; once."""
        # true also when the clock is set meanwhile
        self._closed_at = self._opened_at + time.monotonic() - self.opened
        self._error = error
        if self._up.moved or self._down.moved:
            self._account()
        for pump in (self._up, self._down):
            if pump.pipe is not None:
                pump.return_pipe()
        self.incoming.close()
        self.outgoing.close()
        if self._connect_seconds is None:
            self._desk.connecting -= 1
        if self.counted:
            self.gate.open_now -= 1
            self._desk.changed.add(self.gate)

    def row(self) -> Row:
        """Note what is known of it."""
        return (
            self._visitor, self._opened_at, self._closed_at, self._sent, self._received, self.peer,
            self._error, None, self._connect_seconds, self._first_byte_seconds,
        )  # fmt: skip

    def _connected(self) -> None:
        self._connect_seconds = time.monotonic() - self.opened
        self._desk.connecting -= 1

    def _count(self) -> None:
        self.counted = True
        self.gate.connections += 1
        self.gate.open_now += 1
        self._desk.changed.add(self.gate)
        if self._desk.news.wants_opened:
            self._desk.news.add(self.gate.name, "opened", self.row())

    def _account(self) -> None:
        if not self.counted:
            return
        gate, up, down = self.gate, self._up, self._down
        if down.moved:
            if not self._sent:
                self._first_byte_seconds = time.monotonic() - self.opened
            self._sent += down.moved
            gate.sent += down.moved
            down.moved = 0
        if up.moved:
            self._received += up.moved
            gate.received += up.moved
            up.moved = 0
        self._desk.changed.add(gate)
