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
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from frp_wrapper.sidecar.admission import Admission
from frp_wrapper.sidecar.entrance import SWEEP, Entrance, Handler, Visit, reset
from frp_wrapper.sidecar.gate import Gate
from frp_wrapper.sidecar.health_checks import health_check
from frp_wrapper.sidecar.link import Desk, Link
from frp_wrapper.sidecar.news import News, row
from frp_wrapper.sidecar.pump import BUFFER, PipePool
from frp_wrapper.sidecar.slots import Field, Slots
from frp_wrapper.sidecar.targets import Targets, addresses_of, family_of
from frp_wrapper.sidecar.udp import UdpGate, listen

_ACCEPTS = 64
"""Connections taken at once before the open ones have their turn."""
_EVENTS = 512
_BACKLOG = 1024
_SYN_RETRIES = 3
"""Tries more to reach a service that does not answer at all: 15 s, frpc itself waits 10."""
_NO_DESCRIPTOR_PAUSE = 0.05
"""Seconds to wait for a descriptor to come free when there is none for a new connection."""
_EDGES = _ERROR = _OUTGOING = 0
if hasattr(select, "epoll"):
    _OUTGOING = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    _ERROR = select.EPOLLERR
    _EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_RESET = struct.pack("ii", 1, 0)
_CALL_SECONDS = 2.0
"""How long somebody waits for the relay's thread."""


class Relay:
    """Serves all relayed tunnels of one sidecar, on one thread named ``relay``.

    Args:
        slots: Where to count.
        on_failure: Called on the relay's thread when it ends by a fault of its own.

    Raises:
        OSError: This system has no epoll.
    """

    def __init__(self, slots: Slots, on_failure: Callable[[], None]) -> None:
        if not hasattr(select, "epoll"):
            raise OSError(errno.EPROTONOSUPPORT, "the relay needs epoll, which only Linux has")
        self._slots = slots
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._gates: dict[str, Gate | UdpGate] = {}
        self._links: dict[int, Link] = {}
        self._handlers: dict[int, Handler] = {}
        """What is called for descriptors that are no link's."""
        self._busy: set[Link] = set()
        self.news = News()
        self._desk = Desk(slots, memoryview(bytearray(BUFFER)), PipePool(), self.news)
        self._entrance = Entrance(self, slots, self.news, self._connect)
        self._udp: list[UdpGate] = []
        self._swept_at = 0.0
        self._actions: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._epoll = select.epoll()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._handlers[self._wake_read] = self._act
        self._epoll.register(self._wake_read, select.EPOLLIN)
        self._stopping = False
        self._thread = threading.Thread(target=self._serve_all, name="relay", daemon=True)
        self._thread.start()

    def open(
        self,
        name: str,
        target: tuple[str, int],
        *,
        slot: int,
        port: int,
        proxy_protocol: str,
        rules: Mapping[str, Any] | None = None,
        check_path: str | None = None,
        check_host: str | None = None,
    ) -> int:
        """Listen for one tunnel and give the loopback port; one that listens there already is left alone.

        Args:
            name: The tunnel.
            target: Host and port of the local service.
            slot: Where to count.
            port: The port to listen at; 0: any.
            proxy_protocol: See `Gate`.
            rules: See `Admission`; None: everybody may come in.
            check_path: What frpc's health checks ask for; None: there are none.
            check_host: The Host header that they have; None: that of the port.

        Raises:
            OSError: The port is taken, or the host is unknown.
        """
        if self._is_open(name, port):
            return port
        targets = Targets(*target)
        listener = socket.create_server(("127.0.0.1", port), backlog=_BACKLOG)
        listener.setblocking(False)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # what it accepts inherits this
        bound: int = listener.getsockname()[1]
        host = None if proxy_protocol != "none" else check_host or f"127.0.0.1:{bound}"
        gate = Gate(
            name,
            listener,
            targets,
            slot,
            proxy_protocol=proxy_protocol,
            admission=Admission(rules) if rules is not None else None,
            health_check=health_check(check_path, host),
        )
        self._slots.write(slot, Field.OPEN, 0)
        with self._lock:
            self._gates[name] = gate
        self.watch(listener, partial(self._accept, gate), select.EPOLLIN)
        return bound

    def open_udp(
        self,
        name: str,
        target: tuple[str, int],
        *,
        slot: int,
        port: int,
        proxy_protocol: str,
        every_datagram: bool = False,
        visitor_prolongs: bool = True,
        rules: Mapping[str, Any] | None = None,
    ) -> int:
        """Listen for the datagrams of one tunnel and give the loopback port; see `open` and `UdpGate`.

        Raises:
            OSError: The port is taken, or the host is unknown.
        """
        if self._is_open(name, port):
            return port
        gate = UdpGate(
            name,
            listen(port),
            addresses_of(*target, socket.SOCK_DGRAM)[0],
            slot=slot,
            proxy_protocol=proxy_protocol,
            every_datagram=every_datagram,
            visitor_prolongs=visitor_prolongs,
            admission=Admission(rules) if rules is not None else None,
            loop=self,
            desk=self._desk,
        )
        bound: int = gate.listener.getsockname()[1]
        self._slots.write(slot, Field.OPEN, 0)
        with self._lock:
            self._gates[name] = gate
        self._call(lambda: self._begin_udp(gate))
        return bound

    def _is_open(self, name: str, port: int) -> bool:
        gate = self._gates.get(name)
        return gate is not None and gate.listener.getsockname()[1] == port

    def close(self, name: str) -> None:
        """Take no more connections for a tunnel; open ones may finish, sessions of datagrams end."""
        with self._lock:
            gate = self._gates.pop(name, None)
        if isinstance(gate, UdpGate):
            self._call(lambda: self._end_udp(gate))
        elif (
            gate is not None
        ):  # on that thread, so that it does not write into a slot that has been given back
            self._call(lambda: self._end_tcp(gate))

    def connections(self, name: str) -> list[dict[str, Any]]:
        """Describe the open connections of a tunnel."""
        gate = self._gates.get(name)
        return gate.connections() if gate else []

    def watch(self, end: socket.socket, handler: Handler, events: int) -> None:
        """Call ``handler`` with what epoll says of a socket."""
        descriptor = end.fileno()
        change = self._epoll.modify if descriptor in self._handlers else self._epoll.register
        self._handlers[descriptor] = handler
        change(descriptor, events)

    def unwatch(self, end: socket.socket) -> None:
        """Call nobody for it any more; before the socket is closed. One that is not watched is no error."""
        if self._handlers.pop(end.fileno(), None) is not None:
            self._epoll.unregister(end.fileno())

    def stop(self) -> None:
        """Close everything and end the thread."""
        self._stopping = True
        os.write(self._wake_write, b"x")
        self._thread.join(2.0)
        # not before: the thread may end ahead of our write
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _serve_all(self) -> None:
        try:
            self._run()
        except BaseException:  # noqa: BLE001 - whatever it is: a relay that only looks alive is worse than none
            traceback.print_exc()
            self._on_failure()

    def _run(self) -> None:
        links, serve = self._links, self._serve
        while not self._stopping:
            others = []
            for descriptor, events in self._epoll.poll(self._patience(), _EVENTS):
                link = links.get(descriptor)
                if link is not None:
                    serve(link, descriptor, events)
                else:
                    others.append((descriptor, events))
            if self._busy:
                self._go_on()
            # these may open descriptors, and an event of one that has just been closed must not meet its next owner
            for descriptor, events in others:
                if (handler := self._handlers.get(descriptor)) is not None:
                    handler(events)
            self._sweep()
        self._close_all()

    def _go_on(self) -> None:
        """Serve those that had more to do than fits in one turn."""
        links, self._busy = self._busy, set()
        for link in links:
            if not link.closed:
                self._serve(link, link.incoming.fileno(), 0)

    def _patience(self) -> float | None:
        if self._busy:
            return 0.0
        return SWEEP if self._entrance else 1.0 if self._udp else None

    def _sweep(self) -> None:
        """Look, now and then, at what has waited for too long."""
        if not (self._entrance or self._udp) or time.monotonic() - self._swept_at < SWEEP:
            return
        self._swept_at = time.monotonic()
        self._entrance.sweep()
        for gate in self._udp:
            gate.sweep()

    def _call(self, action: Callable[[], None]) -> None:
        """Have something done on the relay's thread, and wait for it."""
        done = threading.Event()
        self._actions.append((action, done))
        os.write(self._wake_write, b"x")
        done.wait(_CALL_SECONDS)

    def _act(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._actions:
            action, done = self._actions.popleft()
            action()
            done.set()

    def _begin_udp(self, gate: UdpGate) -> None:
        self._udp.append(gate)
        self.watch(gate.listener, gate.on_frpc, select.EPOLLIN)

    def _end_tcp(self, gate: Gate) -> None:
        gate.is_open = False
        self.unwatch(gate.listener)
        gate.listener.close()

    def _end_udp(self, gate: UdpGate) -> None:
        self._udp.remove(gate)
        gate.close()

    def _accept(self, gate: Gate, _events: int) -> None:
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
            self._entrance.receive(gate, incoming, f"{peer[0]}:{peer[1]}")

    def _connect(self, gate: Gate, incoming: socket.socket, peer: str, visit: Visit) -> None:
        target = gate.targets.current
        try:
            outgoing = socket.socket(family_of(target), _OUTGOING)
            outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            outgoing.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, _SYN_RETRIES)
        except OSError as exc:
            self._turn_away(gate, incoming, peer, visit, str(exc.strerror))
            return
        code = outgoing.connect_ex(target)
        if code not in (0, errno.EINPROGRESS):
            outgoing.close()
            self._turn_away(gate, incoming, peer, visit, os.strerror(code))
            return
        link = Link(gate, incoming, outgoing, peer, visit=visit, desk=self._desk)
        gate.links.add(link)
        for end in (incoming, outgoing):
            self._follow(end.fileno(), link)

    def _follow(self, descriptor: int, link: Link) -> None:
        """Have epoll tell of a link's socket; one that the entrance has waited for is known to it."""
        self._links[descriptor] = link
        change = self._epoll.register if self._handlers.pop(descriptor, None) is None else self._epoll.modify
        change(descriptor, _EDGES)

    def _turn_away(self, gate: Gate, incoming: socket.socket, peer: str, visit: Visit, why: str) -> None:
        """End a connection that cannot be made to the service."""
        self.unwatch(incoming)
        reset(incoming)
        if visit.is_check:
            return
        self._slots.add(gate.slot, Field.CONNECTIONS, 1)
        self._slots.add(gate.slot, Field.ERRORS, 1)
        now = time.time()
        self.news.add(gate.name, "failed", row(visit.visitor, peer, now, now, error=why))

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
        if by_service and not link.was_connected:
            link.gate.targets.turn()
        if by_service and link.counted and link.gate.is_open:
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
            kind = "closed" if not by_service else "broken" if link.was_connected else "failed"
            self.news.add(link.gate.name, kind, link.describe())

    def _close_all(self) -> None:
        for link in set(self._links.values()):
            self._close(link, "the relay ended")
        self._entrance.close()
        for gate in list(self._gates.values()):
            gate.close() if isinstance(gate, UdpGate) else gate.listener.close()
        self._desk.pipes.close()
        self._epoll.close()
