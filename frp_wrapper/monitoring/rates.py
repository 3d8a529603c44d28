"""What totals grow by a second: over the last second, ten seconds, minute and five minutes."""

from __future__ import annotations

import threading
from array import array
from bisect import bisect_right
from operator import lt, sub

__all__ = ["WINDOWS", "RateWindow"]

WINDOWS = (1, 10, 60, 300)
"""Seconds."""

_RECENT = 61
"""Points of which none is left out: with one a second, those of a minute with both its ends."""
_POINTS = _RECENT + 25
"""All points: the older ones, `_APART` from each other, reach back a little more than the longest window."""
_APART = 10.0
"""Seconds between two older points, at least."""
_EARLY = 0.5
"""Seconds that a sampler may be early; of points that are nearer to each other than this the later one stays."""
_LATE = 1.0
"""Seconds that a sampler may be late before the last point counts as old."""


class RateWindow:
    """Takes totals once a second, and gives their increase a second; safe for several threads.

    A rate is the increase from the newest point that is as old as the window to the last point, divided by the seconds
    that were really between them, so a sampler that is late does no harm. Of what is older than a minute only a point in
    ten seconds is kept, so the rate over five minutes may be one over 311 s. While there is no point as old as the
    window, as in the beginning or after a pause, the oldest point within it is the first. Four totals take 4.2 KB.
    """

    __slots__ = ("_last", "_lock", "_points", "_times")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._times = array("d")
        """When the points were noted, oldest first."""
        self._points = array("q")
        """Their totals, one point after the other."""
        self._last: tuple[int, ...] = ()
        """The totals of the last point."""

    def note(self, now: float, totals: tuple[int, ...]) -> None:
        """Note totals; to be called about once a second.

        Args:
            now: Seconds on a clock that never goes back; what is not later than the last point is ignored.
            totals: Numbers that only grow, below 2**63, the same ones each time. One that is less than before has begun
                anew at 0.

        Raises:
            ValueError: There are more or fewer totals than the first time.
        """
        with self._lock:
            times, last = self._times, self._last
            if not times:
                last = totals
            elif now <= times[-1]:
                return
            if len(totals) != len(last):
                raise ValueError(
                    f"{len(totals)} totals after {len(last)}: they must be the same ones each time"
                )
            if any(map(lt, totals, last)):
                self._begin_anew(totals)
            self._make_room()
            times.append(now)
            self._points.extend(totals)
            self._last = totals

    def rates(self, now: float) -> dict[int, tuple[float, ...] | None]:
        """Give the increase of each total a second, by the window's seconds.

        None: the window has no two points to compare, because it is too early, or because totals were not noted.

        Args:
            now: Seconds on the clock of `note`.
        """
        with self._lock:
            late = now - self._times[-1] - _LATE if self._times else float("inf")
            return {window: self._rate(window) if late <= window else None for window in WINDOWS}

    def _rate(self, window: int) -> tuple[float, ...] | None:
        times, last = self._times, self._last
        end = times[-1]
        first = bisect_right(times, end - window + _EARLY) - 1
        if first < 0:
            first = 0
        elif times[first] < end - 2 * window - _LATE:
            first += (
                1  # nothing was noted for as long as the window is: that says nothing of the window alone
            )
        seconds = end - times[first]
        if not seconds:
            return None
        width = len(last)
        before = self._points[first * width : (first + 1) * width]
        return tuple([growth / seconds for growth in map(sub, last, before)])

    def _begin_anew(self, totals: tuple[int, ...]) -> None:
        """Lower what was noted of totals that begin anew, so that differences stay what the totals grew by."""
        points, width = self._points, len(totals)
        for column, (before, total) in enumerate(zip(self._last, totals, strict=True)):
            if total < before:
                for place in range(column, len(points), width):
                    points[place] -= before

    def _make_room(self) -> None:
        """Leave out a point that is too near to the one before it, or else the oldest, once there are enough."""
        times, count = self._times, len(self._times)
        oldest_recent = count - _RECENT
        if count > 1 and times[-1] - times[-2] < _EARLY:
            out = count - 1
        elif oldest_recent > 0 and times[oldest_recent] - times[oldest_recent - 1] < _APART:
            out = oldest_recent
        elif count == _POINTS:
            out = 0
        else:
            return
        width = len(self._last)
        del times[out]
        del self._points[out * width : (out + 1) * width]
