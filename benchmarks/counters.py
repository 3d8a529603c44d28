"""One more of something, and reading all, beside prometheus_client.  ``python -m benchmarks.counters``"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.counters import CounterRegistry

SERIES = 500


class Owner:
    """Counts as all of the package do."""

    def __init__(self, registry: CounterRegistry, server: str) -> None:
        self.dropped = 0
        registry.watch(self, "dropped", "frp_wrapper_things_dropped_total", "Things.", server=server)

    def drop(self) -> None:
        self.dropped += 1


def rows() -> list[Row]:
    registry, other = CounterRegistry(), CollectorRegistry()
    owners = [Owner(registry, f"server-{number}") for number in range(SERIES)]
    counter = Counter("things", "Things.", ["server"], registry=other)
    children = [counter.labels(f"server-{number}") for number in range(SERIES)]
    ours = {"self": owners[0], "method": owners[0].drop}
    theirs = {"counter": counter, "child": children[0]}
    taken = nanoseconds(
        {
            "ours": Way("self.dropped += 1", ours),
            "ours, method": Way("method()", ours),
            "theirs": Way("child.inc()", theirs),
            "theirs, labels": Way("counter.labels('server-0').inc()", theirs),
            "collect": Way("collect()", {"collect": registry.collect}),
            "collect theirs": Way("list(collect())", {"collect": other.collect}),
        }
    )
    peer = "prometheus_client"
    return [
        Row(
            "counter: increment",
            taken["ours"],
            "ns",
            f"{peer}, child.inc()",
            taken["theirs"],
            at_most=60,
            times=4,
        ),
        Row(
            "counter: increment, with labels",
            taken["ours"],
            "ns",
            f"{peer}, labels().inc()",
            taken["theirs, labels"],
            at_most=60,
            times=16,
        ),
        Row("counter: increment in a method", taken["ours, method"], "ns", at_most=60),
        Row(
            f"counter: read {SERIES} series",
            taken["collect"] / 1000,
            "µs",
            f"{peer}, collect()",
            taken["collect theirs"] / 1000,
        ),
    ]


if __name__ == "__main__":
    show(rows())
