"""The connections of somebody else's frpc that count, from when it is known where until the kernel has told their end."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime

from frp_wrapper.metering.ledger import Ledger, LiveConnection
from frp_wrapper.metering.losses import watch_losses
from frp_wrapper.metering.sock_message import Sample, SocketKey

__all__ = ["Books"]

_LATE = 5.0
"""Seconds for which the kernel's word on a socket that has vanished is waited for before it counts as closed."""
_VERY_LATE = 60.0
_VANISHED = 4096
"""Closed sockets whose last numbers may still come: for how many seconds, and how many."""


@dataclass(slots=True)
class _Entry:
    ledger: Ledger
    connection: LiveConnection
    gone_since: float | None = None
    """Since when dumps have not shown it; seconds of a monotonic clock."""


class Books:
    """Counts connections in ledgers; for one thread at a time.

    They are kept by cookie: the kernel uses a port again before it has told of the end of the one before.
    """

    def __init__(self) -> None:
        self._open: dict[int, _Entry] = {}
        self._vanished: OrderedDict[int, _Entry] = OrderedDict()
        """Those that count as closed without the kernel's word, which may still come."""
        self.untold_ends = 0
        """Sockets that closed and whose last numbers the kernel has not told: what a look had shown before counts."""
        watch_losses(self, "untold_ends")

    def open(self, ledger: Ledger, sample: Sample) -> None:
        """Let a socket count that is open."""
        self._open[sample.cookie] = _begin(ledger, sample)

    def closed(self, ledger: Ledger, sample: Sample) -> None:
        """Let a socket count that has closed already."""
        ledger.closed(_begin(ledger, sample).connection)

    def note(self, sample: Sample) -> bool:
        """Take in what an open socket has carried; False: it does not count here."""
        entry = self._open.get(sample.cookie)
        if entry is not None:
            _note(entry, sample)
        return entry is not None

    def end(self, sample: Sample) -> bool:
        """Take in the last numbers of a socket that was open; False: it does not count here as such."""
        entry = self._open.pop(sample.cookie, None)
        if entry is not None:
            _note(entry, sample)
            entry.ledger.closed(entry.connection)
        return entry is not None

    def amend(self, sample: Sample) -> bool:
        """Take in the last numbers of a socket that had vanished; False: it is none of those."""
        entry = self._vanished.pop(sample.cookie, None)
        if entry is not None:
            entry.ledger.amend(entry.connection, sent=sample.received, received=sample.sent)
        return entry is not None

    def close_vanished(self, seen: set[int]) -> None:
        """Close what dumps have not shown for a while: its event was lost. The kernel may be late with one under load.

        Args:
            seen: The cookies that the last dump has shown.
        """
        now = time.monotonic()
        for cookie in seen & self._open.keys():
            self._open[cookie].gone_since = None
        for cookie in self._open.keys() - seen:
            entry = self._open[cookie]
            entry.gone_since = entry.gone_since or now
            if now - entry.gone_since > _LATE:
                del self._open[cookie]
                entry.ledger.closed(entry.connection)
                self._vanished[cookie] = entry
        self._give_up(now - _VERY_LATE)

    def forget(self, ledger: Ledger) -> None:
        """Close the books of a tunnel; what is open counts as far as it is known."""
        for cookie in [cookie for cookie, entry in self._open.items() if entry.ledger is ledger]:
            ledger.closed(self._open.pop(cookie).connection)

    def _give_up(self, limit: float) -> None:
        """Wait no longer for the end of sockets that vanished before ``limit``, or are too many."""
        while self._vanished:
            oldest = next(iter(self._vanished.values()))
            if len(self._vanished) <= _VANISHED and (oldest.gone_since or 0.0) > limit:
                return
            self._vanished.popitem(last=False)
            self.untold_ends += 1


def _begin(ledger: Ledger, sample: Sample) -> _Entry:
    entry = _Entry(ledger, ledger.opened(_source(sample.key), datetime.now(UTC)))
    _note(entry, sample)
    return entry


def _note(entry: _Entry, sample: Sample) -> None:
    entry.ledger.moved(entry.connection, sent=sample.received, received=sample.sent)


def _source(key: SocketKey) -> str:
    """Give the near end as the local service sees it."""
    is_ipv6 = any(key.source[4:])
    address = ipaddress.ip_address(key.source if is_ipv6 else key.source[:4])
    port = key.source_port
    return f"[{address}]:{port}" if is_ipv6 else f"{address}:{port}"
