"""Quantiles of durations beside ddsketch, which gives the same accuracy.  ``python -m benchmarks.quantiles``

Lognormal durations around 50 ms. Memory is that of one sketch with ten thousand of them, by tracemalloc.
"""

from __future__ import annotations

import random
import tracemalloc
from collections.abc import Callable
from typing import Any

from ddsketch import DDSketch

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.quantiles import QuantileSketch, RecentQuantiles

CHANCE = random.Random(1)
VALUES = [CHANCE.lognormvariate(-3, 1) for _ in range(10_000)]


def full(sketch: Any) -> Any:
    for value in VALUES:
        sketch.add(value)
    return sketch


def kilobytes(make: Callable[[], object], count: int) -> float:
    tracemalloc.start()
    kept = [make() for _ in range(count)]
    used = tracemalloc.get_traced_memory()[0] / len(kept) / 1000
    tracemalloc.stop()
    return used


def all_slices() -> Any:
    """The values spread over five minutes, so that every slice has some."""
    times = iter([number * 300 / len(VALUES) for number in range(len(VALUES))])
    return full(RecentQuantiles(clock=lambda: next(times, 300.0)))


def rows() -> list[Row]:
    ours, recent, theirs = full(QuantileSketch()), full(RecentQuantiles()), full(DDSketch(0.01))
    add, ask = "for value in values: add(value)", "[ask(q) for q in (.5, .9, .95, .99)]"
    taken = nanoseconds(
        {
            "ours, add": Way(add, {"values": VALUES, "add": ours.add}, len(VALUES)),
            "recent, add": Way(add, {"values": VALUES, "add": recent.add}, len(VALUES)),
            "theirs, add": Way(add, {"values": VALUES, "add": theirs.add}, len(VALUES)),
            "ours, ask": Way("ask()", {"ask": ours.summary}),
            "recent, ask": Way("ask()", {"ask": all_slices().summary}),
            "theirs, ask": Way(ask, {"ask": theirs.get_quantile_value}),
        }
    )
    return [
        Row(
            "sketch: add", taken["ours, add"], "ns", "ddsketch", taken["theirs, add"], at_most=200, times=1.8
        ),
        Row("sketch of the last 5 min: add", taken["recent, add"], "ns"),
        Row(
            "sketch: p50, p90, p95, p99",
            taken["ours, ask"] / 1000,
            "µs",
            "ddsketch",
            taken["theirs, ask"] / 1000,
            at_most=12,
        ),
        Row("sketch of the last 5 min: p50, p90, p95, p99", taken["recent, ask"] / 1000, "µs"),
        Row(
            "sketch: memory",
            kilobytes(lambda: full(QuantileSketch()), 10),
            "KB",
            "ddsketch",
            kilobytes(lambda: full(DDSketch(0.01)), 10),
            at_most=2.6,
        ),
        Row("sketch of the last 5 min: memory, unused", kilobytes(RecentQuantiles, 1000), "KB"),
    ]


if __name__ == "__main__":
    show(rows())
