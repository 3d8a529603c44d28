"""How much a tunnel has moved today and this month, by the calendar of this machine; kept in a file where one is given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import NamedTuple

from frp_wrapper.errors import ConfigError
from frp_wrapper.metering.connection import Counts
from frp_wrapper.metering.usage_file import MOST_TUNNELS, Days, merge, prune, read, update
from frp_wrapper.monitoring.counters import default_counters
from frp_wrapper.monitoring.logger import FRPLogger

__all__ = ["Traffic", "Usage", "UsageBook", "UsagePage"]


class Traffic(NamedTuple):
    """What has gone through in some days: payload bytes each way, connections, and those that failed."""

    bytes_sent: int = 0
    bytes_received: int = 0
    connections: int = 0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tunnel has moved, by days of this machine's calendar.

    Attributes:
        today: Since midnight, as far as it was counted.
        this_month: Since the first of the month, likewise.
        days: Each day that was counted, of this month and the one before; the oldest first.
    """

    today: Traffic
    this_month: Traffic
    days: Mapping[date, Traffic]

    @property
    def since(self) -> date | None:
        """The first of `days`; None: nothing was counted yet."""
        return next(iter(self.days), None)


class UsageBook:
    """The days of all tunnels of one client; safe for several threads.

    Args:
        server: ``host:port`` of the server: tunnels of other servers may have the same names.
        path: Where it is kept; None: only as long as this object lives. Several processes may share one file.
        today: Gives the day.

    Raises:
        ConfigError: The file cannot be read, or is no such file.
    """

    def __init__(self, server: str, path: Path | None = None, today: Callable[[], date] = date.today) -> None:
        self._server = server
        self._path = path
        self._today = today
        self._lock = threading.Lock()
        self._kept: Days = {}
        self._new: Days = {}
        self._logger = FRPLogger("usage")
        self._last_failure = ""
        self._pruned_on = today()
        self.forgotten = 0
        """Tunnels whose days were dropped because there were too many."""
        self.failures = 0
        """Times that the file could not be written; what is to be written waits for the next time."""
        if path is not None:
            self._kept = read(path).get(server, {})
        default_counters.watch(
            self,
            "forgotten",
            "frp_wrapper_usage_forgotten_total",
            "Tunnels whose days were dropped because there were too many.",
            server=server,
        )
        default_counters.watch(
            self,
            "failures",
            "frp_wrapper_usage_write_failures_total",
            "Times that the file of days could not be written.",
            server=server,
        )

    def page(self, tunnel: str) -> UsagePage:
        """Give the book of one tunnel."""
        return UsagePage(self, tunnel)

    def add(self, tunnel: str, moved: Traffic) -> None:
        """Count what a tunnel has moved just now."""
        today = self._today()
        with self._lock:
            merge(self._new, {tunnel: {today.isoformat(): list(moved)}})
            if len(self._new) > MOST_TUNNELS or today != self._pruned_on:
                self.forgotten += prune(self._new, today)
                self._pruned_on = today

    def usage(self, tunnel: str) -> Usage:
        """Give what a tunnel has moved."""
        days: Days = {tunnel: {}}
        with self._lock:
            for source in (self._kept, self._new):
                merge(days, {tunnel: source.get(tunnel, {})})
        today = self._today()
        by_day = {date.fromisoformat(day): Traffic(*numbers) for day, numbers in sorted(days[tunnel].items())}
        month = [moved for day, moved in by_day.items() if (day.year, day.month) == (today.year, today.month)]
        sums = [sum(numbers) for numbers in zip(*month, strict=True)]
        return Usage(by_day.get(today, Traffic()), Traffic(*sums), by_day)

    def flush(self) -> None:
        """Write to the file what is new; where that fails it is tried again with the next call."""
        if self._path is None:
            return
        with self._lock:  # who counts meanwhile waits for some milliseconds
            if not self._new:
                return
            try:
                self._kept, forgotten = update(self._path, self._server, self._new, self._today())
            except (OSError, ConfigError) as exc:
                self._note_failure(exc)
                return
            self._new = {}
            self.forgotten += forgotten

    def _note_failure(self, error: Exception) -> None:
        self.failures += 1
        if repr(error) != self._last_failure:  # not the same once a minute
            self._last_failure = repr(error)
            self._logger.log_error(error, {"usage_file": str(self._path)})


class UsagePage:
    """The book of one tunnel, fed with its totals.

    Args:
        book: Where it is kept.
        tunnel: The tunnel.
    """

    def __init__(self, book: UsageBook, tunnel: str) -> None:
        self._book = book
        self._tunnel = tunnel
        self._lock = threading.Lock()
        self._before = Counts(0, 0, 0, 0)

    def note(self, counts: Counts) -> None:
        """Take in the totals of this moment."""
        with self._lock:
            before, self._before = self._before, counts
            moved = Traffic(*(_grown(*pair) for pair in zip(before, counts, strict=True)))
        if any(moved):
            self._book.add(self._tunnel, moved)

    def usage(self) -> Usage:
        """Give what was counted so far."""
        return self._book.usage(self._tunnel)


def _grown(before: int, after: int) -> int:
    return after - before if after >= before else after  # a smaller total: it began anew
