"""Quantiles of durations in little memory: buckets whose bounds grow by two per cent, so that no answer is off by more.

The idea is that of DDSketch (Masson, Rim, Lee: https://arxiv.org/abs/1908.10693).
"""

from __future__ import annotations

import time
from array import array
from bisect import bisect_right
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import accumulate
from math import exp, isfinite, log
from operator import add

from frp_wrapper.errors import ConfigError

__all__ = ["QuantileSketch", "Quantiles", "RecentQuantiles"]

_LEAST, _MOST = 1e-6, 86_400.0
"""Seconds. What is less or more counts as the least or most; beyond the most only `QuantileSketch.max` is exact."""
_ACCURACY = 0.01
_LOG_GROWTH = log((1 + _ACCURACY) / (1 - _ACCURACY))
_SCALE = 1 / _LOG_GROWTH
_SHIFT = -log(_LEAST) * _SCALE
_MIDDLE = _LEAST * (1 + _ACCURACY)
"""What a bucket's lower bound is multiplied by, for the value that is equally far, in per cent, from both bounds."""
_STEP = 32
"""Buckets are added so many at a time."""

_Buckets = tuple[int, "array[int]"]
_NONE: _Buckets = (0, array("H"))


@dataclass(frozen=True, slots=True)
class Quantiles:
    """How long something took; all in seconds, each within one per cent, `max` exactly.

    Attributes:
        count: Values that these numbers are of.
        p50: Half of the values are not above this.
        p90: 90 % are not above this.
        p95: 95 % are not above this.
        p99: 99 % are not above this.
        max: The greatest.
    """

    count: int
    p50: float
    p90: float
    p95: float
    p99: float
    max: float


class QuantileSketch:
    """Counts values by their size, and gives any quantile of them within one per cent.

    Values are seconds, from a microsecond to a day. The memory is that of the buckets from the least to the greatest
    value: two bytes each, at most 2.5 KB, as long as no bucket has more than 65,535 values, then four. One thread at a
    time may add and merge; others may read meanwhile.
    """

    __slots__ = ("_buckets", "max")

    def __init__(self) -> None:
        self._buckets = _NONE
        """The number of the first bucket that is there, and the counts; one tuple, so that readers have what belongs
        together.
        """
        self.max = 0.0
        """The greatest value, in seconds; 0.0: there is none."""

    @property
    def count(self) -> int:
        """How many values there are."""
        return sum(self._buckets[1])

    def add(self, value: float) -> None:
        """Count a value.

        Raises:
            ConfigError: The value is infinite or not a number.
        """
        if _LEAST <= value <= self.max:
            first, counts = self._buckets
            place = int(log(value) * _SCALE + _SHIFT) - first
            if place >= 0:
                try:
                    counts[place] += 1
                except (IndexError, OverflowError):
                    pass
                else:
                    return
        self._add_new(value)

    def merge(self, other: QuantileSketch) -> None:
        """Count all that another sketch has counted."""
        self.max = max(self.max, other.max)
        begin, more = other._buckets
        if not self._buckets[1]:
            self._buckets = (begin, more[:])
        elif more:
            self._make_room(begin, begin + len(more) - 1)
            first, counts = self._buckets
            sums = counts.tolist()
            part = slice(begin - first, begin - first + len(more))
            sums[part] = map(add, sums[part], more)
            self._buckets = (first, _packed(sums))

    def quantile(self, q: float) -> float | None:
        """Give the value that a share ``q`` of the values is not above, in seconds; None: there are no values.

        Raises:
            ConfigError: ``q`` is not from 0 to 1.
        """
        if not 0 <= q <= 1:
            raise ConfigError(f"quantile {q} is not from 0 to 1", hint="The median is 0.5.")
        first, ranks = self._ranks()
        return self._at(q, first, ranks) if ranks[-1] else None

    def summary(self) -> Quantiles | None:
        """Give the usual quantiles; None: there are no values."""
        first, ranks = self._ranks()
        if not ranks[-1]:
            return None
        p50, p90, p95, p99 = (self._at(q, first, ranks) for q in (0.5, 0.9, 0.95, 0.99))
        return Quantiles(ranks[-1], p50, p90, p95, p99, self.max)

    def _ranks(self) -> tuple[int, list[int]]:
        """Give the number of the first bucket, and how many values are in each and those before it."""
        first, counts = self._buckets
        return first, list(accumulate(counts)) or [0]

    def _at(self, q: float, first: int, ranks: list[int]) -> float:
        place = bisect_right(ranks, q * (ranks[-1] - 1))
        return min(exp((first + place) * _LOG_GROWTH) * _MIDDLE, self.max)

    def _add_new(self, value: float) -> None:
        """Count a value that is the greatest so far, or has no bucket yet, or one that is full."""
        if not isfinite(value):
            raise ConfigError(f"{value} is no duration", hint="Give seconds.")
        self.max = max(self.max, value)
        number = int(log(min(max(value, _LEAST), _MOST)) * _SCALE + _SHIFT)
        self._make_room(number, number)
        first, counts = self._buckets
        try:
            counts[number - first] += 1
        except OverflowError:
            sums = counts.tolist()
            sums[number - first] += 1
            self._buckets = (first, _packed(sums))

    def _make_room(self, low: int, high: int) -> None:
        """Have the buckets from one number to another, and what makes whole steps of them."""
        first, counts = self._buckets
        if not counts:
            first = low
        begin = min(first, low) // _STEP * _STEP
        end = -(-max(first + len(counts), high + 1) // _STEP) * _STEP
        left, right = first - begin, end - first - len(counts)
        if left or right:
            code, size = counts.typecode, counts.itemsize
            self._buckets = (
                begin,
                array(code, bytes(size * left)) + counts + array(code, bytes(size * right)),
            )


def _packed(counts: list[int]) -> array[int]:
    """Give the smallest array that holds these numbers."""
    for code in "HI":
        with suppress(OverflowError):
            return array(code, counts)
    return array("Q", counts)


_NOTHING: tuple[list[QuantileSketch], QuantileSketch] = ([], QuantileSketch())


class RecentQuantiles:
    """Quantiles of the values of the last minutes, from sketches that take turns.

    One thread at a time may add; others may read meanwhile.

    Args:
        window: Seconds. A value counts for at least so long, and at most one slice longer.
        slices: Into how many the window is cut; each has a sketch of its own while it has values.
        clock: Seconds on a clock that never goes back.

    Raises:
        ConfigError: ``window`` or ``slices`` is not above zero.
    """

    __slots__ = ("_clock", "_current", "_length", "_merged", "_slices", "_until", "_window")

    def __init__(
        self, window: float = 300.0, *, slices: int = 5, clock: Callable[[], float] = time.monotonic
    ) -> None:
        if not (window > 0 and slices > 0):
            raise ConfigError(f"window {window} with {slices} slices is not above zero", hint="Give seconds.")
        self._window = window
        self._length = window / slices
        self._clock = clock
        self._slices: tuple[tuple[float, QuantileSketch], ...] = ()
        """The ends of slices and their sketches, oldest first; replaced, not changed, as others may read."""
        self._until = float("-inf")
        self._merged = _NOTHING
        """The sum of the slices in which nothing changes any more, beside what it is of."""

    def add(self, value: float) -> None:
        """Count a value, in seconds, as of now.

        Raises:
            ConfigError: The value is infinite or not a number.
        """
        now = self._clock()
        if now >= self._until:
            self._begin_slice(now)
        self._current.add(value)

    def sketch(self) -> QuantileSketch:
        """Give a new sketch of the values of the window, which can be merged with those of others."""
        since = self._clock() - self._window
        slices = [sketch for until, sketch in self._slices if until > since]
        total = QuantileSketch()
        if slices:
            total.merge(self._sum_of_closed(slices[:-1]))
            total.merge(slices[-1])
        return total

    def summary(self) -> Quantiles | None:
        """Give the usual quantiles of the window; None: it has no values."""
        return self.sketch().summary()

    def _begin_slice(self, now: float) -> None:
        since = now - self._window
        self._current = QuantileSketch()
        self._until = now + self._length
        self._slices = (*(kept for kept in self._slices if kept[0] > since), (self._until, self._current))

    def _sum_of_closed(self, slices: list[QuantileSketch]) -> QuantileSketch:
        known, total = self._merged
        if known != slices:
            total = QuantileSketch()
            for sketch in slices:
                total.merge(sketch)
            self._merged = (slices, total)
        return total
