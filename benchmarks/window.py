"""Windows of numbers: query time and memory beside the deque of the specification.  ``python -m benchmarks.window``

10,000 tunnels with 6 metrics each and 300 points in each metric, all metrics of a moment with one time stamp, as a monitor
takes them; the deque is filled with a hundredth of that and its memory multiplied. Memory is that of a process of its own,
by the kernel.
"""

from __future__ import annotations

import gc
from collections import defaultdict, deque
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.aggregator import MetricsAggregator

TUNNELS, METRICS, POINTS = 10_000, 6, 300


class SpecifiedAggregator:
    """What the specification sketches."""

    def __init__(self, window_size: int = 300) -> None:
        self._points: dict[str, deque[tuple[datetime, float]]] = defaultdict(
            lambda: deque(maxlen=window_size)
        )

    def add_data_point(self, tunnel_id: str, metric_type: str, value: float, timestamp: datetime) -> None:
        self._points[f"{tunnel_id}:{metric_type}"].append((timestamp, value))

    def get_average(self, tunnel_id: str, metric_type: str, time_range: int | None = None) -> float:
        points = list(self._points.get(f"{tunnel_id}:{metric_type}", ()))
        if time_range:
            cutoff = datetime.now() - timedelta(seconds=time_range)  # noqa: DTZ005 - as specified
            points = [(t, v) for t, v in points if t > cutoff]
        return sum(v for _, v in points) / len(points) if points else 0.0


def resident() -> float:
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 1e6


def fill(aggregator: Any, tunnels: int) -> None:
    names = [f"tunnel-{number}" for number in range(tunnels)]
    metrics = [f"metric-{number}" for number in range(METRICS)]
    start = datetime.now() - timedelta(seconds=POINTS)  # noqa: DTZ005 - as specified
    add = aggregator.add_data_point
    for second in range(POINTS):
        moment = start + timedelta(seconds=second)
        for name in names:
            for metric in metrics:
                add(name, metric, second * 1.5, moment)


def megabytes(kind: type[Any], tunnels: int) -> float:
    aggregator = kind(POINTS)
    before = resident()
    fill(aggregator, tunnels)
    return (resident() - before) * TUNNELS / tunnels


def in_a_process(kind: type[Any], tunnels: int) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(megabytes, kind, tunnels).result()


def rows() -> list[Row]:
    ours, theirs = MetricsAggregator(POINTS), SpecifiedAggregator(POINTS)
    for aggregator in (ours, theirs):
        fill(aggregator, TUNNELS // 100)
    point, ask, ask_range = (
        "add('t', 'm', 1.5, now())",
        "get('tunnel-7', 'metric-3')",
        "get('tunnel-7', 'metric-3', 60)",
    )
    names = {"now": datetime.now}
    taken = nanoseconds(
        {
            "all": Way(ask, {"get": ours.get_average}),
            "all, deque": Way(ask, {"get": theirs.get_average}),
            "60 s": Way(ask_range, {"get": ours.get_average}),
            "60 s, deque": Way(ask_range, {"get": theirs.get_average}),
            "point": Way(point, names | {"add": MetricsAggregator(POINTS).add_data_point}),
            "point, deque": Way(point, names | {"add": SpecifiedAggregator(POINTS).add_data_point}),
        }
    )
    peer = "deque of the specification"
    memory = in_a_process(MetricsAggregator, TUNNELS), in_a_process(SpecifiedAggregator, TUNNELS // 100)
    return [
        Row("window: average of 300 points", taken["all"], "ns", peer, taken["all, deque"], at_most=300),
        Row("window: average of the last 60 s", taken["60 s"], "ns", peer, taken["60 s, deque"], at_most=300),
        Row("window: add a point", taken["point"], "ns", peer, taken["point, deque"]),
        Row("window: 10,000 tunnels, 6 x 300 points", memory[0], "MB", peer, memory[1], at_most=170),
    ]


if __name__ == "__main__":
    show(rows())
