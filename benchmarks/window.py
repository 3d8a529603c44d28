"""Windows of numbers: query time and memory beside the deque of the specification.  ``python benchmarks/window.py``

10,000 tunnels with 6 metrics each and 300 points in each metric, all metrics of a moment with one time stamp, as a monitor
takes them; the deque is filled with a hundredth of that and its memory multiplied. Memory is that of the process, by the
kernel; times are the best of five rounds.
"""

from __future__ import annotations

import gc
import time
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

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


def fill(aggregator: object, tunnels: int) -> tuple[float, float]:
    """Give megabytes and microseconds a point."""
    names = [f"tunnel-{number}" for number in range(tunnels)]
    metrics = [f"metric-{number}" for number in range(METRICS)]
    before, began = resident(), time.perf_counter()
    start = datetime.now() - timedelta(seconds=POINTS)  # noqa: DTZ005 - as specified
    add = aggregator.add_data_point  # type: ignore[attr-defined]
    for second in range(POINTS):
        moment = start + timedelta(seconds=second)
        for name in names:
            for metric in metrics:
                add(name, metric, second * 1.5, moment)
    taken = time.perf_counter() - began
    return resident() - before, taken / (tunnels * METRICS * POINTS) * 1e6


def best(call: Callable[..., object], arguments: tuple[object, ...], times: int = 2000) -> float:
    """Give microseconds a call."""
    rounds = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(times):
            call(*arguments)
        rounds.append((time.perf_counter() - began) / times * 1e6)
    return min(rounds)


def main() -> None:
    print(f"{'way':24}{'MB':>8}{'µs a point':>12}{'µs, all':>10}{'µs, 60 s':>10}")
    for name, aggregator, tunnels in (
        ("ours", MetricsAggregator(POINTS), TUNNELS),
        ("deque, as specified", SpecifiedAggregator(POINTS), TUNNELS // 100),
    ):
        memory, point = fill(aggregator, tunnels)
        get = aggregator.get_average
        everything = best(get, ("tunnel-7", "metric-3"))
        minute = best(get, ("tunnel-7", "metric-3", 60))
        scale = TUNNELS // tunnels
        print(f"{name:24}{memory * scale:8.0f}{point:12.2f}{everything:10.2f}{minute:10.2f}")


if __name__ == "__main__":
    main()
