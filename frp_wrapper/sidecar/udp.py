"""Forwards the datagrams of a tunnel, and knows its visitors apart: frpc has a socket of its own for each of them."""

from __future__ import annotations

import contextlib
import errno
import mmap
import select
import socket
import struct
import time
from collections import OrderedDict
from functools import partial
from typing import TYPE_CHECKING, Any

from frp_wrapper.sidecar.admission import Admission, refuse
from frp_wrapper.sidecar.news import describe
from frp_wrapper.sidecar.proxy_protocol import read_header
from frp_wrapper.sidecar.slots import Field
from frp_wrapper.sidecar.targets import family_of
from frp_wrapper.sidecar.udp_session import SESSION_SECONDS, Peer, Refused, Session, joined

if TYPE_CHECKING:
    from frp_wrapper.sidecar.event_loop import EventLoop
    from frp_wrapper.sidecar.link import Desk

_SESSIONS = 1024
"""Sessions of one tunnel; beyond it the one that would end first goes."""
_REFUSED = 1024
"""Sources of frpc that are refused and may send again."""
_BUDGET = 64
"""Datagrams that one socket may move before the others have their turn."""
_RECEIVE_BUFFER = 1 << 21
_SO_MEMINFO, _DROPS, _MEMINFO = 55, 8, struct.Struct("9I")
"""Where Linux tells how many datagrams did not fit into a socket's buffer."""

_PORTS = 65536


class UdpGate:
    """One relayed tunnel of datagrams; all but the constructor runs on the relay's thread.

    Args:
        name: The tunnel.
        listener: Where frpc sends to.
        target: Host and port of the local service.
        slot: Where to count.
        proxy_protocol: ``strip``: frpc puts a header before the first datagram of a session, and the service must not
            see it; ``keep``: it wants it; ``none``: none comes.
        every_datagram: The header is before every datagram (frp 0.63 to 0.66).
        visitor_prolongs: frpc keeps a socket open also for what the visitor sends (frp 0.69 and later), not only for
            what the service answers.
        admission: Who may come in; None: everybody.
        loop: The relay's thread.
        desk: What all tunnels of the thread share; its buffer must hold the largest datagram.
    """

    def __init__(
        self,
        name: str,
        listener: socket.socket,
        target: tuple[str, int],
        *,
        slot: int,
        proxy_protocol: str,
        every_datagram: bool,
        visitor_prolongs: bool,
        admission: Admission | None,
        loop: EventLoop,
        desk: Desk,
    ) -> None:
        self.name = name
        self.slot = slot
        self.admission = admission
        self.listener = listener
        self._target = target
        self._proxy_protocol = proxy_protocol
        self._every_datagram = every_datagram and proxy_protocol != "none"
        self._visitor_prolongs = visitor_prolongs
        self._loop = loop
        self._slots = desk.slots
        self._news = desk.news
        self._buffer = memoryview(desk.buffer)
        self._sessions: OrderedDict[Peer, Session] = OrderedDict()
        """The one that ends first is the first."""
        self._refused: OrderedDict[Peer, Refused] = OrderedDict()
        self._kernel_drops = 0
        self._busy_until = memoryview(mmap.mmap(-1, 8 * _PORTS)).cast("d")
        """For each source port, until when frpc's socket there lives; pages that are not used take no room."""

    def on_frpc(self, _events: int) -> None:
        """Take in datagrams of visitors."""
        for _ in range(_BUDGET):
            try:
                size, peer = self.listener.recvfrom_into(self._buffer)
            except BlockingIOError:
                return
            except OSError:  # an answer to a socket of frpc that is gone
                continue
            self._from_visitor(peer, self._buffer[:size])

    @property
    def open_now(self) -> int:
        """How many sessions there are."""
        return len(self._sessions)

    def describe(self) -> list[dict[str, Any]]:
        """Describe the sessions; may be called from another thread."""
        return [describe(session.row(closed=False)) for session in list(self._sessions.values())]

    def sweep(self) -> None:
        """End what has been idle for too long; to be called about once a second."""
        now = time.monotonic()
        for expired in (self._expired(self._sessions, now), self._expired(self._refused, now)):
            for peer in expired:
                self._forget(peer)
        self._count_kernel_drops()

    def close(self) -> None:
        """End all sessions and listen no more."""
        for peer in list(self._sessions):
            self._forget(peer)
        self._count_kernel_drops()
        self._loop.unwatch(self.listener)
        self.listener.close()

    # From the visitor

    def _from_visitor(self, peer: Peer, data: memoryview) -> None:
        now = time.monotonic()
        session = self._sessions.get(peer)
        if session is None:
            session, payload = self._arrive(peer, data, now)
        elif self._every_datagram:
            session, payload = self._look_again(session, data)
        else:
            payload = 0
        self._busy_until[peer[1]] = now + SESSION_SECONDS
        if session is not None:
            self._forward(
                session, data if self._proxy_protocol == "keep" else data[payload:], len(data) - payload
            )

    def _arrive(self, peer: Peer, data: memoryview, now: float) -> tuple[Session | None, int]:
        """Let a visitor in, or not; gives also where the payload begins."""
        goes_on = self._busy_until[peer[1]] > now and not self._every_datagram
        # of one who goes on, what looks like a header is his own, and may be a lie
        visitor, payload = (None, 0) if goes_on else self._read(data)
        refused = self._refused.get(peer)
        if refused is not None and (goes_on or visitor == refused.visitor):
            self._refused.move_to_end(peer)
            if not refused.may_try_again(now):
                return None, 0
            visitor = refused.visitor
        return self._begin(peer, visitor), payload

    def _look_again(self, session: Session, data: memoryview) -> tuple[Session | None, int]:
        visitor, payload = self._read(data)
        if visitor in (None, session.visitor):
            return session, payload
        self._forget(session.peer)  # frpc uses the port for another visitor now
        return self._begin(session.peer, visitor), payload

    def _read(self, data: memoryview) -> tuple[str | None, int]:
        """Give the visitor, and where the payload begins."""
        header = read_header(bytes(data[:256])) if self._proxy_protocol != "none" else None
        return (header.visitor, header.size) if header is not None else (None, 0)

    def _begin(self, peer: Peer, visitor: str | None) -> Session | None:
        reason = refuse(self, visitor, joined(peer), self._slots, self._news)
        if reason is not None:
            self._note_refused(peer, visitor, reason)
            return None
        self._refused.pop(peer, None)
        outgoing = self._connect()
        if outgoing is None:
            self._count(Field.DATAGRAMS_DROPPED, 1)
            return None
        session = self._sessions[peer] = Session(peer, visitor, outgoing)
        self._loop.watch(outgoing, partial(self._on_service, session), select.EPOLLIN)
        self._count(Field.CONNECTIONS, 1)
        self._count(Field.OPEN, 1)
        if self._news.wants_opened:
            self._news.add(self.name, "opened", session.row(closed=False))
        return session

    def _connect(self) -> socket.socket | None:
        if len(self._sessions) >= _SESSIONS:
            self._evict()
        try:
            return self._connected_socket()
        except OSError as exc:
            if exc.errno not in (errno.EMFILE, errno.ENFILE) or not self._sessions:
                return None
        self._evict()
        with contextlib.suppress(OSError):
            return self._connected_socket()
        return None

    def _connected_socket(self) -> socket.socket:
        outgoing = socket.socket(family_of(self._target), socket.SOCK_DGRAM)
        try:
            outgoing.setblocking(False)
            outgoing.connect(self._target)
        except OSError:
            outgoing.close()
            raise
        return outgoing

    def _forward(self, session: Session, data: memoryview, payload: int) -> None:
        try:
            self._send(session, data)
        except OSError:  # full, or larger than the way to the service takes
            self._count(Field.DATAGRAMS_DROPPED, 1)
            return
        session.received += payload
        self._count(Field.DATAGRAMS_RECEIVED, 1)
        self._count(Field.BYTES_RECEIVED, payload)
        self._slots.write(self.slot, Field.LAST_ACTIVITY, time.time_ns())
        if self._visitor_prolongs:
            self._prolong(session)

    def _send(self, session: Session, data: memoryview) -> None:
        try:
            session.outgoing.send(data)
        except ConnectionRefusedError as exc:  # what the kernel has to say of an earlier datagram
            self._fail(session, exc)
            session.outgoing.send(data)

    def _note_refused(self, peer: Peer, visitor: str | None, reason: str) -> None:
        self._refused[peer] = Refused(visitor, reason)
        self._refused.move_to_end(peer)
        if len(self._refused) > _REFUSED:
            self._refused.popitem(last=False)

    # From the service

    def _on_service(self, session: Session, _events: int) -> None:
        for _ in range(_BUDGET):
            try:
                size = session.outgoing.recv_into(self._buffer)
            except BlockingIOError:
                return
            except OSError as exc:
                self._fail(session, exc)
                return
            self._to_visitor(session, size)

    def _to_visitor(self, session: Session, size: int) -> None:
        try:
            self.listener.sendto(self._buffer[:size], session.peer)
        except OSError:
            self._count(Field.DATAGRAMS_DROPPED, 1)
            return
        session.sent += size
        if session.first_byte_seconds is None:
            session.first_byte_seconds = time.monotonic() - session.opened
        self._count(Field.DATAGRAMS_SENT, 1)
        self._count(Field.BYTES_SENT, size)
        self._slots.write(self.slot, Field.LAST_ACTIVITY, time.time_ns())
        self._prolong(session)

    def _fail(self, session: Session, error: OSError) -> None:
        """Note that nobody listens where the datagrams go; one error a session, whatever the number of datagrams."""
        if session.has_failed:
            return
        session.has_failed = True
        session.error = error.strerror or str(error)
        self._count(Field.ERRORS, 1)
        self._news.add(self.name, "failed" if not session.sent else "broken", session.row(closed=True))

    # The end of sessions

    def _prolong(self, session: Session) -> None:
        session.until = time.monotonic() + SESSION_SECONDS
        self._busy_until[session.peer[1]] = session.until
        self._sessions.move_to_end(session.peer)

    def _evict(self) -> None:
        peer, session = next(iter(self._sessions.items()))
        session.error = session.error or "ended: too many sessions"
        self._count(Field.SESSIONS_EVICTED, 1)
        self._forget(peer)

    def _forget(self, peer: Peer) -> None:
        self._refused.pop(peer, None)
        session = self._sessions.pop(peer, None)
        if session is None:
            return
        self._loop.unwatch(session.outgoing)
        session.outgoing.close()
        self._count(Field.OPEN, -1)
        if not session.has_failed:
            self._news.add(self.name, "closed", session.row(closed=True))

    @staticmethod
    def _expired(table: OrderedDict[Peer, Any], now: float) -> list[Peer]:
        expired = []
        for peer, entry in table.items():
            if entry.until > now:
                break
            expired.append(peer)
        return expired

    def _count_kernel_drops(self) -> None:
        with contextlib.suppress(OSError):
            counts = self.listener.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            if len(counts) < _MEMINFO.size:  # a kernel that does not tell
                return
            drops = _MEMINFO.unpack(counts)[_DROPS]
            self._count(Field.DATAGRAMS_DROPPED, drops - self._kernel_drops & 0xFFFFFFFF)
            self._kernel_drops = drops

    def _count(self, field: Field, amount: int) -> None:
        self._slots.add(self.slot, field, amount)


def listen(port: int) -> socket.socket:
    """Bind a loopback port for datagrams, with room for bursts.

    Raises:
        OSError: It is taken.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        listener.setblocking(False)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener
