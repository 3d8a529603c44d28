"""What follows from the numbers of one tunnel: rates, quantiles, kinds of errors."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping

from frp_wrapper.failures import SERVICE_DOWN
from frp_wrapper.metering.connection import Connection, Counts, Tell
from frp_wrapper.metering.connection_rates import ConnectionRates
from frp_wrapper.metering.usage import Usage, UsagePage
from frp_wrapper.metering.visitors import Visitors, VisitorTotals
from frp_wrapper.monitoring.metrics import Rates, TunnelMetrics
from frp_wrapper.monitoring.quantiles import RecentQuantiles
from frp_wrapper.monitoring.rates import RateWindow
from frp_wrapper.tunnel import TunnelMeter

_ERRORS = {"failed": SERVICE_DOWN, "broken": "connection_broken"}
"""The kind of error behind what a connection did."""


class Statistics:
    """Adds to the totals of a meter what a history of them is needed for.

    Args:
        make: Makes the meter, given whom it shall tell what connections do.
        tell: Told the same.
        page: Where the days of the tunnel are kept.
        knows_beginnings: Whether the meter sees connections begin, without which their durations are not known.
    """

    def __init__(
        self,
        make: Callable[[Tell], TunnelMeter],
        tell: Tell,
        page: UsagePage,
        *,
        knows_beginnings: bool = True,
    ) -> None:
        self._tell = tell
        self._page = page
        self._visitors = Visitors()
        self._looks = ConnectionRates()
        self._knows_beginnings = knows_beginnings
        self._rates = RateWindow()
        self._errors: Counter[str] = Counter()
        self._latency: RecentQuantiles | None = None
        self._first_byte: RecentQuantiles | None = None
        self._duration: RecentQuantiles | None = None
        self._meter = make(self.note)

    def note(self, kind: str, connection: Connection) -> None:
        """Take in what a connection did, see `Tell`; on one thread at a time."""
        if kind in _ERRORS:
            self._errors[_ERRORS[kind]] += 1
        if kind in ("closed", "broken"):
            self._visitors.add(connection)
            if self._knows_beginnings:
                self._duration = self._duration or RecentQuantiles()
                self._duration.add(connection.duration)
        if kind != "opened" and connection.connect_seconds is not None:
            self._latency = self._latency or RecentQuantiles()
            self._latency.add(connection.connect_seconds)
        if kind != "opened" and connection.first_byte_seconds is not None:
            self._first_byte = self._first_byte or RecentQuantiles()
            self._first_byte.add(connection.first_byte_seconds)
        self._tell(kind, connection)

    def sample(self) -> None:
        """Note the totals for the rates; to be called once a second."""
        counts = self._meter.counts()
        if counts is not None:
            self._rates.note(time.monotonic(), counts)
            self._page.note(counts)

    def counts(self) -> Counts | None:
        """Give the totals alone; None: nothing counts."""
        return self._meter.counts()

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment; None for what nothing measures."""
        metrics = self._meter.read(tunnel_id)
        if metrics.source is not None:
            metrics.rates = self._current_rates()
            metrics.errors = dict(self._errors)
            metrics.latency = self._latency.summary() if self._latency else None
            metrics.first_byte = self._first_byte.summary() if self._first_byte else None
            metrics.duration = self._duration.summary() if self._duration else None
        return metrics

    def connections(self) -> list[Connection]:
        """Give the open connections, with their rates since they were last asked for."""
        return self._looks.rated(self._meter.connections())

    def visitors(self, limit: int) -> list[VisitorTotals]:
        """Give the visitors that have moved the most."""
        return self._visitors.top(limit, self._meter.connections())

    def usage(self) -> Usage | None:
        """Give the days; None: nothing counts."""
        counts = self._meter.counts()
        if counts is None:
            return None
        self._page.note(counts)
        return self._page.usage()

    def recent(self) -> list[Connection]:
        """Give the last closed connections, newest last."""
        return self._meter.recent()

    def close(self) -> None:
        """Stop counting; the last numbers stay readable."""
        self._meter.close()
        self.usage()  # with what came since the last sample

    def _current_rates(self) -> Mapping[int, Rates] | None:
        by_window = self._rates.rates(time.monotonic())
        known = {seconds: Rates(*rates) for seconds, rates in by_window.items() if rates is not None}
        return known or None
