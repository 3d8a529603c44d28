"""The relay: stands between frpc and the local services of tunnels that ask for it, and counts what passes."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import struct
import threading
import time
from collections import deque
from typing import Any

from frp_wrapper.sidecar.link import Desk, Link
from frp_wrapper.sidecar.pump import BUFFER, PipePool
from frp_wrapper.sidecar.slots import Field, Slots

_ACCEPTS = 64
"""Connections taken at once before the open ones have their turn."""
_EVENTS = 512
_RECENT = 256
_BACKLOG = 1024
_NEWS = 8192
"""Connections that are noted until the host asks, which it does once a second."""
_NO_DESCRIPTOR_PAUSE = 0.05
"""Seconds to wait for a descriptor to come free when there is none for a new connection."""
_EDGES = _ERROR = _OUTGOING = 0
if hasattr(select, "epoll"):
    _OUTGOING = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    _ERROR = select.EPOLLERR
    _EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_RESET = struct.pack("ii", 1, 0)


class News:
    """What became of connections, until the host asks; bounded, and what the bound drops is counted."""

    def __init__(self) -> None:
        self._rows: deque[dict[str, Any]] = deque(maxlen=_NEWS)
        self._lost = 0
        self._lost_told = 0
        self.wants_opened = False
        """Whether the host wants to know of connections as soon as they begin."""

    def add(self, tunnel: str, kind: str, link: dict[str, Any]) -> None:
        """Note that a connection was ``opened`` or ``closed``, or by the service ``broken`` or ``failed``."""
        self._lost += len(self._rows) == _NEWS
        self._rows.append({"tunnel": tunnel, "kind": kind, "connection": link})

    def take(self, *, opened: bool) -> dict[str, Any]:
        """Give what has been noted since the last time, and how much was lost."""
        self.wants_opened = opened
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        lost, self._lost_told = self._lost - self._lost_told, self._lost
        return {"rows": rows, "lost": lost}


class Gate:
    """One relayed tunnel: where it listens, where it leads, and its connections."""

    def __init__(
        self, name: str, listener: socket.socket, target: tuple[str, int], slot: int, proxy_protocol: str
    ) -> None:
        self.name = name
        self.listener = listener
        self.target = target
        self.family = socket.AF_INET6 if ":" in target[0] else socket.AF_INET
        self.slot = slot
        self.proxy_protocol = proxy_protocol
        """``strip``: frpc sends the header, the service must not see it; ``keep``: it wants it; ``none``: none comes."""
        self.is_open = True
        """Once it is closed its slot may be another tunnel's: what its last connections carry is not counted."""
        self.links: set[Link] = set()
        self.recent: deque[dict[str, Any]] = deque(maxlen=_RECENT)


class Relay:
    """Serves all relayed tunnels of one sidecar, on one thread named ``relay``.

    Args:
        slots: Where to count.

    Raises:
        OSError: This system has no epoll.
    """

    def __init__(self, slots: Slots) -> None:
        if not hasattr(select, "epoll"):
            raise OSError(errno.EPROTONOSUPPORT, "the relay needs epoll, which only Linux has")
        self._slots = slots
        self._lock = threading.Lock()
        self._gates: dict[str, Gate] = {}
        self._listeners: dict[int, Gate] = {}
        self._links: dict[int, Link] = {}
        self._busy: set[Link] = set()
        self.news = News()
        self._desk = Desk(slots, memoryview(bytearray(BUFFER)), PipePool(), self.news)
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="relay", daemon=True)
        self._thread.start()

    def open(self, name: str, target: tuple[str, int], *, slot: int, port: int, proxy_protocol: str) -> int:
        """Listen for one tunnel and give the loopback port.

        Args:
            name: The tunnel.
            target: Host and port of the local service.
            slot: Where to count.
            port: The port to listen at; 0: any.
            proxy_protocol: See `Gate`.

        Raises:
            OSError: The port is taken, or the host is unknown.
        """
        address = socket.getaddrinfo(*target, type=socket.SOCK_STREAM)[0][4]
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts inherits this
        gate = Gate(name, listener, (str(address[0]), int(address[1])), slot, proxy_protocol)
        self._slots.write(slot, Field.OPEN, 0)
        with self._lock:
            self._gates[name] = gate
            self._listeners[listener.fileno()] = gate
        self._epoll.register(listener.fileno(), select.EPOLLIN)
        bound: int = listener.getsockname()[1]
        return bound

    def close(self, name: str) -> None:
        """Take no more connections for a tunnel; open ones may finish."""
        with self._lock:
            gate = self._gates.pop(name, None)
            if gate is None:
                return
            del self._listeners[gate.listener.fileno()]
            gate.is_open = False
        self._epoll.unregister(gate.listener.fileno())
        gate.listener.close()

    def connections(self, name: str) -> list[dict[str, Any]]:
        """Describe the open connections of a tunnel."""
        gate = self._gates.get(name)
        return [link.describe() for link in list(gate.links) if link.counted] if gate else []

    def recent(self, name: str) -> list[dict[str, Any]]:
        """Describe the last closed connections of a tunnel, newest last."""
        gate = self._gates.get(name)
        return list(gate.recent) if gate else []

    def stop(self) -> None:
        """Close everything and end the thread."""
        self._stopping = True
        os.write(self._wake_write, b"x")
        self._thread.join(2.0)
        # not before: the thread may end ahead of our write
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _run(self) -> None:
        poll, links, serve = self._epoll.poll, self._links, self._serve
        while not self._stopping:
            asking = []
            for descriptor, events in poll(0 if self._busy else None, _EVENTS):
                link = links.get(descriptor)
                if link is not None:
                    serve(link, descriptor, events)
                elif (gate := self._listeners.get(descriptor)) is not None:
                    asking.append(gate)
            if self._busy:
                self._go_on()
            for gate in asking:  # now: a new socket may get a descriptor of which events were still to come
                self._accept(gate)
        self._close_all()

    def _go_on(self) -> None:
        """Serve those that had more to do than fits in one turn."""
        links, self._busy = self._busy, set()
        for link in links:
            if not link.closed:
                self._serve(link, link.incoming.fileno(), 0)

    def _accept(self, gate: Gate) -> None:
        for _ in range(_ACCEPTS):
            try:
                incoming, peer = gate.listener.accept()
            except OSError as exc:  # none left, or closed meanwhile
                if exc.errno in (
                    errno.EMFILE,
                    errno.ENFILE,
                ):  # no descriptor left: epoll would call again at once
                    time.sleep(_NO_DESCRIPTOR_PAUSE)
                return
            self._connect(gate, incoming, f"{peer[0]}:{peer[1]}")

    def _connect(self, gate: Gate, incoming: socket.socket, peer: str) -> None:
        try:
            outgoing = socket.socket(gate.family, _OUTGOING)
            outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            self._refuse(gate, incoming, str(exc.strerror))
            return
        incoming.setblocking(False)
        code = outgoing.connect_ex(gate.target)
        if code not in (0, errno.EINPROGRESS):
            outgoing.close()
            self._refuse(gate, incoming, os.strerror(code))
            return
        link = Link(gate, incoming, outgoing, peer, self._desk)
        gate.links.add(link)
        for end in (incoming, outgoing):
            self._links[end.fileno()] = link
            self._epoll.register(end.fileno(), _EDGES)

    def _refuse(self, gate: Gate, incoming: socket.socket, why: str) -> None:
        self._slots.add(gate.slot, Field.CONNECTIONS, 1)
        self._slots.add(gate.slot, Field.ERRORS, 1)
        now = time.time()
        failed = {"visitor": None, "opened_at": now, "closed_at": now, "bytes_sent": 0, "bytes_received": 0}
        self.news.add(gate.name, "failed", failed | {"error": why})
        _reset(incoming)

    def _serve(self, link: Link, descriptor: int, events: int) -> None:
        if events & _ERROR:
            by_service = descriptor == link.outgoing.fileno()
            self._fail(link, link.error_of(descriptor), by_service=by_service)
            return
        try:
            if link.on_event(descriptor, events):
                self._busy.add(link)
            elif link.done:
                self._close(link, None)
        except OSError as exc:
            self._fail(link, exc.strerror or str(exc), by_service=False)

    def _fail(self, link: Link, why: str, *, by_service: bool) -> None:
        """Pass an abort on as an abort: a reset must not look like a clean end to the other side."""
        if by_service:
            link.count()
            self._slots.add(link.gate.slot, Field.ERRORS, 1)
        for end in (link.incoming, link.outgoing):
            with contextlib.suppress(OSError):
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._close(link, why, by_service=by_service)

    def _close(self, link: Link, error: str | None, *, by_service: bool = False) -> None:
        link.gate.links.discard(link)
        for end in (link.incoming, link.outgoing):
            self._links.pop(end.fileno(), None)
        link.close(error)
        if link.counted:
            described = link.describe()
            link.gate.recent.append(described)
            kind = "closed" if not by_service else "broken" if link.was_connected else "failed"
            self.news.add(link.gate.name, kind, described)

    def _close_all(self) -> None:
        for link in set(self._links.values()):
            self._close(link, "the relay ended")
        for gate in self._gates.values():
            gate.listener.close()
        self._desk.pipes.close()
        self._epoll.close()


def _reset(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    end.close()
