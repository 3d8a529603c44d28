"""Averages, sums, rates and percentiles over a window, in the same time however many points there are."""

from __future__ import annotations

import math
import threading
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from datetime import datetime
from operator import itemgetter
from time import time

from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.counters import default_counters

__all__ = ["MetricsAggregator"]


_NO_CUT = (-1.0, 0.0, 0.0, 0)


class _Clock:
    """The times of points, oldest first; shared by all series whose points come at the same times.

    The shared one holds twice the window at least. Once a window it has those series part from it that did not keep up,
    while all their times are still there.
    """

    __slots__ = ("cut", "keep", "last", "n", "spare", "times", "users", "window")

    def __init__(self, window: int, first: int = 0, times: Iterable[float] = (), *, shared: bool) -> None:
        kept: list[float] | array[float] = list(times) if shared else array("d", times)
        self.times = (first, kept)
        """The number of the first time that is there, and the times; one tuple, so that readers have what belongs
        together. A list is searched faster, an array is smaller.
        """
        self.window = window
        self.keep, self.spare = (2 * window, window) if shared else (window, window // 8)
        self.n = first + len(kept)
        """How many times there have been."""
        self.last = kept[-1] if kept else float("-inf")
        self.users: list[_Series] | None = [] if shared else None
        self.cut = _NO_CUT
        """The last answer of `look`: the seconds asked for, from when until when it holds, and the answer."""

    def append(self, at: float) -> None:
        if self.users is not None and self.n % self.window == 0:
            self._let_go()
        first, times = self.times
        gone = len(times) - self.keep
        if gone > self.spare:
            times = times[gone:]  # a new one, as others may read the old one
            self.times = (first + gone, times)
        times.append(at)
        self.n += 1
        self.last = at

    def at(self, number: int) -> float:
        first, times = self.times
        return times[number - first]

    def slice(self, low: int, high: int) -> Iterable[float]:
        first, times = self.times
        return times[low - first : high - first]

    def look(self, seconds: float, now: float) -> int:
        """Give the number of the first time that is later than so many seconds ago.

        The next who asks for as many needs no search until that time is too old: between two points that is always.
        """
        first, times = self.times
        place = bisect_right(times, now - seconds)
        if 0 < place < len(times):
            self.cut = (seconds, times[place - 1] + seconds, times[place] + seconds, first + place)
        return first + place

    def _let_go(self) -> None:
        assert self.users is not None
        for series in self.users:
            if series.n < self.n and series.clock is self:
                series.part()
        self.users = [series for series in self.users if series.clock is self]


class _Series:
    """The points of one metric of one tunnel: running sums in a ring, so that any sum is one subtraction.

    The ring has two places more than the window. One is the running sum before the oldest point (0.0 before the first);
    the other is where the next point goes, so that adding one spoils nothing for whoever reads at the same time.
    """

    __slots__ = ("clock", "n", "start", "sums")

    def __init__(self, clock: _Clock, first: int) -> None:
        self.clock = clock
        self.start = self.n = first
        """Points are numbered as in the clock: from ``start`` up to but not including ``n``."""
        self.sums = array("d", (0.0,)) * (clock.window + 2)  # from bytes it would be made a sixteenth larger
        if clock.users is not None:
            clock.users.append(self)

    def add(self, value: float, at: float) -> None:
        """Append a point that is not older than the last."""
        number = self.n
        clock = self.clock
        if clock.n == number and at >= clock.last:
            clock.append(at)
        elif not (number < clock.n and clock.at(number) == at):
            self.part()
            self.clock.append(at)
        place = number % len(self.sums)
        if place == 0:
            self._rebase()
        sums = self.sums
        sums[place] = sums[place - 1] + value
        self.n = number + 1  # last: until then readers see the points without this one

    def part(self) -> None:
        """Go on with a clock of one's own: this series has times that the shared one has not, or lacks some."""
        low, high = self.bounds(None)
        self.clock = _Clock(self.clock.window, low, self.clock.slice(low, high), shared=False)

    def _rebase(self) -> None:
        """Keep the running sums small, so that they stay exact however long they run."""
        floor = self.sums[1]  # the one before the oldest point, as the next goes to place 0
        if floor:
            self.sums = array("d", [value - floor for value in self.sums])

    def bounds(self, after: float | None) -> tuple[int, int]:
        """Give the numbers of the points that are later than a time: from the first up to but not including the last."""
        high = self.n
        low = max(self.start, high - len(self.sums) + 2)
        if after is not None:
            first, times = self.clock.times
            low = first + bisect_right(times, after, low - first, high - first)
        return low, high

    def sum(self, low: int, high: int) -> float:
        """Give the sum of points by their numbers."""
        sums = self.sums
        return sums[(high - 1) % len(sums)] - sums[(low - 1) % len(sums)]

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
        default_counters.watch(
            self,
            "refused",
            "frp_wrapper_points_refused_total",
            "Points dropped because an aggregator has too many metrics.",
        )

    def add_data_point(
        self, tunnel_id: str, metric_type: str, value: float, timestamp: datetime | None = None
    ) -> None:
        """Add a point.

        Args:
            tunnel_id: The tunnel.
            metric_type: The metric, by any name.
            value: The number.
            timestamp: When it was so, with or without a zone (then local time); None: now.

        Raises:
            ConfigError: The number is infinite or none.
        """
        if not math.isfinite(value):
            raise ConfigError(f"{metric_type} {value} is not finite", hint="Leave out what was not measured.")
        at = time() if timestamp is None else timestamp.timestamp()
        with self._lock:
            series = self._series.get(tunnel_id, {}).get(metric_type)
            if series is None:
                self._begin(tunnel_id, metric_type, value, at)
            elif at < series.clock.at(series.n - 1):
                self._insert(tunnel_id, metric_type, value, at)
            else:
                series.add(value, at)

    def get_average(self, tunnel_id: str, metric_type: str, time_range: float | None = None) -> float:
        """Give the average of the points of the last ``time_range`` seconds (None: of all that are kept); 0.0: none."""
        try:
            series = self._series[tunnel_id][metric_type]
        except KeyError:
            return 0.0
        while True:  # without the lock: a point that comes meanwhile shows in n, and this runs again
            high, clock = series.n, series.clock
            sums = series.sums
            size = len(sums)
            low, start = high - size + 2, series.start
            low = low if low > start else start  # max() would take a fourth of the time of all this
            if time_range is not None:
                asked, since, until, later = clock.cut
                if asked != time_range or not since <= time() < until:
                    later = clock.look(time_range, time())
                low = low if low > later else later
            total = sums[(high - 1) % size] - sums[(low - 1) % size]
            if series.n == high and series.clock is clock:
                return total / (high - low) if high > low else 0.0

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
        after = None if time_range is None else time() - time_range
        with self._lock:
            series = self._series.get(tunnel_id, {}).get(metric_type)
            if series is None:
                return 0.0
            low, high = series.bounds(after)
            return function(series, low, high) if high > low else 0.0

    def _begin(self, tunnel_id: str, metric_type: str, value: float, at: float) -> None:
        if self._count >= self._max_series:
            self.refused += 1
            return
        clock = self._clock
        series = _Series(clock, clock.n - 1 if clock.last == at else clock.n)
        series.add(value, at)
        self._series.setdefault(tunnel_id, {})[metric_type] = (
            series  # with its first point, as others may read
        )
        self._count += 1

    def _insert(self, tunnel_id: str, metric_type: str, value: float, at: float) -> None:
        """Take a point that is older than the last: the series is made anew, in order."""
        old = self._series[tunnel_id][metric_type]
        low, high = old.bounds(None)
        points = [*zip(old.clock.slice(low, high), old.values(low, high), strict=True), (at, value)]
        points.sort(key=itemgetter(0))
        new = _Series(_Clock(self.window_size, shared=False), 0)
        for when, number in points[-self.window_size :]:
            new.add(number, when)
        self._series[tunnel_id][metric_type] = new
