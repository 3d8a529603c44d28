"""Measures tunnels by the kernel's own counters of frpc's sockets, with nothing in the way of the data.

frpc's debug lines name the two ends of each connection to a local service, which tells frpc's sockets from those of
others and one tunnel from another; the kernel tells what went through them, and when they closed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime

from frp_wrapper.metering.ledger import Ledger, LiveConnection
from frp_wrapper.metering.losses import watch_losses
from frp_wrapper.metering.sock_message import Sample, SocketKey, socket_key
from frp_wrapper.metering.sock_request import MAX_FILTERED_PORTS
from frp_wrapper.metering.sockdiag import DestroyEvents, Dumper, LostEventsError

_INTERVAL = 1.0
"""Seconds between dumps while connections are open."""
_FRESH = 0.05
"""Seconds for which a dump is taken for the present."""
_LATE = 5.0
"""Seconds between looks for sockets that have vanished; the kernel's word on one is waited for until the second."""
_VERY_LATE = 60.0
"""Seconds after that in which the word still counts."""
_WAITING = 4096
_WAIT = 10.0
"""Closed sockets that frpc has not named yet: how many are held, and for how many seconds."""


class PassiveMeter:
    """Follows the sockets of all tunnels of this process, on one thread named ``frp-wrapper-passive``.

    Raises:
        OSError: This system has no sock_diag.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._lock = threading.RLock()
        self._events = DestroyEvents()
        self._dumper = Dumper()
        self._ports: Counter[int] = Counter()
        self._open: dict[SocketKey, tuple[Ledger, LiveConnection]] = {}
        self._told: dict[SocketKey, bytes] = {}
        self._ipv6 = False
        self._unnamed: OrderedDict[SocketKey, tuple[float, Sample]] = OrderedDict()
        self._missed: set[SocketKey] = set()
        self._vanished: OrderedDict[SocketKey, tuple[float, Ledger, LiveConnection]] = OrderedDict()
        self._dumped_at = self._searched_at = 0.0
        self.lost_events = 0
        """Times that the kernel had to drop events; open connections were then found out by a dump."""
        self.unnamed_dropped = 0
        """Closed sockets to our ports that frpc never named: other programs', or lines of frpc that were dropped."""
        self.untold_ends = 0
        """Sockets that closed and whose last numbers the kernel has not told: what a look had shown before counts."""
        watch_losses(self, "untold_ends", "lost_events", "unnamed_dropped")
        self._wake_read, self._wake_write = os.pipe()
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="frp-wrapper-passive", daemon=True)
        self._events.only(())
        self._thread.start()

    def watch(self, port: int) -> None:
        """Follow sockets that lead to a local service's port."""
        with self._lock:
            self._ports[port] += 1
            self._events.only(self._ports.keys())

    def unwatch(self, port: int) -> bool:
        """Undo one `watch`; True when no port is left."""
        with self._lock:
            self._ports[port] -= 1
            self._ports = +self._ports
            self._events.only(self._ports.keys())
            return not self._ports

    def opened(self, ledger: Ledger, local: str, remote: str) -> None:
        """Take in a connection that frpc has named by its two ends, ``address:port``."""
        connection = ledger.opened(local, datetime.now(UTC))
        try:
            key = socket_key(local, remote)
        except ValueError:
            return
        with self._lock:
            if key in self._open:  # the kernel uses the port again, and tells of the end before soon
                self._close_without_its_end(key)
            waiting = self._unnamed.pop(key, None)
            self._open[key] = (ledger, connection)
            self._told[key] = b""
            self._missed.discard(key)
            self._ipv6 |= any(key.source[4:])
            if waiting is not None:
                self._on_closed(waiting[1])

    def refresh(self) -> None:
        """Bring the books to the present, unless that was done a moment ago."""
        if self.owner != os.getpid():  # forked: neither the lock nor the sockets are ours to use
            return
        with self._lock:
            if self._open and time.monotonic() - self._dumped_at > _FRESH:
                self._drain_events()
                self._dump()

    def forget(self, ledger: Ledger) -> None:
        """Close the books of a tunnel; what is open counts as far as it is known."""
        with self._lock:
            for key in [key for key, (owner, _) in self._open.items() if owner is ledger]:
                owner, connection = self._open.pop(key)
                owner.closed(connection)
            self._dumper.look_anew()

    def stop(self) -> None:
        """End the thread and close the sockets."""
        self._stopping = True
        os.write(self._wake_write, b"x")
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
                selector.select(_INTERVAL if self._open or self._unnamed or self._vanished else None)
                with self._lock, contextlib.suppress(OSError):  # netlink out of memory: the next round tells
                    self._drain_events()
                    self._expire()
                    if self._open and time.monotonic() - self._dumped_at >= _INTERVAL:
                        self._dump()

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
            if self._is_of_a_vanished_one(sample):
                _, ledger, connection = self._vanished.pop(sample.key)
                ledger.amend(connection, sent=sample.received, received=sample.sent)
            elif sample.key in self._open:
                self._on_closed(sample)
            elif sample.key.destination_port in self._ports:
                self._hold(sample)

    def _is_of_a_vanished_one(self, sample: Sample) -> bool:
        """Say whether an end is that of a connection which counts as closed already, not of a later one with its port."""
        if sample.key not in self._vanished:
            return False
        later = self._open.get(sample.key)
        return later is None or later[1].cookie != sample.cookie

    def _close_without_its_end(self, key: SocketKey) -> None:
        ledger, connection = self._open.pop(key)
        ledger.closed(connection)
        self._vanished[key] = (time.monotonic(), ledger, connection)
        self._vanished.move_to_end(key)
        if len(self._vanished) > _WAITING:
            self._give_up_oldest()

    def _give_up_oldest(self) -> None:
        self._vanished.popitem(last=False)
        self.untold_ends += 1

    def _on_closed(self, sample: Sample) -> None:
        ledger, connection = self._open.pop(sample.key)
        ledger.moved(connection, sent=sample.received, received=sample.sent)
        ledger.closed(connection)

    def _hold(self, sample: Sample) -> None:
        """Keep the end of a connection that frpc's line has not named yet: a short one may end before it is read."""
        self._unnamed[sample.key] = (time.monotonic(), sample)
        if len(self._unnamed) > _WAITING:
            self._unnamed.popitem(last=False)
            self.unnamed_dropped += 1

    def _expire(self) -> None:
        limit = time.monotonic() - _WAIT
        while self._unnamed:
            key, (since, _) = next(iter(self._unnamed.items()))
            if since > limit:
                break
            del self._unnamed[key]
            self.unnamed_dropped += 1
        while self._vanished and next(iter(self._vanished.values()))[0] < time.monotonic() - _VERY_LATE:
            self._give_up_oldest()

    def _dump(self) -> None:
        if len(self._told) > len(self._open):
            for key in self._told.keys() - self._open.keys():
                del self._told[key]
        ports = self._leading_to()
        dump = self._dumper.dump(ports, self._told, ipv6=self._ipv6)
        for sample in dump.moved:
            ledger, connection = self._open[sample.key]
            connection.cookie = sample.cookie
            ledger.moved(connection, sent=sample.received, received=sample.sent)
        self._dumped_at = time.monotonic()
        if dump.found < len(self._open) and self._dumped_at - self._searched_at >= _LATE:
            self._close_vanished(self._dumper.present(ports, ipv6=self._ipv6))

    def _leading_to(self) -> Collection[int]:
        """Give ports that all open connections lead to; no others where the kernel could not sort those out for us."""
        if len(self._ports) <= MAX_FILTERED_PORTS:
            return self._ports.keys()
        return {key.destination_port for key in self._open}

    def _close_vanished(self, present: set[SocketKey]) -> None:
        """Close what two looks have not shown: its event was lost, or is late. Under load it may be very late."""
        missing = self._open.keys() - present
        vanished = missing & self._missed
        for key in vanished:
            self._close_without_its_end(key)
        self._missed = missing - vanished
        self._searched_at = self._dumped_at


_shared: PassiveMeter | None = None
_shared_lock = threading.Lock()


def watch(port: int) -> PassiveMeter:
    """Follow a port with the meter of this process, started by the first need.

    Raises:
        OSError: This system has no sock_diag.
    """
    global _shared  # noqa: PLW0603 - one thread and one netlink socket serve the whole process
    with _shared_lock:
        if _shared is None or _shared.owner != os.getpid():
            _shared = PassiveMeter()
        _shared.watch(port)
        return _shared


def unwatch(meter: PassiveMeter, port: int) -> None:
    """Undo one `watch`; the last one ends the meter."""
    global _shared  # noqa: PLW0603
    with _shared_lock:
        if meter.owner == os.getpid() and meter.unwatch(port):
            meter.stop()
            if _shared is meter:
                _shared = None
