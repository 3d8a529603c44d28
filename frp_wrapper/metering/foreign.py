"""Measures the sockets of one frpc that somebody else runs, by the kernel's own counters and with nothing sent to it.

Whose an open socket is, its inode tells: ``/proc/PID/fd`` has it. A closed socket has none any more; it is known by the
cookie that a dump has shown before, else by where it led: to a local service of this frpc. Which tunnel it belongs to,
frpc's debug lines tell where there are any, else where it led.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from frp_wrapper.frp.processes import FrpcProcess, socket_inodes
from frp_wrapper.metering.foreign_books import Books
from frp_wrapper.metering.foreign_held import Held, HeldSockets, since_boot
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.losses import watch_losses
from frp_wrapper.metering.sock_message import Sample, SocketKey, socket_key
from frp_wrapper.metering.sockdiag import DestroyEvents, Dumper, LostEventsError

__all__ = ["Destination", "ForeignMeter", "Routes"]

_INTERVAL = 1.0
"""Seconds between dumps."""
_FRESH = 0.05
"""Seconds for which a dump is taken for the present."""
_PASSED_OVER = 4096
_NAMELESS_SECONDS = 10.0
"""How long an open connection of frpc may be without a name before its log is taken for lost."""
_NAMES = 8192
"""Connections that frpc has named and that have not been seen: old ones of a log's past, mostly."""
_SO_COOKIE = 57
_NOT_TAKEN = "the local service did not take the connection"

Destination = tuple[bytes, int]
"""Address and port of a local service; the address as the kernel writes it."""


@dataclass(frozen=True, slots=True)
class Routes:
    """Where connections count.

    Attributes:
        at: The ledger for connections to a destination; of several tunnels that lead there, the one of all together.
        named: The ledger of each tunnel.
    """

    at: Mapping[Destination, Ledger] = field(default_factory=dict)
    named: Mapping[str, Ledger] = field(default_factory=dict)


class ForeignMeter:
    """Follows the sockets of one frpc, on a thread named ``frp-wrapper-foreign-NAME``.

    Args:
        name: For the thread's name.
        errors_are_logged: Failed connections are counted by who reads frpc's log, which tells more of them.

    Raises:
        OSError: This system has no sock_diag.
    """

    def __init__(self, name: str, *, errors_are_logged: bool) -> None:
        self._owner = os.getpid()
        self.errors_are_logged = errors_are_logged
        self._lock = threading.RLock()
        self._events = DestroyEvents()
        self._dumper = Dumper()
        self._process: FrpcProcess | None = None
        self._routes = Routes()
        self._ports: frozenset[int] = frozenset()
        self._ipv6 = False
        self._books = Books()
        self._held = HeldSockets(self._give_up)
        self._names: OrderedDict[SocketKey, str] = OrderedDict()
        self._nameless: OrderedDict[SocketKey, float] = OrderedDict()
        """Open sockets of frpc that should be named soon, and since when: one that stays and is not named proves that its
        log is lost. Those of its health checks do not stay."""
        self._others: set[int] = set()
        """Cookies of open sockets that other programs have."""
        self._doubtful: set[int] = set()
        """Likewise, but seen only once: frpc may have closed one of them before its open files were listed."""
        self._passed_over: deque[int] = deque(maxlen=_PASSED_OVER)
        self._dumped_at = 0.0
        self._has_begun = False
        """Whether what is seen for the first time is new: of older connections the names may be in no log any more."""
        self.names_come = False
        """Whether frpc names each connection in its log, and the log is read; to be set with each line that shows it."""
        self.lost_events = 0
        """Times that the kernel had to drop events; open connections were then found out by a dump."""
        self.unnamed_dropped = 0
        """Closed sockets to our services that frpc never named: other programs', or of health checks."""
        watch_losses(self, "lost_events", "unnamed_dropped")
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"frp-wrapper-foreign-{name}", daemon=True)
        self._events.only(())

    @property
    def untold_ends(self) -> int:
        """How many sockets closed whose last numbers the kernel has not told: what a look had shown before counts."""
        return self._books.untold_ends

    def start(self) -> None:
        """Take in what is open, and start the thread."""
        with self._lock:
            self._dump()
            self._has_begun = True
        self._thread.start()

    def follow(self, process: FrpcProcess | None) -> None:
        """Note which process is the frpc from now on; None: there is none now. What is open is followed to its end."""
        with self._lock:
            self._drain_events()
            if process is None:
                self._take_orphans()
            self._process = process
            if process is not None:
                self._others.clear()  # what was open before this was known to be frpc may be its own
                started = process.started / os.sysconf("SC_CLK_TCK")
                for held in self._held.release_absent():
                    if held.at >= started:
                        self._end_unseen(held.sample)
                    else:
                        self.unnamed_dropped += 1

    def route(self, routes: Routes) -> None:
        """Say where connections count from now on."""
        with self._lock:
            self._routes = routes
            self._ports = frozenset(port for _, port in routes.at)
            self._ipv6 = any(any(address[4:]) for address, _ in routes.at)
            self._events.only(self._ports)

    def name(self, local: str, remote: str, tunnel: str) -> None:
        """Take in that frpc has named a connection by its two ends, ``address:port``."""
        try:
            key = socket_key(local, remote)
        except ValueError:
            return
        with self._lock:
            self._names[key] = tunnel
            if len(self._names) > _NAMES:
                self._names.popitem(last=False)
            self._nameless.pop(key, None)
            held = self._held.release(key)
            if held is not None:
                self._place(held.sample, is_closed=held.is_closed)

    def pass_over(self, trial: socket.socket) -> None:
        """Never count a socket of this process that leads to a local service."""
        with self._lock, contextlib.suppress(OSError):  # a kernel before 4.12 does not tell cookies
            cookie = trial.getsockopt(socket.SOL_SOCKET, _SO_COOKIE, 8)
            self._passed_over.append(int.from_bytes(cookie, sys.byteorder))

    def refresh(self) -> None:
        """Bring the books to the present, unless that was done a moment ago."""
        if self._owner != os.getpid():  # forked: neither the lock nor the sockets are ours to use
            return
        with self._lock:
            if not self._stopping and time.monotonic() - self._dumped_at > _FRESH:
                self._drain_events()
                self._dump()

    def has_connection_to(self, port: int, process: FrpcProcess) -> bool:
        """Say whether a process holds a connection to this port of any machine."""
        with self._lock:
            made = [
                one.inode for one in self._dumper.samples([port], ipv6=True) if one.was_made and one.inode
            ]
        return bool(made) and not socket_inodes(process.pid).isdisjoint(made)

    def forget(self, ledger: Ledger) -> None:
        """Close the books of a tunnel; what is open counts as far as it is known."""
        with self._lock:
            self._books.forget(ledger)

    def stop(self) -> None:
        """End the thread and close the sockets."""
        with self._lock:
            self._stopping = True
        os.write(self._wake_write, b"x")
        if self._thread.is_alive():
            self._thread.join(5.0)
        for descriptor in (self._wake_read, self._wake_write):
            os.close(descriptor)
        self._events.close()
        self._dumper.close()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(self._events, selectors.EVENT_READ)
            selector.register(self._wake_read, selectors.EVENT_READ)
            while not self._stopping:
                selector.select(_INTERVAL)
                with self._lock, contextlib.suppress(OSError):  # netlink out of memory: the next round tells
                    self._drain_events()
                    self._expire()
                    if time.monotonic() - self._dumped_at >= _INTERVAL:
                        self._dump()

    # Closed sockets

    def _drain_events(self) -> None:
        while True:
            try:
                sample = self._events.read()
            except LostEventsError:
                self.lost_events += 1
                self._dump()
                continue
            if sample is None:
                return
            self._on_closed(sample)

    def _on_closed(self, sample: Sample) -> None:
        self._nameless.pop(sample.key, None)
        if self._books.end(sample):
            self._names.pop(sample.key, None)  # the next connection with these ends gets a name of its own
        elif self._books.amend(sample) or self._held.note(sample, is_closed=True):
            return
        elif sample.cookie in self._others:
            self._others.discard(sample.cookie)
        elif sample.cookie in self._passed_over:
            self._passed_over.remove(sample.cookie)
        elif _destination(sample) in self._routes.at:
            self._end_unseen(sample)

    def _end_unseen(self, sample: Sample) -> None:
        """Take in a closed socket that no dump has shown: only where it led tells whose it was."""
        if not sample.was_made:
            if self._process is not None and not self.errors_are_logged:
                self._routes.at[_destination(sample)].failed(_NOT_TAKEN)
        elif sample.key in self._names:
            self._place(sample, is_closed=True)
        elif self._process is None or self.names_come:
            self._hold(sample, is_ours=False, is_closed=True)
        else:
            self._place(sample, is_closed=True)

    # Open sockets

    def _dump(self) -> None:
        seen = set()
        unknown = []
        for sample in self._samples():
            seen.add(sample.cookie)
            if not self._is_known(sample) and _destination(sample) in self._routes.at:
                unknown.append(sample)
        self._sort_out(unknown)
        self._others &= seen
        self._dumped_at = time.monotonic()
        self._books.close_vanished(seen)

    def _is_known(self, sample: Sample) -> bool:
        """Take in what an open socket has carried, if it is known whose it is."""
        return self._books.note(sample) or self._held.note(sample) or sample.cookie in self._others

    def _sort_out(self, unknown: list[Sample]) -> None:
        """Find out which new sockets are frpc's."""
        made = [sample for sample in unknown if sample.was_made and sample.inode]
        doubtful: set[int] = set()
        if made and self._process is not None:
            inodes = socket_inodes(
                self._process.pid
            )  # after the dump: what was open then and is still, is in it
            for sample in made:
                if sample.inode in inodes:
                    self._take(sample)
                elif self._process.is_running:
                    known = self._others if sample.cookie in self._doubtful else doubtful
                    known.add(sample.cookie)
        self._doubtful = doubtful

    def _take(self, sample: Sample) -> None:
        if self.names_come and self._has_begun and sample.key not in self._names:
            self._nameless[sample.key] = since_boot()
            self._hold(sample, is_ours=True, is_closed=False)
        else:
            self._place(sample, is_closed=False)

    def _take_orphans(self) -> None:
        """Take in what a process that has ended left behind: the kernel closes it, and that may take a moment."""
        for sample in self._samples():
            is_orphan = not sample.inode and sample.was_made and _destination(sample) in self._routes.at
            if not is_orphan or self._is_known(sample):
                continue
            if self.names_come and sample.key not in self._names:
                self._hold(sample, is_ours=False, is_closed=False)
            else:
                self._place(sample, is_closed=False)

    def _samples(self) -> list[Sample]:
        return self._dumper.samples(self._ports, ipv6=self._ipv6) if self._ports else []

    # Where they count

    def _place(self, sample: Sample, *, is_closed: bool) -> None:
        """Let a socket count: in the tunnel that frpc has named, else by where it leads."""
        ledger = self._routes.named.get(self._names.get(sample.key, ""))
        ledger = ledger or self._routes.at.get(_destination(sample))
        if ledger is None:  # its tunnel was removed meanwhile
            return
        if is_closed:
            self._names.pop(sample.key, None)
            self._books.closed(ledger, sample)
        else:
            self._books.open(ledger, sample)

    def _hold(self, sample: Sample, *, is_ours: bool, is_closed: bool) -> None:
        self._held.hold(sample, is_ours=is_ours, is_closed=is_closed, was_away=self._process is None)

    def _expire(self) -> None:
        if self._nameless and next(iter(self._nameless.values())) < since_boot() - _NAMELESS_SECONDS:
            self._nameless.clear()
            self.names_come = False  # the log was set aside, and frpc writes on where nobody reads
        self._held.expire()

    def _give_up(self, held: Held) -> None:
        """End the wait for a name: what stays open is a visitor's whose name was lost, what ended was none of a visitor."""
        is_of_visitor = held.is_ours and not held.is_closed
        if is_of_visitor or not (self.names_come or held.was_away):
            self._place(held.sample, is_closed=held.is_closed)
        else:
            self.unnamed_dropped += 1


def _destination(sample: Sample) -> Destination:
    return sample.key.destination, sample.key.destination_port
