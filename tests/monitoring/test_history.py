"""The history: nothing that flows is lost between its points, and it does not grow."""

from __future__ import annotations

import tracemalloc
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.monitoring.history import SERIES, History
from frp_wrapper.monitoring.metrics import TunnelMetrics

START = 1_699_999_200.0
"""A full hour, so that steps of every tier begin here."""


def numbers(**values: Any) -> TunnelMetrics:
    """Give the numbers of a tunnel."""
    return TunnelMetrics("web", **values)


def column(history: History, series: str, seconds: int, now: float, **options: Any) -> list[float | None]:
    """Give one series of the tunnel."""
    return history.chart(["web"], seconds, now, **options).tunnels["web"][series]


def test_a_rate_is_what_flowed_in_each_second() -> None:
    """The difference of two totals, over the time between them, at the end of its second."""
    history = History()
    for second, total in enumerate((0, 100, 100, 350)):
        history.add(numbers(bytes_sent=total), START + second)
    chart = history.chart(["web"], 60, START + 3)
    assert (chart.step, len(chart.time), chart.time[-1]) == (1, 60, START + 3)
    assert chart.tunnels["web"]["bytes_sent_per_second"][-4:] == [None, 100, 0, 250]
    assert set(chart.tunnels["web"]) == set(SERIES)


def test_a_chart_ends_with_the_last_sample() -> None:
    """The second that has just begun is no point of its own; one without samples is unknown once they have ceased."""
    history = History()
    for second in range(10):
        history.add(numbers(open_connections=second), START + second + 0.7)
    for later, last in ((0.2, 9), (0.9, 9), (1.9, 9), (3.0, None)):
        now = START + 9.7 + later
        chart = history.chart(["web"], 60, now)
        assert sorted(set(chart.time)) == chart.time
        assert chart.tunnels["web"]["open_connections"][-1] == last


@given(st.lists(st.tuples(st.floats(0.05, 20.0), st.integers(0, 10_000)), min_size=1, max_size=15))
def test_nothing_is_lost_between_samples(samples: list[tuple[float, int]]) -> None:
    """However irregular the samples are, the points sum up to what has flowed until the end of the last step."""
    history = History()
    now, total = START, 0
    history.add(numbers(bytes_sent=0), now)
    flowed = {1: 0.0, 10: 0.0}
    for pause, moved in samples:
        before, now = now, now + pause
        history.add(numbers(bytes_sent=total + moved), now)
        for step in flowed:
            end = now // step * step
            if end > before:
                flowed[step] = total + moved * (end - before) / (now - before)
        total += moved
    for step, seconds in ((1, 300), (10, 3600)):
        end = now // step * step
        points = column(history, "bytes_sent_per_second", seconds, end, step=step)
        known = [point for point in points if point is not None]
        assert len(known) == (end - START) // step
        assert sum(known) * step == pytest.approx(flowed[step], rel=1e-4, abs=1e-2)


def test_sums_are_exact_for_regular_samples() -> None:
    """With a sample each second, all three tiers sum up to the bytes that have flowed."""
    history = History()
    total = 0
    for second in range(3601):
        history.add(numbers(bytes_sent=total), START + second)
        total += second % 7
    total -= 3600 % 7
    now = START + 3600
    for seconds, step in ((3600, 10), (86400, 60)):
        points = [
            p for p in column(history, "bytes_sent_per_second", seconds, now, step=step) if p is not None
        ]
        assert sum(points) * step == pytest.approx(total, rel=1e-5)
    last = [p for p in column(history, "bytes_sent_per_second", 300, now) if p is not None]
    assert sum(last) == sum(second % 7 for second in range(3300, 3600))


def test_a_late_sample_loses_nothing() -> None:
    """What flowed while no sample was taken is spread over the seconds in between; numbers of a moment are not known."""
    history = History()
    history.add(numbers(bytes_sent=0, open_connections=1), START)
    history.add(numbers(bytes_sent=10, open_connections=1), START + 1)
    history.add(numbers(bytes_sent=50, open_connections=2), START + 5)
    assert column(history, "bytes_sent_per_second", 60, START + 5)[-5:] == [10, 10, 10, 10, 10]
    assert column(history, "open_connections", 60, START + 5)[-5:] == [1, None, None, None, 2]


def test_a_pause_of_hours() -> None:
    """After a sleep of the machine the points of before are out of reach, and the time is right."""
    history = History()
    history.add(numbers(bytes_sent=0), START)
    history.add(numbers(bytes_sent=300), START + 1)
    history.add(numbers(bytes_sent=300 + 72_000), START + 7201)
    history.add(numbers(bytes_sent=300 + 72_000 + 5), START + 7202)
    points = column(history, "bytes_sent_per_second", 300, START + 7202)
    assert (points[-1], points[-2], len(points)) == (5, 10, 300)
    assert set(points[:-1]) == {10}


def test_a_clock_that_is_set_back() -> None:
    """A little back is waited for; more begins the history anew; neither raises."""
    history = History()
    for at in (0, 1, 2, 3):
        history.add(numbers(bytes_sent=at * 10), START + at)
    history.add(numbers(bytes_sent=40), START + 1)
    history.add(numbers(bytes_sent=60), START + 4)
    assert column(history, "bytes_sent_per_second", 60, START + 4)[-2:] == [10, 30]
    history.add(numbers(bytes_sent=70), START - 1000)
    history.add(numbers(bytes_sent=75), START - 999)
    assert column(history, "bytes_sent_per_second", 60, START - 999)[-3:] == [None, None, 5]


def test_totals_that_begin_anew() -> None:
    """A tunnel that was closed and opened again between two samples has no negative rate."""
    history = History()
    for second, total in enumerate((0, 500, 20)):
        history.add(numbers(bytes_sent=total), START + second)
    assert column(history, "bytes_sent_per_second", 60, START + 2)[-2:] == [500, 20]


def test_what_is_not_known() -> None:
    """Unknown totals make unknown rates, and one unknown sample does not spoil the others."""
    history = History()
    for second, total in enumerate((0, 10, None, 30, 40)):
        history.add(numbers(bytes_sent=total), START + second)
    assert column(history, "bytes_sent_per_second", 60, START + 4)[-4:] == [10, None, None, 10]
    assert set(column(history, "latency_p95", 60, START + 4)) == {None}


def test_coarser_points() -> None:
    """A coarser point has the mean of a rate and the greatest of what is no rate."""
    history = History()
    total = 0
    for second in range(21):
        total += 10 if second % 10 == 5 else 0
        history.add(numbers(bytes_sent=total, open_connections=second % 10), START + second)
    now = START + 20
    assert column(history, "bytes_sent_per_second", 60, now, step=10)[-2:] == [1, 1]
    assert column(history, "open_connections", 60, now, step=10)[-2:] == [9, 9]
    assert column(history, "open_connections", 3600, now, step=10)[-2:] == [9, 9]
    assert column(history, "bytes_sent_per_second", 3600, now, step=10)[-2:] == [1, 1]


@pytest.mark.parametrize(
    ("seconds", "step", "expected"),
    [
        (60, None, (1, 60)),
        (300, None, (1, 300)),
        (301, None, (10, 30)),
        (3600, None, (20, 180)),
        (86400, None, (300, 288)),
        (86400, 1, (60, 1440)),
        (300, 7, (7, 42)),
        (3600, 25, (30, 120)),
    ],
)
def test_steps(seconds: int, step: int | None, expected: tuple[int, int]) -> None:
    """Without a wish a chart has at most 300 points; a wish is rounded up to what is remembered."""
    chart = History().chart(["web"], seconds, START + 0.5, step=step)
    assert (chart.step, len(chart.time)) == expected
    assert len(chart.time) <= 300 or step
    assert chart.time[-1] == START
    assert [b - a for a, b in zip(chart.time, chart.time[1:-1], strict=False)] == [chart.step] * (
        len(chart.time) - 2
    )


def test_the_rings_come_round() -> None:
    """After more samples than a ring has, its points are the newest."""
    history = History()
    for second in range(1000):
        history.add(numbers(bytes_sent=second * second), START + second)
    points = column(history, "bytes_sent_per_second", 300, START + 999)
    assert points == [2 * second - 1 for second in range(700, 1000)]


def test_memory_is_bounded_and_given_back() -> None:
    """A tunnel takes less than 70 KB after two days, whatever happens, and nothing once it is gone."""
    tracemalloc.start()
    history = History()
    before = tracemalloc.get_traced_memory()[0]
    metrics = numbers(bytes_sent=5)
    for second in range(0, 2 * 86_400, 7):
        history.add(metrics, START + second)
    after = tracemalloc.get_traced_memory()[0] - before
    history.forget_others([])
    left = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert 50_000 < after < 70_000
    assert left < 4_000
    assert "web" not in history


def test_tunnels_are_bounded() -> None:
    """Beyond the limit tunnels are refused and counted; those that are known stay, and room is used again."""
    history = History(limit=2)

    def look(*names: str) -> None:
        for name in names:
            history.add(TunnelMetrics(name), START)
        history.forget_others(names)

    look("a", "b", "c", "d", "e")
    assert ("a" in history, "b" in history, history.refused) == (True, True, 3)
    look("b", "c", "d", "e")
    assert ("a" in history, "b" in history, history.refused) == (False, True, 3)
    look("b", "c", "d", "e")
    assert ("c" in history, history.refused) == (True, 2)
