"""Quantiles of durations: as near as promised to those of a sorted list, whatever comes, in little memory."""

from __future__ import annotations

import random
import threading
import tracemalloc
from collections.abc import Callable

import pytest
from ddsketch import DDSketch
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring import quantiles
from frp_wrapper.monitoring.quantiles import QuantileSketch, RecentQuantiles

DURATIONS = st.floats(1e-6, 86_400)
ONE_PER_CENT = 0.010_000_1


def sketch_of(values: list[float]) -> QuantileSketch:
    """Give a sketch that has counted these values."""
    sketch = QuantileSketch()
    for value in values:
        sketch.add(value)
    return sketch


def memory(make: Callable[[], object], count: int) -> float:
    """Give the bytes that each of ``count`` objects takes; what other threads take meanwhile is none of theirs."""
    ours = [tracemalloc.Filter(True, file) for file in (__file__, quantiles.__file__)]
    tracemalloc.start()
    try:
        kept = [make() for _ in range(count)]
        snapshot = tracemalloc.take_snapshot().filter_traces(ours)
        return sum(trace.size for trace in snapshot.traces) / len(kept)
    finally:
        tracemalloc.stop()


@given(st.lists(DURATIONS, min_size=1), st.floats(0, 1))
def test_a_quantile_is_within_one_per_cent(values: list[float], q: float) -> None:
    """From a microsecond to a day every quantile is within one per cent of that of the sorted values."""
    exact = sorted(values)[int(q * (len(values) - 1))]
    assert sketch_of(values).quantile(q) == pytest.approx(exact, rel=ONE_PER_CENT)


@pytest.mark.parametrize("spread", [0.1, 1.0, 4.0])
def test_it_agrees_with_ddsketch(spread: float) -> None:
    """On ten thousand durations it gives what another implementation with the same accuracy gives."""
    chance = random.Random(1)
    values = [min(max(chance.lognormvariate(-3, spread), 1e-6), 86_400) for _ in range(10_000)]
    ours, theirs = sketch_of(values), DDSketch(relative_accuracy=0.01)
    for value in values:
        theirs.add(value)
    for q in (0.0, 0.01, 0.25, 0.5, 0.9, 0.99, 0.999, 1.0):
        assert ours.quantile(q) == pytest.approx(theirs.get_quantile_value(q), rel=2 * ONE_PER_CENT)


@given(st.lists(DURATIONS, min_size=1))
def test_a_summary_has_the_count_the_usual_quantiles_and_the_exact_maximum(values: list[float]) -> None:
    """The summary holds what `count`, `quantile` and the list say; no quantile is above the maximum."""
    sketch = sketch_of(values)
    summary = sketch.summary()
    assert summary is not None
    assert (summary.count, summary.max) == (sketch.count, sketch.max) == (len(values), max(values))
    quantiles = [summary.p50, summary.p90, summary.p95, summary.p99]
    assert quantiles == [sketch.quantile(q) for q in (0.5, 0.9, 0.95, 0.99)]
    assert quantiles == sorted(quantiles)
    assert quantiles[-1] <= summary.max


@given(st.lists(st.lists(DURATIONS)))
def test_merged_is_as_if_added_to_one(parts: list[list[float]]) -> None:
    """Sketches that are merged answer as one that has had all values, and the merged ones stay as they were."""
    sketches = [sketch_of(part) for part in parts]
    merged = QuantileSketch()
    for sketch in sketches:
        merged.merge(sketch)
    assert merged.summary() == sketch_of([value for part in parts for value in part]).summary()
    assert [sketch.count for sketch in sketches] == [len(part) for part in parts]


def test_a_merged_sketch_shares_nothing() -> None:
    """What is added after a merge is counted in one of the two only."""
    one, other = QuantileSketch(), sketch_of([1.0])
    one.merge(other)
    one.add(1.0)
    assert (one.count, other.count) == (2, 1)


def test_no_values() -> None:
    """Without values there are no quantiles."""
    sketch = QuantileSketch()
    assert (sketch.count, sketch.max, sketch.quantile(0.5), sketch.summary()) == (0, 0.0, None, None)


def test_what_is_too_short_or_too_long() -> None:
    """Values out of range count at its ends, and the maximum stays exact."""
    sketch = sketch_of([-1.0, 0.0, 1e-9, 2e5, 3e5])
    assert sketch.count == 5
    assert sketch.quantile(0.5) == pytest.approx(1e-6, rel=ONE_PER_CENT)
    assert sketch.quantile(1.0) == pytest.approx(86_400, rel=0.03)
    assert sketch.max == 3e5
    assert sketch_of([0.0]).quantile(0.5) == 0.0


def test_many_equal_values() -> None:
    """A bucket holds more values than two bytes can count, also when it is merged."""
    sketch = sketch_of([0.5] * 65_536 + [2.0])
    assert sketch.count == 65_537
    other = sketch_of([0.5] * 65_535)
    other.merge(sketch)
    assert other.count == 131_072
    assert other.quantile(0.9999) == pytest.approx(0.5, rel=ONE_PER_CENT)


def test_bad_input() -> None:
    """What is no duration or no share is refused with a sentence, and changes nothing."""
    sketch = sketch_of([1.0])
    for value in (float("nan"), float("inf"), float("-inf")):
        with pytest.raises(ConfigError, match="is no duration"):
            sketch.add(value)
    for q in (-0.1, 1.1, float("nan")):
        with pytest.raises(ConfigError, match="not from 0 to 1"):
            sketch.quantile(q)
    assert (sketch.count, sketch.max) == (1, 1.0)
    with pytest.raises(ConfigError, match="not above zero"):
        RecentQuantiles(0)


def test_memory() -> None:
    """Nothing counted costs a few hundred bytes, the whole range from a microsecond to a day 2.8 KB."""
    whole_range = [1.01**power * 1e-6 for power in range(2530)]
    assert memory(RecentQuantiles, 1000) < 300
    assert memory(lambda: sketch_of([0.01, 0.012]), 100) < 500
    assert memory(lambda: sketch_of(whole_range), 20) < 2800


@given(st.lists(st.tuples(st.floats(0, 150), DURATIONS), max_size=40), st.floats(0, 700))
def test_the_recent_ones(steps: list[tuple[float, float]], later: float) -> None:
    """A value counts for as long as the window is, and no longer than a slice more."""
    now = 1000.0
    recent = RecentQuantiles(300.0, slices=5, clock=lambda: now)
    points = []
    for pause, value in steps:
        now += pause
        recent.add(value)
        points.append((now, value))
    now += later
    summary = recent.summary()
    surely = [value for at, value in points if at > now - 300.0]
    possibly = [value for at, value in points if at > now - 360.0]
    count = summary.count if summary else 0
    assert len(surely) <= count <= len(possibly)
    assert summary == (sketch_of([value for _, value in points[len(points) - count :]]).summary())


def test_summaries_in_between_change_nothing() -> None:
    """Asking again and again, as a page does, gives the same as asking once."""
    now = 0.0
    asked, silent = (RecentQuantiles(10.0, clock=lambda: now) for _ in range(2))
    for second in range(40):
        now = float(second)
        for recent in (asked, silent):
            recent.add(second + 1.0)
        asked.summary()
        asked.summary()
    assert asked.summary() == silent.summary()


def test_readers_beside_a_writer() -> None:
    """While one thread adds, others always see what belongs together, and in the end everything."""
    sketch = QuantileSketch()
    chance = random.Random(2)
    values = [chance.lognormvariate(0, 4) for _ in range(20_000)]
    done = threading.Event()
    faults = []

    def read() -> None:
        while not done.is_set():
            summary = sketch.summary()
            if summary is not None and not 0 < summary.p50 <= summary.p99 <= sketch.max:
                faults.append(summary)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for value in values:
        sketch.add(value)
    done.set()
    for reader in readers:
        reader.join()
    assert faults == []
    assert sketch.count == 20_000
