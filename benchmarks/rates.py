"""Rates of four totals over four windows, beside a deque of points that is searched.  ``python -m benchmarks.rates``

Five minutes with a point a second. Memory is that of one tunnel, by tracemalloc, each total a number of its own.
"""

from __future__ import annotations

import tracemalloc
from collections import deque
from collections.abc import Callable

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.rates import WINDOWS, RateWindow

SECONDS = 400


class PlainWindow:
    """All points of the longest window, and a search for the first of each."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, tuple[int, ...]]] = deque(maxlen=WINDOWS[-1] + 1)

    def note(self, now: float, totals: tuple[int, ...]) -> None:
        self._points.append((now, totals))

    def rates(self, _: float) -> dict[int, tuple[float, ...]]:
        end, last = self._points[-1]
        found = {}
        for window in WINDOWS:
            begin, first = next(point for point in self._points if end - point[0] <= window)
            found[window] = tuple(
                (total - less) / (end - begin) for total, less in zip(last, first, strict=True)
            )
        return found


def full(window: RateWindow | PlainWindow) -> RateWindow | PlainWindow:
    for second in range(SECONDS):
        window.note(float(second), (second * 100_000, second * 90_000, second * 1000, second * 999))
    return window


def kilobytes(make: Callable[[], object]) -> float:
    tracemalloc.start()
    kept = [make() for _ in range(10)]
    used = tracemalloc.get_traced_memory()[0] / len(kept) / 1000
    tracemalloc.stop()
    return used


def rows() -> list[Row]:
    ours, theirs = full(RateWindow()), full(PlainWindow())
    note, ask = "window = new()\nfor now in times: window.note(now, totals)", "rates(now)"
    names = {"times": [float(second) for second in range(2000)], "totals": (1 << 40, 1 << 41, 5000, 700)}
    taken = nanoseconds(
        {
            "ours, note": Way(note, names | {"new": RateWindow}, 2000),
            "theirs, note": Way(note, names | {"new": PlainWindow}, 2000),
            "ours, ask": Way(ask, {"rates": ours.rates, "now": SECONDS - 0.5}),
            "theirs, ask": Way(ask, {"rates": theirs.rates, "now": SECONDS - 0.5}),
        }
    )
    peer, rates = "deque of points", len(WINDOWS) * 4
    return [
        Row("rates: note 4 totals", taken["ours, note"], "ns", peer, taken["theirs, note"], at_most=1000),
        Row(
            "rates: one of 16",
            taken["ours, ask"] / rates,
            "ns",
            peer,
            taken["theirs, ask"] / rates,
            at_most=300,
        ),
        Row(
            "rates: memory of 4 totals",
            kilobytes(lambda: full(RateWindow())),
            "KB",
            peer,
            kilobytes(lambda: full(PlainWindow())),
            at_most=4.3,
        ),
    ]


if __name__ == "__main__":
    show(rows())
