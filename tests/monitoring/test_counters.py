"""The package's own counters: read where they are counted, bounded, and gone with their owners."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest

from frp_wrapper.config import ClientConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.frp import workdir
from frp_wrapper.frp.frpc import Frpc
from frp_wrapper.monitoring import MetricsAggregator
from frp_wrapper.monitoring.counters import CounterRegistry, CounterSample, default_counters

NAME = "frp_wrapper_things_dropped_total"
REFUSED = "frp_wrapper_counters_refused_total"


class Owner:
    """Counts things."""

    def __init__(self, registry: CounterRegistry, name: str = NAME, **labels: str) -> None:
        self.dropped = 0
        registry.watch(self, "dropped", name, "Things that were dropped.", **labels)


def values(registry: CounterRegistry, name: str = NAME) -> dict[tuple[str, ...], int]:
    """Give the values of one name by its labels' values."""
    return {
        tuple(value for _, value in sample.labels): sample.value
        for sample in registry.collect()
        if sample.name == name
    }


def test_a_counter_shows_what_its_owner_counts() -> None:
    """A sample has the name, help and labels that were given, and the attribute's value of this moment."""
    registry = CounterRegistry()
    owner = Owner(registry, server="localhost", part="relay")
    owner.dropped += 3
    sample = CounterSample(NAME, "Things that were dropped.", (("part", "relay"), ("server", "localhost")), 3)
    assert sample in registry.collect()
    owner.dropped += 1
    assert values(registry) == {("relay", "localhost"): 4}


def test_samples_are_sorted() -> None:
    """Samples come by name and labels, whatever the order in which they were made."""
    registry = CounterRegistry()
    owners = [
        Owner(registry, name, server=server)
        for name in ("frp_wrapper_b_total", "frp_wrapper_a_total")
        for server in ("y", "x")
    ]
    samples = [(sample.name, *sample.labels) for sample in registry.collect()]
    assert samples == sorted(samples)
    assert len(samples) == len(owners) + 1


def test_owners_with_the_same_labels_add_up() -> None:
    """There is one series for one name and label values, with the sum of its owners."""
    registry = CounterRegistry()
    owners = [Owner(registry, server=server) for server in ("a", "a", "b")]
    for number, owner in enumerate(owners, 1):
        owner.dropped = number
    assert values(registry) == {("a",): 3, ("b",): 3}


def test_a_series_is_gone_with_its_owner() -> None:
    """When the last owner is forgotten there is no series, and a new owner begins at nothing."""
    registry = CounterRegistry()
    owner = Owner(registry)
    owner.dropped = 5
    assert values(registry) == {(): 5}
    del owner
    gc.collect()
    assert values(registry) == {}
    new = Owner(registry)
    assert values(registry) == {(): new.dropped}


def test_a_sum_does_not_fall_while_an_owner_is_left() -> None:
    """What an owner had counted stays in the sum when it goes and another one goes on."""
    registry = CounterRegistry()
    one, other = Owner(registry), Owner(registry)
    one.dropped, other.dropped = 5, 2
    assert values(registry) == {(): 7}
    del one
    gc.collect()
    assert values(registry) == {(): 7}
    other.dropped += 1
    assert values(registry) == {(): 8}


def test_too_many() -> None:
    """Beyond the bound counters are not shown but counted, until owners go and make room."""
    registry = CounterRegistry(limit=3)  # one is the registry's own
    owners = [Owner(registry, server=str(number)) for number in range(5)]
    assert values(registry) == {("0",): 0, ("1",): 0}
    assert (registry.refused, values(registry, REFUSED)) == (3, {(): 3})
    del owners[0]
    gc.collect()
    owners.append(Owner(registry, server="new"))
    assert values(registry).keys() == {("1",), ("new",)}


@pytest.mark.parametrize(
    ("name", "labels", "fault"),
    [
        ("dropped", {}, "counter name 'dropped' is not allowed"),
        ("frp_wrapper_Dropped_total", {}, "not allowed"),
        ("frp_wrapper_dropped", {}, "not allowed"),
        (NAME, {"Server": "x"}, "label name 'Server' is not allowed"),
        (NAME, {"__name": "x"}, "not allowed"),
        (NAME, {"other": "x"}, "another help or other labels"),
    ],
)
def test_names_that_exporters_would_refuse(name: str, labels: dict[str, Any], fault: str) -> None:
    """A name or label that is not of the usual form, or changes, is refused with a sentence."""
    registry = CounterRegistry()
    first = Owner(registry, server="localhost")
    with pytest.raises(ConfigError, match=fault):
        Owner(registry, name, **labels)
    assert values(registry) == {("localhost",): first.dropped}


def test_a_long_label_is_cut() -> None:
    """A label has at most 128 characters."""
    registry = CounterRegistry()
    owner = Owner(registry, server="x" * 1000)
    assert values(registry) == {("x" * 128,): owner.dropped}


def test_a_property_that_makes_a_counter() -> None:
    """An attribute may be a property that uses the registry itself: nothing waits for itself."""
    registry = CounterRegistry()

    class Chain:
        def __init__(self) -> None:
            self.next: Owner | None = None
            registry.watch(self, "count", "frp_wrapper_chain_total", "Links.")

        @property
        def count(self) -> int:
            self.next = self.next or Owner(registry)
            return 1

    chain = Chain()
    assert values(registry, "frp_wrapper_chain_total") == {(): chain.count}


def test_points_that_an_aggregator_refuses() -> None:
    """`MetricsAggregator.refused` is shown to exporters."""
    name = "frp_wrapper_points_refused_total"
    aggregator = MetricsAggregator(max_series=0)
    before = values(default_counters, name)[()]
    aggregator.add_data_point("web", "m", 1)
    assert aggregator.refused == 1
    assert values(default_counters, name)[()] == before + 1


class Silent:
    """Is told things, and does nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def test_output_that_was_dropped() -> None:
    """`Frpc.dropped_bytes` is shown to exporters, by server."""
    config = ClientConfig(server="counted.example")
    frpc = Frpc(config, Path("/nowhere/frpc"), (0, 68, 0), Silent())
    try:
        frpc.on_dropped(100)
        frpc.on_dropped(11)
        assert values(default_counters, "frp_wrapper_output_dropped_bytes_total")[("counted.example",)] == 111
    finally:
        workdir.remove(frpc.folder)
