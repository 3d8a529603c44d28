"""The relay: stands between frpc and the local services of tunnels that ask for it, and counts what passes."""

from __future__ import annotations

import errno
import os
import select
import socket
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from frp_wrapper.sidecar.admission import Admission
from frp_wrapper.sidecar.entrance import SWEEP, UNKNOWN, Entrance, Visit, make_abrupt, reset
from frp_wrapper.sidecar.event_loop import EventLoop, Handler
from frp_wrapper.sidecar.gate import Gate
from frp_wrapper.sidecar.health_checks import health_check
from frp_wrapper.sidecar.link import Desk, Link, ServiceError
from frp_wrapper.sidecar.news import News, row
from frp_wrapper.sidecar.pump import BUFFER, PipePool
from frp_wrapper.sidecar.slots import Field, Slots
from frp_wrapper.sidecar.targets import Targets, addresses_of
from frp_wrapper.sidecar.udp import UdpGate, listen

_ACCEPTS = 64
"""Connections taken at once before the open ones have their turn."""
_BACKLOG = 1024
_LOOK = 1.0
"""Seconds between two looks at sessions of datagrams, and at connections that the service has not taken."""
_CONNECT_SECONDS = 10.0
"""How long a service may take to accept a connection; frpc itself waits as long."""
_NO_DESCRIPTOR_PAUSE = 0.05
"""Seconds to wait for a descriptor to come free when there is none for a new connection."""
_TCP, _NO_DELAY = int(socket.IPPROTO_TCP), int(socket.TCP_NODELAY)
_WAITING = (0, errno.EINPROGRESS)
_EDGES = _ERROR = _OUTGOING = 0
if hasattr(select, "epoll"):
    _OUTGOING = int(socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    _ERROR = select.EPOLLERR
    _EDGES = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET


class Relay:
    """Serves all relayed tunnels of one sidecar, on one thread named ``relay``.

    Args:
        slots: Where to count.
        on_failure: Called on the relay's thread when it ends by a fault of its own.

    Raises:
        OSError: This system has no epoll.
    """

    def __init__(self, slots: Slots, on_failure: Callable[[], None]) -> None:
        self._loop = EventLoop()
        self._slots = slots
        self._on_failure = on_failure
        self._lock = threading.Lock()
        self._gates: dict[str, Gate | UdpGate] = {}
        self._links: dict[int, Link] = {}
        self._busy: set[Link] = set()
        self.news = News()
        self._changed: set[Gate] = set()
        self._desk = Desk(slots, memoryview(bytearray(BUFFER)), PipePool(), self.news, self._changed)
        self._entrance = Entrance(self._loop, slots, self.news, self._connect)
        self._udp: list[UdpGate] = []
        self._swept_at = self._looked_at = 0.0
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
        self._loop.watch(listener, partial(self._accept, gate), select.EPOLLIN)
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
            loop=self._loop,
            desk=self._desk,
        )
        bound: int = gate.listener.getsockname()[1]
        self._slots.write(slot, Field.OPEN, 0)
        with self._lock:
            self._gates[name] = gate
        self._loop.call(lambda: self._begin_udp(gate))
        return bound

    def _is_open(self, name: str, port: int) -> bool:
        gate = self._gates.get(name)
        return gate is not None and gate.listener.getsockname()[1] == port

    def close(self, name: str) -> None:
        """Take no more connections for a tunnel; open ones may finish, sessions of datagrams end."""
        with self._lock:
            gate = self._gates.pop(name, None)
        if isinstance(gate, UdpGate):
            self._loop.call(lambda: self._end_udp(gate))
        elif (
            gate is not None
        ):  # on that thread, so that it does not write into a slot that has been given back
            self._loop.call(lambda: self._end_tcp(gate))

    def connections(self, name: str) -> list[dict[str, Any]]:
        """Describe the open connections of a tunnel."""
        gate = self._gates.get(name)
        return gate.describe() if gate else []

    def stop(self) -> None:
        """Close everything and end the thread."""
        self._stopping = True
        self._loop.wake()
        self._thread.join(2.0)
        self._loop.close()

    def _serve_all(self) -> None:
        try:
            self._run()
        except BaseException:  # noqa: BLE001 - whatever it is: a relay that only looks alive is worse than none
            traceback.print_exc()
            self._tell()
            self._on_failure()

    def _run(self) -> None:
        while not self._stopping:
            self._loop.handle(self._serve(self._ready()))
            self._sweep()
            self._tell()
        self._close_all()

    def _serve(self, ready: list[tuple[int, int]]) -> list[tuple[int, Handler, int]]:
        """Serve the links, and give what is left: events of other descriptors, with who handles them."""
        links, handlers, others = self._links, self._loop.handlers, []
        for descriptor, events in ready:
            link = links.get(descriptor)
            if link is None:
                if descriptor in handlers:
                    others.append((descriptor, handlers[descriptor], events))
                continue
            try:
                if events & _ERROR:
                    raise link.error_of(descriptor)
                has_more = link.on_event(descriptor, events)
            except OSError as exc:
                self._fail(link, exc)
                continue
            if has_more:
                self._busy.add(link)
            elif link.done:
                self._close(link, None)
        return others

    def _tell(self) -> None:
        for gate in self._changed:
            gate.tell(self._slots)
        self._changed.clear()

    def _ready(self) -> list[tuple[int, int]]:
        """Wait for what epoll has to tell; links that had more to do than fits in one turn come after it."""
        ready = self._loop.wait(self._patience())
        if self._busy:
            ready += [(link.descriptor, 0) for link in self._busy]
            self._busy.clear()
        return ready

    def _patience(self) -> float | None:
        if self._busy:
            return 0.0
        return SWEEP if self._entrance else _LOOK if self._udp or self._desk.connecting else None

    def _sweep(self) -> None:
        """Look, now and then, at what has waited for too long."""
        if not (self._entrance or self._udp or self._desk.connecting):
            return
        now = time.monotonic()
        if now - self._swept_at >= SWEEP:
            self._swept_at = now
            self._entrance.sweep()
            for gate in self._udp:
                gate.sweep()
        if self._desk.connecting and now - self._looked_at >= _LOOK:
            self._looked_at = now
            self._give_up(now)

    def _give_up(self, now: float) -> None:
        """End connections that the service has not taken; to look at all now and then costs less than a list of them."""
        for link in set(self._links.values()):
            if not link.was_connected and now - link.opened >= _CONNECT_SECONDS:
                self._fail(link, ServiceError(errno.ETIMEDOUT))

    def _begin_udp(self, gate: UdpGate) -> None:
        self._udp.append(gate)
        self._loop.watch(gate.listener, gate.on_frpc, select.EPOLLIN)

    def _end_tcp(self, gate: Gate) -> None:
        gate.tell(self._slots)
        gate.is_open = False
        self._loop.unwatch(gate.listener)
        gate.listener.close()

    def _end_udp(self, gate: UdpGate) -> None:
        self._udp.remove(gate)
        gate.close()

    def _accept(self, gate: Gate, _events: int) -> None:
        for _ in range(_ACCEPTS):
            try:
                # what accept() gives too, but without the layers of Python around it
                descriptor, peer = gate.listener._accept()  # type: ignore[attr-defined]
            except OSError as exc:  # none left, or closed meanwhile
                if exc.errno in (
                    errno.EMFILE,
                    errno.ENFILE,
                ):  # no descriptor left: epoll would call again at once
                    time.sleep(_NO_DESCRIPTOR_PAUSE)
                return
            incoming = socket.SocketType(socket.AF_INET, socket.SOCK_STREAM, 0, descriptor)
            if gate.is_open_to_all:
                self._connect(gate, incoming, f"{peer[0]}:{peer[1]}", UNKNOWN)
            else:
                self._entrance.receive(gate, incoming, f"{peer[0]}:{peer[1]}")

    def _connect(self, gate: Gate, incoming: socket.SocketType, peer: str, visit: Visit) -> None:
        target = gate.targets.current
        try:
            outgoing = socket.SocketType(gate.targets.family, _OUTGOING)
            outgoing.setsockopt(_TCP, _NO_DELAY, 1)
        except OSError as exc:
            self._turn_away(gate, incoming, peer, visit, str(exc.strerror))
            return
        code = outgoing.connect_ex(target)
        if code not in _WAITING:
            outgoing.close()
            self._turn_away(gate, incoming, peer, visit, os.strerror(code))
            return
        link = Link(gate, incoming, outgoing, peer, visit=visit, desk=self._desk)
        gate.links.add(link)
        descriptor, epoll = link.descriptor, self._loop.epoll
        is_known = self._loop.handlers.pop(descriptor, None) is not None  # the entrance has waited for it
        (epoll.modify if is_known else epoll.register)(descriptor, _EDGES)
        self._links[descriptor] = link
        descriptor = outgoing.fileno()
        epoll.register(descriptor, _EDGES)
        self._links[descriptor] = link

    def _turn_away(self, gate: Gate, incoming: socket.SocketType, peer: str, visit: Visit, why: str) -> None:
        """End a connection that cannot be made to the service."""
        self._loop.unwatch(incoming)
        reset(incoming)
        if visit.is_check:
            return
        self._slots.add(gate.slot, Field.CONNECTIONS, 1)
        self._slots.add(gate.slot, Field.ERRORS, 1)
        now = time.time()
        self.news.add(gate.name, "failed", row(visit.visitor, peer, now, now, error=why))

    def _fail(self, link: Link, error: OSError) -> None:
        """Pass an abort on as an abort: a reset must not look like a clean end to the other side."""
        by_service = isinstance(error, ServiceError)
        if by_service and not link.was_connected:
            link.gate.targets.turn()
        if by_service and link.counted and link.gate.is_open:
            self._slots.add(link.gate.slot, Field.ERRORS, 1)
        make_abrupt(link.incoming)
        make_abrupt(link.outgoing)
        self._close(link, error.strerror or str(error), by_service=by_service)

    def _close(self, link: Link, error: str | None, *, by_service: bool = False) -> None:
        link.gate.links.discard(link)
        self._busy.discard(link)
        del self._links[link.descriptor], self._links[link.outgoing.fileno()]
        link.close(error)
        if link.counted:
            kind = "closed" if not by_service else "broken" if link.was_connected else "failed"
            self.news.add(link.gate.name, kind, link.row())

    def _close_all(self) -> None:
        for link in set(self._links.values()):
            self._close(link, "the relay ended")
        self._tell()
        self._entrance.close()
        for gate in list(self._gates.values()):
            gate.close() if isinstance(gate, UdpGate) else gate.listener.close()
        self._desk.pipes.close()
