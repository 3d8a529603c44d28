"""Averages, sums, rates and percentiles over a window, in the same time however many points there are."""

from __future__ import annotations

import math
import threading
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from datetime import datetime

from frp_wrapper.errors import ConfigError

__all__ = ["MetricsAggregator"]


class _Clock:
    """The times of points, in a ring; shared by all series whose points come at the same times.

    The shared one holds twice the window. Once a window it has those series part from it that did not keep up, while all
    their times are still there.
    """

    __slots__ = ("last", "n", "times", "users", "window")

    def __init__(self, window: int, *, shared: bool) -> None:
        self.window = window
        self.times = array("d", bytes(8 * window * (2 if shared else 1)))
        self.n = 0
        """How many times there have been; the last ones, as many as the ring holds, are there."""
        self.last = float("-inf")
        self.users: list[_Series] | None = [] if shared else None

    def append(self, at: float) -> None:
        if self.users is not None and self.n % self.window == 0:
            self._let_go()
        self.times[self.n % len(self.times)] = at
        self.n += 1
        self.last = at

    def at(self, number: int) -> float:
        return self.times[number % len(self.times)]

    def _let_go(self) -> None:
        assert self.users is not None
        for series in self.users:
            if series.n < self.n and series.clock is self:
                series.part()
        self.users = [series for series in self.users if series.clock is self]


class _Series:
    """The points of one metric of one tunnel: running sums in a ring, so that any sum is one subtraction."""

    __slots__ = ("clock", "floor", "n", "start", "sums")

    def __init__(self, clock: _Clock, first: int) -> None:
        self.clock = clock
        self.start = self.n = first
        """Points are numbered as in the clock: from ``start`` up to but not including ``n``."""
        self.sums = array("d", bytes(8 * clock.window))
        self.floor = 0.0
        """The running sum just before the oldest point that is still there."""
        if clock.users is not None:
            clock.users.append(self)

    def add(self, value: float, at: float) -> None:
        """Append a point that is not older than the last."""
        self._tick(at)
        number = self.n
        size = len(self.sums)
        place = number % size
        if number - self.start >= size:
            self.floor = self.sums[place]
        if place == 0:
            self._rebase()
        before = self.sums[place - 1] if number > self.start else 0.0
        self.sums[place] = before + value
        self.n = number + 1

    def _tick(self, at: float) -> None:
        clock = self.clock
        if clock.n == self.n and at >= clock.last:
            clock.append(at)
        elif not (self.n < clock.n and clock.at(self.n) == at):
            self.part()
            self.clock.append(at)

    def part(self) -> None:
        """Go on with a clock of one's own: this series has times that the shared one has not, or lacks some."""
        own = _Clock(self.clock.window, shared=False)
        for number in range(max(self.start, self.n - own.window), self.n):
            own.times[number % own.window] = own.last = self.clock.at(number)
        own.n = self.n
        self.clock = own

    def _rebase(self) -> None:
        """Keep the running sums small, so that they stay exact however long they run."""
        floor, self.floor = self.floor, 0.0
        if floor:
            self.sums = array("d", [value - floor for value in self.sums])

    def bounds(self, after: float | None) -> tuple[int, int]:
        """Give the numbers of the points that are later than a time: from the first up to but not including the last."""
        low = max(self.start, self.n - len(self.sums))
        if after is None or low >= self.n:
            return low, self.n
        return self._first_after(after, low), self.n

    def _first_after(self, after: float, low: int) -> int:
        times = self.clock.times
        size = len(times)
        place, count = low % size, self.n - low
        if place + count <= size:
            return low + bisect_right(times, after, place, place + count) - place
        if times[size - 1] > after:
            return low + bisect_right(times, after, place, size) - place
        return low + size - place + bisect_right(times, after, 0, place + count - size)

    def sum(self, low: int, high: int) -> float:
        """Give the sum of points by their numbers."""
        size = len(self.sums)
        before = self.sums[(low - 1) % size] if low > max(self.start, self.n - size) else self.floor
        return self.sums[(high - 1) % size] - before

    def values(self, low: int, high: int) -> list[float]:
        """Give points by their numbers."""
        return [self.sum(number, number + 1) for number in range(low, high)]

    def span(self, low: int, high: int) -> float:
        """Give the seconds from the first to the last of these points."""
        return self.clock.at(high - 1) - self.clock.at(low)


class MetricsAggregator:
    """Keeps the last points of many metrics, and gives numbers over them; safe for several threads.

    Args:
        window_size: Points that are kept of each metric; at one a second, the default is five minutes.
        max_series: Metrics of all tunnels together; points of further ones are counted in `refused` and dropped.

    Raises:
        ConfigError: ``window_size`` is less than one.
    """

    def __init__(self, window_size: int = 300, *, max_series: int = 100_000) -> None:
        if window_size < 1:
            raise ConfigError(f"window_size {window_size} is less than one", hint="Give the points to keep.")
        self.window_size = window_size
        self._max_series = max_series
        self._lock = threading.Lock()
        self._clock = _Clock(window_size, shared=True)
        self._series: dict[str, dict[str, _Series]] = {}
        self._count = 0
        self.refused = 0
        """Points that were dropped because there are too many metrics."""

    def add_data_point(
        self, tunnel_id: str, metric_type: str, value: float, timestamp: datetime | None = None
    ) -> None:
        """Add a point.

        Args:
            tunnel_id: The tunnel.
            metric_type: The metric, by any name.
            value: The number.
            timestamp: When it was so, with or without a zone (then local time); None: now.
        """
        at = time.time() if timestamp is None else timestamp.timestamp()
        with self._lock:
            series = self._find_or_make(tunnel_id, metric_type, at)
            if series is None:
                self.refused += 1
            elif series.n > series.start and at < series.clock.at(series.n - 1):
                self._insert(tunnel_id, metric_type, value, at)
            else:
                series.add(value, at)

    def get_average(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the average of the points of the last ``time_range`` seconds (None: of all that are kept); 0.0: none."""
        with self._lock:
            try:
                series = self._series[tunnel_id][metric_type]
            except KeyError:
                return 0.0
            high, sums = series.n, series.sums
            size = len(sums)
            low = max(series.start, high - size)
            if time_range is None:  # spelled out: this is asked for all tunnels again and again
                return (sums[(high - 1) % size] - series.floor) / (high - low)
            low, high = series.bounds(time.time() - time_range)
            return series.sum(low, high) / (high - low) if high > low else 0.0

    def get_sum(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the sum of the points; 0.0: none."""
        return self._over(tunnel_id, metric_type, time_range, _Series.sum)

    def get_count(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> int:
        """Give how many points there are."""
        return int(self._over(tunnel_id, metric_type, time_range, lambda _, low, high: float(high - low)))

    def get_min(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the least of the points; 0.0: none."""
        return self._over(tunnel_id, metric_type, time_range, lambda s, low, high: min(s.values(low, high)))

    def get_max(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the greatest of the points; 0.0: none."""
        return self._over(tunnel_id, metric_type, time_range, lambda s, low, high: max(s.values(low, high)))

    def get_percentile(
        self, tunnel_id: str, metric_type: str, percent: float, time_range: float | None = None
    ) -> float:
        """Give the value that ``percent`` of the points are not above; 0.0: none.

        Raises:
            ConfigError: ``percent`` is not from 0 to 100.
        """
        if not 0 <= percent <= 100:
            raise ConfigError(f"percent {percent} is not from 0 to 100", hint="The median is 50.")

        def rank(series: _Series, low: int, high: int) -> float:
            values = sorted(series.values(low, high))
            return values[max(0, math.ceil(len(values) * percent / 100) - 1)]

        return self._over(tunnel_id, metric_type, time_range, rank)

    def get_rate(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the increase a second of a number that only grows, such as bytes; 0.0: fewer than two points."""

        def rate(series: _Series, low: int, high: int) -> float:
            span = series.span(low, high)
            grown = series.sum(high - 1, high) - series.sum(low, low + 1)
            return grown / span if span > 0 else 0.0

        return self._over(tunnel_id, metric_type, time_range, rate)

    def remove_tunnel(self, tunnel_id: str) -> None:
        """Forget a tunnel; one that is not there is no error."""
        with self._lock:
            self._count -= len(self._series.pop(tunnel_id, {}))

    def _over(
        self,
        tunnel_id: str,
        metric_type: str,
        time_range: float | None,
        function: Callable[[_Series, int, int], float],
    ) -> float:
        after = None if time_range is None else time.time() - time_range
        with self._lock:
            series = self._series.get(tunnel_id, {}).get(metric_type)
            if series is None:
                return 0.0
            low, high = series.bounds(after)
            return function(series, low, high) if high > low else 0.0

    def _find_or_make(self, tunnel_id: str, metric_type: str, at: float) -> _Series | None:
        of_tunnel = self._series.get(tunnel_id)
        series = of_tunnel.get(metric_type) if of_tunnel is not None else None
        if series is not None:
            return series
        if self._count >= self._max_series:
            return None
        clock = self._clock
        first = clock.n - 1 if clock.n and clock.last == at else clock.n
        series = _Series(clock, first)
        self._series.setdefault(tunnel_id, {})[metric_type] = series
        self._count += 1
        return series

    def _insert(self, tunnel_id: str, metric_type: str, value: float, at: float) -> None:
        """Take a point that is older than the last: the series is made anew, in order."""
        old = self._series[tunnel_id][metric_type]
        low, high = old.bounds(None)
        times = [old.clock.at(number) for number in range(low, high)]
        points = sorted([*zip(times, old.values(low, high), strict=True), (at, value)])
        new = _Series(_Clock(self.window_size, shared=False), 0)
        for when, number in points[-self.window_size :]:
            new.add(number, when)
        self._series[tunnel_id][metric_type] = new
