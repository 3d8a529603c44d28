"""What the benchmarks share: ways that are measured in turns, and a table of ours beside others' with the aim."""

from __future__ import annotations

import math
import random
import statistics
import time
import timeit
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

ROUNDS = 7
SAMPLE = 0.05
"""Seconds that one way runs in one round."""


@dataclass(frozen=True)
class Way:
    """One way to do something, as a statement; a run of it does so many operations."""

    statement: str
    names: dict[str, object] = field(default_factory=dict)
    operations: int = 1


class Row(NamedTuple):
    """A comparison. The aim is ``at_most`` for ours, in the same unit, and to be ``times`` as good as the peer.

    A peer that could not be measured has no number, and its name says why.
    """

    what: str
    ours: float
    unit: str
    peer: str = ""
    theirs: float | None = None
    at_most: float | None = None
    times: float | None = None
    more_is_better: bool = False

    @property
    def ratio(self) -> float | None:
        if self.theirs is None:
            return None
        return self.ours / self.theirs if self.more_is_better else self.theirs / self.ours

    @property
    def aim(self) -> str:
        aims = []
        if self.at_most is not None:
            aims.append(f"≤ {self.at_most:g} {self.unit}")
        if self.times is not None:
            aims.append(f"≥ {self.times:.3g} x")
        return ", ".join(aims)

    @property
    def verdict(self) -> str:
        if not self.aim:
            return ""
        if math.isnan(self.ours) or (self.times is not None and self.theirs is None):
            return "not measured"
        missed = (self.at_most is not None and self.ours > self.at_most) or (
            self.times is not None and (self.ratio or 0.0) < self.times
        )
        return "missed" if missed else "met"


def nanoseconds(ways: Mapping[str, Way], rounds: int = ROUNDS) -> dict[str, float]:
    """Give the median time of one operation of each way: process CPU time, in turns, the order shuffled each round.

    The loop around a statement, some ten nanoseconds, is in all of them.
    """
    timers = {
        name: timeit.Timer(way.statement, timer=time.process_time, globals=way.names)
        for name, way in ways.items()
    }
    runs = {name: _runs(timer) for name, timer in timers.items()}
    samples: dict[str, list[float]] = {name: [] for name in ways}
    order, chance = list(ways), random.Random(1)
    for _ in range(rounds):
        chance.shuffle(order)
        for name in order:
            taken = timers[name].timeit(runs[name])
            samples[name].append(taken / runs[name] / ways[name].operations * 1e9)
    return {name: statistics.median(values) for name, values in samples.items()}


def _runs(timer: timeit.Timer) -> int:
    """Give how many runs fill a sample; what has to warm up does so meanwhile."""
    runs = 1
    while (taken := timer.timeit(runs)) < SAMPLE / 5:
        runs *= 4
    return max(1, round(runs * SAMPLE / taken))


def show(rows: Iterable[Row], *, header: bool = True) -> None:
    """Print a table; the ratio is how many times as much the other takes, or as little it gives."""
    if header:
        print(f"{'what':44}{'ours':>10} {'':5}{'beside':34}{'theirs':>10}{'ratio':>8}  {'aim':22}")
    for row in rows:
        theirs = "" if row.theirs is None else f"{row.theirs:.4g}"
        ratio = "" if row.ratio is None else f"{row.ratio:.{1 if row.ratio >= 10 else 2}f}"
        print(
            f"{row.what:44}{row.ours:10.4g} {row.unit:5}{row.peer:34}{theirs:>10}{ratio:>8}  {row.aim:22}{row.verdict}",
            flush=True,
        )
