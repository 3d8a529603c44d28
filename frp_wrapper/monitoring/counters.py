"""The package's own counters: what bounds threw away and what went wrong, for whoever exports numbers.

What is counted stays a plain ``int`` attribute of whoever counts it: ``self.dropped += 1`` takes a tenth of what a
counter object with a method takes, and there is no second place that may say something else. `CounterRegistry` knows
which attributes there are, and reads them when it is asked.
"""

from __future__ import annotations

import re
import threading
import weakref
from dataclasses import dataclass, field

from frp_wrapper.errors import ConfigError

__all__ = ["CounterRegistry", "CounterSample", "default_counters"]

_NAME = re.compile(r"frp_wrapper_[a-z]+(_[a-z]+)*_total")
_LABEL = re.compile(r"[a-z]+(_[a-z]+)*")
_LONGEST_VALUE = 128
"""Characters of a label's value; the rest is cut."""

Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class CounterSample:
    """What one counter shows now.

    Attributes:
        name: Such as ``frp_wrapper_events_dropped_total``; the same for all label values.
        help: What is counted, as a sentence.
        labels: Names and values, in the order of the names.
        value: How many since the first owner was made; it does not fall while there is an owner. Of an owner that is
            gone it has what was read last.
    """

    name: str
    help: str
    labels: Labels
    value: int


@dataclass(slots=True)
class _Source:
    """An attribute of an owner."""

    owner: weakref.ref[object]
    attribute: str
    seen: int = 0
    """What it was when it was read last."""

    def read(self) -> None:
        owner = self.owner()
        if owner is not None:
            self.seen = getattr(owner, self.attribute)


@dataclass(slots=True)
class _Series:
    """All owners of one name with the same label values: they add up."""

    sources: list[_Source] = field(default_factory=list)
    of_the_gone: int = 0
    """What owners had counted that are gone, so that the sum does not fall while others go on."""

    def drop_the_gone(self) -> None:
        kept = []
        for source in self.sources:
            if source.owner() is None:
                self.of_the_gone += source.seen
            else:
                kept.append(source)
        self.sources = kept

    def total(self) -> int:
        return self.of_the_gone + sum(source.seen for source in self.sources)


class CounterRegistry:
    """Knows the counters of this process; safe for several threads.

    Owners are held weakly: a series is gone when all its owners are.

    Args:
        limit: Attributes of all owners together; further ones are not read, and counted in `refused`.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._shapes: dict[str, tuple[str, tuple[str, ...]]] = {}
        """The help and the label names of each name."""
        self._series: dict[tuple[str, Labels], _Series] = {}
        self.refused = 0
        """Counters that are not shown because there were too many."""
        self.watch(
            self, "refused", "frp_wrapper_counters_refused_total", "Counters beyond the bound, not shown."
        )

    def watch(self, owner: object, attribute: str, name: str, help: str, **labels: str) -> None:  # noqa: A002 - its name in every exporter
        """Show an attribute of an owner from now on, for as long as the owner lives.

        Args:
            owner: Who counts; it must allow weak references.
            attribute: An ``int`` of the owner that only grows.
            name: ``frp_wrapper_..._total``.
            help: What is counted, as a sentence; the same each time.
            labels: Few, with values from configuration, never from what others send: each value makes a series. The
                names are the same each time.

        Raises:
            ConfigError: A name is not of that form, or this counter had another help or other labels before.
        """
        key = (name, tuple(sorted((label, value[:_LONGEST_VALUE]) for label, value in labels.items())))
        shape = (help, tuple(sorted(labels)))
        _check_names(name, shape[1])
        with self._lock:
            if self._is_full():
                self.refused += 1
                return
            if self._shapes.setdefault(name, shape) != shape:
                raise ConfigError(
                    f"counter {name} had another help or other labels before", hint="Keep them."
                )
            self._series.setdefault(key, _Series()).sources.append(_Source(weakref.ref(owner), attribute))

    def collect(self) -> list[CounterSample]:
        """Read all counters; sorted by name, then by labels."""
        with self._lock:
            sources = [source for series in self._series.values() for source in series.sources]
        for source in sources:  # without the lock: an attribute may be a property that takes another
            source.read()
        with self._lock:
            self._drop_the_gone()
            return [
                CounterSample(name, self._shapes[name][0], labels, series.total())
                for (name, labels), series in sorted(self._series.items(), key=lambda item: item[0])
            ]

    def _is_full(self) -> bool:
        if self._count() >= self._limit:
            self._drop_the_gone()
        return self._count() >= self._limit

    def _count(self) -> int:
        return sum(len(series.sources) for series in self._series.values())

    def _drop_the_gone(self) -> None:
        for series in self._series.values():
            series.drop_the_gone()
        self._series = {key: series for key, series in self._series.items() if series.sources}


def _check_names(name: str, labels: tuple[str, ...]) -> None:
    if not _NAME.fullmatch(name):
        raise ConfigError(f"counter name {name!r} is not allowed", hint="Name it frp_wrapper_..._total.")
    for label in labels:
        if not _LABEL.fullmatch(label):
            raise ConfigError(f"label name {label!r} is not allowed", hint="Use a-z and single underscores.")


default_counters = CounterRegistry()
"""Those of this process."""
