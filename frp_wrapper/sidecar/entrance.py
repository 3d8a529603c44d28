"""The first bytes of a connection: who comes, whether it is frpc's own check, and whether it may go on to the service."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from frp_wrapper.sidecar.admission import refuse
from frp_wrapper.sidecar.event_loop import EventLoop
from frp_wrapper.sidecar.health_checks import answer, asks_for_connection
from frp_wrapper.sidecar.news import News
from frp_wrapper.sidecar.proxy_protocol import read_header
from frp_wrapper.sidecar.slots import Field, Slots
from frp_wrapper.sidecar.targets import family_of

if TYPE_CHECKING:
    from frp_wrapper.sidecar.gate import Gate

_MAX_HEAD = 4096
_HEADER_PATIENCE = 5.0
"""Seconds in which a connection must say who comes; frpc says it at once."""
_CHECK_PATIENCE = 0.1
"""Seconds after which one that has said nothing is no check of frpc, where nothing else tells: its visitor waits."""
SWEEP = 0.1
"""Seconds between two looks at who waits for too long."""
_RESET = struct.pack("ii", 1, 0)


@dataclass(slots=True)
class Visit:
    """What is known of a connection when it goes on to the service; not changed any more.

    Attributes:
        visitor: The visitor's ``address:port``; None: not known.
        head: What has been read and goes to the service first.
        payload: How many bytes of it are the visitor's.
        ended: The visitor has sent its last byte.
        is_check: It is a health check of frpc.
    """

    visitor: str | None = None
    head: bytes = b""
    payload: int = 0
    ended: bool = False
    is_check: bool = False


UNKNOWN = Visit()
"""A visit of which nothing is known."""


class _Arrival:
    """A connection of which it is not known yet what it is."""

    __slots__ = ("gate", "head", "incoming", "peer", "until")

    def __init__(self, gate: Gate, incoming: socket.SocketType, peer: str) -> None:
        self.gate = gate
        self.incoming = incoming
        self.peer = peer
        self.head = b""
        patience = _CHECK_PATIENCE if gate.proxy_protocol == "none" else _HEADER_PATIENCE
        self.until = time.monotonic() + patience


class Entrance:
    """Reads the first bytes of connections, and lets in who may.

    Args:
        loop: The relay's thread.
        slots: Where to count.
        news: Where to tell of who is refused.
        enter: Takes a connection on to the service.
    """

    def __init__(
        self,
        loop: EventLoop,
        slots: Slots,
        news: News,
        enter: Callable[[Gate, socket.SocketType, str, Visit], None],
    ) -> None:
        self._loop = loop
        self._slots = slots
        self._news = news
        self._enter = enter
        self._waiting: set[_Arrival] = set()
        self._checks: set[_ConnectCheck] = set()

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def receive(self, gate: Gate, incoming: socket.SocketType, peer: str) -> None:
        """Take a new connection of frpc in, of which something has to be known before it goes on to the service."""
        incoming.setblocking(False)
        if gate.proxy_protocol == "none" and gate.health_check is None:
            self._admit(gate, incoming, peer, UNKNOWN)
            return
        arrival = _Arrival(gate, incoming, peer)
        if not self._read(arrival):
            self._waiting.add(arrival)
            self._loop.watch(incoming, partial(self._on_event, arrival), select.EPOLLIN)

    def sweep(self) -> None:
        """Decide about those that have waited too long."""
        now = time.monotonic()
        for arrival in [each for each in self._waiting if now >= each.until]:
            self._waiting.discard(arrival)
            self._settle(arrival, size=0, visitor=None, ended=False)

    def close(self) -> None:
        """Close what waits."""
        for arrival in self._waiting:
            arrival.incoming.close()
        for check in list(self._checks):
            check.close()

    def _on_event(self, arrival: _Arrival, _events: int) -> None:
        if self._read(arrival):
            self._waiting.discard(arrival)

    def _read(self, arrival: _Arrival) -> bool:
        """Read what has come, and decide; False when more is needed."""
        try:
            data = arrival.incoming.recv(_MAX_HEAD - len(arrival.head))
        except BlockingIOError:
            return False
        except OSError:  # reset by frpc: nobody comes
            self._turn_away(arrival.incoming)
            return True
        arrival.head += data
        ended = not data
        full = ended or len(arrival.head) >= _MAX_HEAD
        header = read_header(arrival.head) if arrival.gate.proxy_protocol != "none" else None
        if header is None and arrival.gate.proxy_protocol != "none" and not full:
            return False
        if header is not None and header.size:
            self._settle(arrival, header.size, header.visitor, ended=ended)
            return True
        check = arrival.gate.health_check
        is_check = check.recognise(arrival.head) if check is not None else False
        if is_check is None and not full:
            return False
        self._settle(arrival, 0, None, ended=ended, is_check=bool(is_check))
        return True

    def _settle(
        self, arrival: _Arrival, size: int, visitor: str | None, *, ended: bool, is_check: bool = False
    ) -> None:
        gate, head = arrival.gate, arrival.head
        if not gate.is_open:
            self._turn_away(arrival.incoming)
        elif is_check:
            self._check(arrival, Visit(None, head, len(head), ended, is_check=True))
        elif not size and gate.proxy_protocol != "none" and not head:
            # frps names every visitor, so this is a check that only looks whether somebody listens
            self._slots.add(gate.slot, Field.HEALTH_CHECKS, 1)
            self._loop.unwatch(arrival.incoming)
            arrival.incoming.close()
        else:
            forwarded = head if gate.proxy_protocol == "keep" else head[size:]
            visit = Visit(visitor, forwarded, len(head) - size, ended)
            self._admit(gate, arrival.incoming, arrival.peer, visit)

    def _admit(self, gate: Gate, incoming: socket.SocketType, peer: str, visit: Visit) -> None:
        if refuse(gate, visit.visitor, peer, self._slots, self._news) is None:
            self._enter(gate, incoming, peer, visit)
        else:
            self._turn_away(incoming)

    def _turn_away(self, incoming: socket.SocketType) -> None:
        self._loop.unwatch(incoming)
        reset(incoming)

    def _check(self, arrival: _Arrival, visit: Visit) -> None:
        gate = arrival.gate
        self._slots.add(gate.slot, Field.HEALTH_CHECKS, 1)
        if asks_for_connection(visit.head):
            _ConnectCheck(self._loop, self._checks, arrival.incoming, gate).start()
        else:
            self._enter(gate, arrival.incoming, arrival.peer, visit)


class _ConnectCheck:
    """Finds out for frpc whether the service takes a connection."""

    def __init__(
        self, loop: EventLoop, running: set[_ConnectCheck], incoming: socket.SocketType, gate: Gate
    ) -> None:
        self._loop = loop
        self._running = running
        self._incoming = incoming
        self._gate = gate
        self._outgoing: socket.SocketType | None = None

    def start(self) -> None:
        """Begin; what comes of it is told to frpc."""
        target = self._gate.targets.current
        try:
            self._outgoing = socket.socket(family_of(target), socket.SOCK_STREAM)
        except OSError:
            self._loop.unwatch(self._incoming)
            reset(self._incoming)
            return
        self._running.add(self)
        self._outgoing.setblocking(False)
        code = self._outgoing.connect_ex(target)
        self._loop.watch(self._incoming, self._on_frpc, select.EPOLLRDHUP)
        self._loop.watch(self._outgoing, self._on_service, select.EPOLLOUT)
        if code not in (0, errno.EINPROGRESS):
            self.close()

    def close(self) -> None:
        """End; frpc sees a reset, unless it has been answered."""
        if self._outgoing is None:
            return
        self._running.discard(self)
        for end in (self._incoming, self._outgoing):
            self._loop.unwatch(end)
        self._outgoing.close()
        self._outgoing = None
        reset(self._incoming)

    def _on_frpc(self, _events: int) -> None:
        self.close()  # it waits no longer

    def _on_service(self, _events: int) -> None:
        if self._outgoing is None:
            return
        failed = self._outgoing.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if failed:
            self._gate.targets.turn()
            self.close()
            return
        answer(self._incoming)
        self._running.discard(self)
        for end in (self._incoming, self._outgoing):
            self._loop.unwatch(end)
            end.close()
        self._outgoing = None


def reset(end: socket.SocketType) -> None:
    """Close a connection by a reset: nobody shall take it for a clean end."""
    make_abrupt(end)
    end.close()


def make_abrupt(end: socket.SocketType) -> None:
    """Let a connection end by a reset when it is closed."""
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
