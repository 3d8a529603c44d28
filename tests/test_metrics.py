"""Numbers over time: exact, bounded, and the same as a plain list would give."""

from __future__ import annotations

import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frp_wrapper import TunnelMetrics
from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring import MetricsAggregator


def test_the_fields_of_the_specification() -> None:
    """`TunnelMetrics` has the fields and defaults of the specification, in its order."""
    metrics = TunnelMetrics(tunnel_id="web")
    assert [metrics.bytes_sent, metrics.bytes_received, metrics.connection_count, metrics.error_count] == [
        0,
        0,
        0,
        0,
    ]
    assert (metrics.last_activity, metrics.uptime_seconds) == (None, 0.0)
    assert TunnelMetrics("web", 1, 2, 3, 4).error_count == 4


def test_average_as_specified() -> None:
    """Points added without a time are of now; nothing gives 0.0."""
    aggregator = MetricsAggregator()
    for value in (10, 20, 30):
        aggregator.add_data_point("web", "latency", value)
    assert aggregator.get_average("web", "latency") == 20.0
    assert aggregator.get_average("web", "latency", time_range=60) == 20.0
    assert aggregator.get_average("web", "other") == 0.0
    assert aggregator.get_average("api", "latency") == 0.0


@pytest.mark.parametrize("zone", [None, UTC])
def test_a_time_range(zone: object) -> None:
    """Only points of the last seconds count, whether their times have a zone or not."""
    aggregator = MetricsAggregator()
    now = datetime.now(UTC) if zone else datetime.now()  # noqa: DTZ005 - a naive time is what is tested
    for seconds, value in ((100, 1.0), (50, 2.0), (5, 4.0)):
        aggregator.add_data_point("web", "m", value, now - timedelta(seconds=seconds))
    assert aggregator.get_average("web", "m") == pytest.approx(7 / 3)
    assert aggregator.get_average("web", "m", 60) == 3.0
    assert aggregator.get_average("web", "m", 1) == 0.0


def test_the_window_is_bounded() -> None:
    """Of each metric only the last points are kept."""
    aggregator = MetricsAggregator(window_size=3)
    for value in range(1, 11):
        aggregator.add_data_point("web", "m", value)
    assert aggregator.get_count("web", "m") == 3
    assert aggregator.get_average("web", "m") == 9.0


def test_other_numbers() -> None:
    """Sum, least, greatest, percentiles and rate are those of the points."""
    aggregator = MetricsAggregator()
    start = datetime.now(UTC) - timedelta(seconds=10)
    for second, value in enumerate((0, 100, 300, 600, 1000)):
        aggregator.add_data_point("web", "bytes", value, start + timedelta(seconds=second))
    numbers = [get("web", "bytes") for get in (aggregator.get_sum, aggregator.get_min, aggregator.get_max)]
    assert numbers == [2000, 0, 1000]
    assert aggregator.get_rate("web", "bytes") == pytest.approx(250.0)
    assert [aggregator.get_percentile("web", "bytes", percent) for percent in (0, 50, 90, 100)] == [
        0,
        300,
        1000,
        1000,
    ]
    assert aggregator.get_rate("web", "nothing") == 0.0
    with pytest.raises(ConfigError, match="not from 0 to 100"):
        aggregator.get_percentile("web", "bytes", 101)


_EIGHTHS = st.integers(0, 32).map(lambda number: number / 8)
"""Seconds that can be added up without rounding."""


@settings(deadline=None)
@given(
    st.integers(1, 7),
    st.lists(
        st.tuples(st.sampled_from("ab"), st.sampled_from("xy"), st.integers(-1000, 1000), st.integers(-2, 5)),
        max_size=80,
    ),
    st.integers(0, 60),
)
def test_it_gives_what_a_list_gives(
    window: int, points: list[tuple[str, str, int, int]], time_range: int
) -> None:
    """Whatever comes in whatever order, all numbers are those of the last points of each metric, by time."""
    aggregator = MetricsAggregator(window_size=window)
    plain: dict[tuple[str, str], list[tuple[float, int]]] = {}
    at = now = time.time()
    for tunnel, metric, value, step in points:
        at += step
        aggregator.add_data_point(tunnel, metric, value, datetime.fromtimestamp(at - 60, UTC))
        series = plain.setdefault((tunnel, metric), [])
        series.append((datetime.fromtimestamp(at - 60, UTC).timestamp(), value))
        series.sort(key=lambda point: point[0])
        del series[:-window]
    for (tunnel, metric), series in plain.items():
        for seconds in (None, time_range + 0.5):
            values = [value for when, value in series if seconds is None or when > now - seconds]
            assert aggregator.get_count(tunnel, metric, seconds) == len(values)
            assert aggregator.get_sum(tunnel, metric, seconds) == sum(values)
            assert aggregator.get_average(tunnel, metric, seconds) == sum(values) / max(1, len(values))
            assert aggregator.get_min(tunnel, metric, seconds) == min(values, default=0)
            assert aggregator.get_max(tunnel, metric, seconds) == max(values, default=0)


@given(
    st.lists(_EIGHTHS, min_size=1, max_size=30),
    st.lists(st.tuples(_EIGHTHS.map(lambda at: 20 * at - 20), st.sampled_from([5.0, 20.0])), min_size=1),
)
def test_an_average_asked_for_again(steps: list[float], questions: list[tuple[float, float]]) -> None:
    """Averages over a time range are right at any moment, whatever was asked just before, also if the clock is set back."""
    aggregator, times, at = MetricsAggregator(window_size=20), [], 1000.0
    for number, step in enumerate(steps):
        at += step
        times.append((datetime.fromtimestamp(at, UTC).timestamp(), number))
        aggregator.add_data_point("web", "m", number, datetime.fromtimestamp(at, UTC))
    for later, seconds in questions:
        now = 1000.0 + later
        values = [number for when, number in times[-20:] if when > now - seconds]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("frp_wrapper.monitoring.aggregator.time", lambda now=now: now)
            average = aggregator.get_average("web", "m", seconds)
        assert average == sum(values) / max(1, len(values))


def test_sums_stay_exact() -> None:
    """After two hundred thousand large points the average of the last ones is still exact."""
    aggregator = MetricsAggregator(window_size=10)
    for number in range(200_000):
        aggregator.add_data_point("web", "m", 1e12 + number % 10)
    assert aggregator.get_average("web", "m") == 1e12 + 4.5


def test_too_many_metrics() -> None:
    """Beyond the bound points of new metrics are counted and dropped; a removed tunnel makes room."""
    aggregator = MetricsAggregator(max_series=2)
    for tunnel in ("a", "b", "c"):
        aggregator.add_data_point(tunnel, "m", 1)
    assert aggregator.refused == 1
    aggregator.remove_tunnel("a")
    aggregator.add_data_point("c", "m", 5)
    assert aggregator.get_average("c", "m") == 5.0
    with pytest.raises(ConfigError, match="less than one"):
        MetricsAggregator(window_size=0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_value_that_is_not_finite(value: float) -> None:
    """What would spoil all further sums of its metric is refused, and the points before it stay."""
    aggregator = MetricsAggregator()
    aggregator.add_data_point("web", "m", 5)
    with pytest.raises(ConfigError, match="is not finite"):
        aggregator.add_data_point("web", "m", value)
    assert aggregator.get_average("web", "m") == 5.0


def test_several_threads() -> None:
    """Points of several threads are all counted."""
    aggregator = MetricsAggregator(window_size=10_000)

    def add() -> None:
        for _ in range(1000):
            aggregator.add_data_point("web", "m", 1)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert aggregator.get_sum("web", "m") == 4000


@pytest.mark.parametrize("time_range", [None, 600])
def test_reading_while_points_come(time_range: float | None) -> None:
    """The average that a reader gets beside writers is always that of whole points."""
    aggregator = MetricsAggregator(window_size=3)
    done = threading.Event()
    wrong = []

    def add(metric: str) -> None:
        for _ in range(15_000):
            aggregator.add_data_point("web", metric, 7)
        done.set()

    def read() -> None:
        while not done.is_set():
            averages = [aggregator.get_average("web", metric, time_range) for metric in "xy"]
            wrong.extend(average for average in averages if average not in (0.0, 7.0))

    threads = [threading.Thread(target=add, args=(metric,)) for metric in "xy"]
    threads += [threading.Thread(target=read) for _ in range(2)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert wrong == []
