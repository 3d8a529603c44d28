"""Rates of totals: what a plain list of points would give, also when samples are late, missing or begin anew."""

from __future__ import annotations

import itertools
import threading
import tracemalloc

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frp_wrapper.monitoring.rates import WINDOWS, RateWindow

Points = list[tuple[float, int]]


def noted(points: Points) -> RateWindow:
    """Give a window that has noted these times and totals."""
    window = RateWindow()
    for at, total in points:
        window.note(at, (total,))
    return window


def grown(points: Points) -> Points:
    """Give the points with a total that never begins anew, as one that fell has begun at 0."""
    sums = [(points[0][0], 0)]
    for (_, before), (at, total) in itertools.pairwise(points):
        sums.append((at, sums[-1][1] + (total - before if total >= before else total)))
    return sums


def first_point(points: Points, seconds: int) -> int | None:
    """Give the point from which on a window is counted, by its place in a list of all; None: there is none."""
    end = points[-1][0]
    others = range(len(points) - 1)
    whole = [n for n in others if end - points[n][0] >= seconds - 0.5]
    if whole and end - points[whole[-1]][0] <= 2 * seconds + 1:
        return whole[-1]
    partial = [n for n in others if end - points[n][0] < seconds - 0.5]
    return partial[0] if partial else None


def slopes(points: Points, first: int, last: int) -> list[float]:
    """Give the rates from each of some points to the last of all."""
    sums = grown(points)
    (end, total) = sums[-1]
    return [(total - sums[n][1]) / (end - sums[n][0]) for n in range(first, last + 1)]


STEPS = st.one_of(st.floats(1.0, 1.9), st.floats(1.0, 30.0), st.just(700.0), st.just(1.0))
TOTALS = st.lists(st.tuples(STEPS, st.integers(0, 10**12)), min_size=1, max_size=120)
"""Seconds since the point before and totals, any of which may be less than the one before."""


@settings(deadline=None)
@given(TOTALS)
def test_it_gives_what_a_list_gives(steps: list[tuple[float, int]]) -> None:
    """Up to a minute the rate is exactly that of a list of all points, never negative, whatever totals do."""
    points: Points = []
    now = 50.0
    for step, total in steps:
        now += step
        points.append((now, total))
    rates = noted(points).rates(now)
    for seconds in (1, 10, 60):
        first = first_point(points, seconds)
        rate = rates[seconds]
        if first is None:
            assert rate is None
        else:
            assert rate is not None
            assert rate[0] == pytest.approx(slopes(points, first, first)[0])
            assert rate[0] >= 0


@settings(deadline=None)
@given(TOTALS, st.integers(0, 400))
def test_five_minutes(steps: list[tuple[float, int]], more: int) -> None:
    """Over five minutes the rate is that from the right point, or from one eleven seconds and a step older at most."""
    points: Points = []
    now = 50.0
    for step, total in [*steps, *((1.0, 7 * n) for n in range(more))]:
        now += step
        points.append((now, total))
    rate = noted(points).rates(now)[300]
    first = first_point(points, 300)
    if first is None:
        assert rate is None
        return
    assert rate is not None
    longest = 12.0 + max((step for step, _ in steps if step < 700), default=0.0)
    possible = [n for n in range(first + 1) if points[n][0] >= points[first][0] - longest]
    assert any(rate[0] == pytest.approx(slope) for slope in slopes(points, possible[0], possible[-1]))


def test_a_steady_stream() -> None:
    """A thousand a second are a thousand a second over every window, for each total by itself."""
    window = RateWindow()
    for second in range(1000):
        window.note(float(second), (second * 1000, second * 3, 0))
    assert window.rates(999.4) == dict.fromkeys(WINDOWS, (1000.0, 3.0, 0.0))


def test_windows_tell_a_change_apart() -> None:
    """After ten fast seconds the short windows have the new rate and the long ones their share of it."""
    fast = 490
    rates = noted([(float(s), max(0, s - fast) * 600) for s in range(501)]).rates(500.0)
    assert [rates[seconds] for seconds in (1, 10, 60)] == [(600.0,), (600.0,), (100.0,)]
    assert rates[300] == (pytest.approx(20.0, rel=0.04),)


def test_too_early() -> None:
    """Before the second point there is no rate; from then on every window has the rate of what there is."""
    window = RateWindow()
    assert window.rates(5.0) == dict.fromkeys(WINDOWS)
    window.note(5.0, (7,))
    assert window.rates(5.5) == dict.fromkeys(WINDOWS)
    window.note(6.0, (17,))
    assert window.rates(6.5) == dict.fromkeys(WINDOWS, (10.0,))


@pytest.mark.parametrize("at", [2.6, 3.0])
def test_a_late_and_a_missing_sample(at: float) -> None:
    """The increase is divided by the seconds that have really passed."""
    rates = noted([(0.0, 0), (1.0, 10), (at, 10 + round(10 * (at - 1)))]).rates(at)
    assert rates == dict.fromkeys(WINDOWS, (pytest.approx(10.0),))


def test_a_total_that_begins_anew() -> None:
    """What a new counter has counted is the increase; the other totals are not touched."""
    window = RateWindow()
    for second, totals in enumerate([(100, 0), (110, 10), (4, 20), (14, 30)]):
        window.note(float(second), totals)
    assert window.rates(3.0) == {1: (10.0, 10.0)} | dict.fromkeys((10, 60, 300), (8.0, 10.0))


def test_nothing_noted_for_longer_than_the_window() -> None:
    """A window has no rate once the last point is older than the window, and a second that it may be late."""
    window = noted([(float(second), second) for second in range(100)])
    assert [seconds for seconds, rate in window.rates(99.0 + 2.0).items() if rate] == [1, 10, 60, 300]
    assert [seconds for seconds, rate in window.rates(99.0 + 5.0).items() if rate] == [10, 60, 300]
    assert [seconds for seconds, rate in window.rates(99.0 + 62.0).items() if rate] == [300]
    assert window.rates(1000.0) == dict.fromkeys(WINDOWS)


def test_after_a_pause() -> None:
    """What grew during a pause is in no window that is much shorter than the pause."""
    window = noted([(0.0, 0), (1.0, 1), (200.0, 10_000)])
    assert [window.rates(200.0)[seconds] for seconds in (1, 10, 60)] == [None, None, None]
    assert window.rates(200.0)[300] == (50.0,)
    window.note(201.0, (10_005,))
    assert [window.rates(201.0)[seconds] for seconds in (1, 10, 60)] == [(5.0,)] * 3


def test_samples_that_are_too_many() -> None:
    """Ten samples a second neither shorten what is remembered to seconds nor falsify a rate."""
    rates = noted([(tenth / 10, tenth) for tenth in range(6001)]).rates(600.0)
    assert rates == dict.fromkeys(WINDOWS, (pytest.approx(10.0),))


def test_bad_input() -> None:
    """A time that is not later is ignored; other totals than before are refused and change nothing."""
    window = noted([(1.0, 10), (2.0, 20)])
    window.note(2.0, (1000,))
    window.note(1.5, (1000,))
    with pytest.raises(ValueError, match="2 totals after 1"):
        window.note(3.0, (30, 1))
    assert window.rates(2.0)[1] == (10.0,)


def test_memory() -> None:
    """Four totals of a tunnel take at most 4.3 KB however long they are noted."""
    tracemalloc.start()
    try:
        windows = [RateWindow() for _ in range(20)]
        for second in range(1000):
            for window in windows:
                window.note(float(second), (second << 32, second << 31, second * 1000, second * 900))
        assert tracemalloc.get_traced_memory()[0] / len(windows) < 4300
    finally:
        tracemalloc.stop()


def test_readers_beside_a_writer() -> None:
    """While one thread notes, others see the right rate at any moment."""
    window = RateWindow()
    done = threading.Event()
    wrong = []

    def read() -> None:
        while not done.is_set():
            rates = [rate for rate in window.rates(0.0).values() if rate not in (None, (10.0,))]
            wrong.extend(rates)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for second in range(20_000):
        window.note(float(second), (second * 10,))
    done.set()
    for reader in readers:
        reader.join()
    assert wrong == []
