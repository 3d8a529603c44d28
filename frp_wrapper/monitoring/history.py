"""The recent past of every tunnel, for charts: in memory, bounded, at three resolutions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from operator import add
from typing import Any

from frp_wrapper.monitoring.metrics import TunnelMetrics

__all__ = ["SERIES", "TIERS", "Chart", "History", "Tier"]

SERIES = (
    "bytes_sent_per_second",
    "bytes_received_per_second",
    "connections_per_second",
    "errors_per_second",
    "open_connections",
    "latency_p95",
    "server_latency",
)
"""What is remembered: four rates, then three numbers of a moment; of those a coarser step keeps the greatest."""
_RATES = 4
_WIDTH = len(SERIES)
_NAN = math.nan
_UNKNOWN = array("f", [_NAN] * _WIDTH)
_LIVE = 2.0
"""Seconds since the last sample in which a chart ends with that; later it shows that nothing is known since."""
_SET_BACK = 60.0
"""Seconds by which a clock must be set back for what is remembered to be given up."""
MAX_POINTS = 300
"""A chart has no more points than that unless its reader asks for smaller steps."""

Totals = tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Tier:
    """One resolution.

    Attributes:
        step: Seconds from one point to the next.
        points: How many are kept.
    """

    step: int
    points: int


TIERS = (Tier(1, 300), Tier(10, 360), Tier(60, 1440))
"""1 s for 5 minutes, 10 s for an hour, 1 minute for a day."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The past of some tunnels over the same points.

    Attributes:
        step: Seconds from one point to the next.
        time: The end of each step, Unix seconds.
        tunnels: For each tunnel and each series one number a point; None: not known.
    """

    step: int
    time: list[int]
    tunnels: dict[str, dict[str, list[float | None]]]


class History:
    """Remembers what samples tell; not for several threads.

    Rates come from totals, so that nothing is lost between samples: the sum of a chart is what has flowed, also where
    samples came late. A tunnel takes 60 KB after a day (2,100 points of seven 4-byte numbers), and is forgotten
    with `forget_others`.

    Args:
        limit: So many tunnels are remembered; those beyond are counted in `refused`.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._tunnels: dict[str, _Past] = {}
        self._refusing = 0
        self._added_at = float("-inf")
        self.refused = 0
        """Tunnels of the last round that are not remembered because there are so many."""

    def __contains__(self, tunnel_id: str) -> bool:
        return tunnel_id in self._tunnels

    def add(self, metrics: TunnelMetrics, now: float) -> None:
        """Take in the numbers of a tunnel.

        Args:
            metrics: As they are.
            now: When that is, Unix seconds. A clock that was set back leaves a gap until it has caught up; by more than
                a minute, the past is forgotten.
        """
        past = self._tunnels.get(metrics.tunnel_id)
        if past is None:
            if len(self._tunnels) >= self._limit:
                self._refusing += 1
                return
            past = self._tunnels[metrics.tunnel_id] = _Past()
        past.add(metrics, now)
        self._added_at = now

    def forget_others(self, tunnel_ids: Collection[str]) -> None:
        """Forget all tunnels but these; to be called after the numbers of each were added."""
        for gone in self._tunnels.keys() - set(tunnel_ids):
            del self._tunnels[gone]
        self.refused, self._refusing = self._refusing, 0

    def chart(
        self,
        tunnel_ids: Sequence[str],
        seconds: int,
        now: float,
        *,
        step: int | None = None,
        series: Sequence[str] = SERIES,
    ) -> Chart:
        """Give the past of some tunnels; a tunnel that is not remembered has no known points.

        Args:
            tunnel_ids: Whose.
            seconds: How far back.
            now: Unix seconds.
            step: Seconds from one point to the next, rounded up to what is remembered; None: at most 300 points.
            series: Which.
        """
        tier = next((tier for tier in TIERS if tier.step * tier.points >= seconds), TIERS[-1])
        wanted = step if step is not None else math.ceil(seconds / MAX_POINTS)
        step = max(1, math.ceil(wanted / tier.step)) * tier.step
        latest = int(self._added_at if 0.0 <= now - self._added_at < _LIVE else now)
        end = math.ceil(latest / step) * step
        count = max(1, seconds // step)
        ends = range(end - (count - 1) * step, end + 1, step)
        tunnels = {}
        for tunnel_id in tunnel_ids:
            past = self._tunnels.get(tunnel_id)
            rows = past.rings[TIERS.index(tier)] if past else _Ring(tier, now)
            tunnels[tunnel_id] = {name: rows.column(SERIES.index(name), ends, step) for name in series}
        return Chart(step, [min(at, latest) for at in ends], tunnels)


class _Past:
    """What is remembered of one tunnel."""

    __slots__ = ("_at", "_totals", "rings")

    def __init__(self) -> None:
        self._at = 0.0
        self._totals: Totals = ()
        self.rings: tuple[_Ring, ...] = ()

    def add(self, metrics: TunnelMetrics, now: float) -> None:
        """Take in a sample."""
        totals: Totals = (
            metrics.bytes_sent,
            metrics.bytes_received,
            metrics.connection_count,
            metrics.error_count,
        )
        if not self._totals or now < self._at - _SET_BACK:
            self._begin(now, totals)
            return
        if now <= self._at:  # the clock was set back a little: the next sample after it has it all
            return
        moved = [_moved(before, after) for before, after in zip(self._totals, totals, strict=True)]
        gauges = (
            _number(metrics.open_connections),
            _number(getattr(getattr(metrics, "latency", None), "p95", None)),
            _number(getattr(metrics, "server_latency", None)),
        )
        for ring in self.rings:
            ring.add(moved, gauges, self._at, now)
        self._at, self._totals = now, totals

    def _begin(self, now: float, totals: Totals) -> None:
        self.rings = tuple(_Ring(tier, now) for tier in TIERS)
        self._at, self._totals = now, totals


class _Ring:
    """The points of one tunnel at one resolution: rows of `SERIES`, each named by the number of its step.

    A step seldom ends with a sample: what was moved between two samples is shared out over the steps that they touch.
    """

    __slots__ = ("_first", "_gauges", "_last", "_moved", "_rows", "_tier")

    def __init__(self, tier: Tier, now: float) -> None:
        self._tier = tier
        self._rows = array("f")
        self._last = int(now // tier.step)
        self._first = self._last + 1
        self._moved = [0.0] * _RATES
        self._gauges = tuple(_UNKNOWN[_RATES:])

    def add(self, moved: list[float], gauges: tuple[float, ...], before: float, now: float) -> None:
        """Take in a sample; steps that end with it become rows.

        Args:
            moved: How much the totals have grown since the sample before.
            gauges: The numbers of this moment.
            before: When the sample before was.
            now: When this one is.
        """
        step = self._tier.step
        self._gauges = tuple(map(_greater, self._gauges, gauges))
        ended = int(now // step)
        if ended <= self._last:
            self._moved = list(map(add, self._moved, moved))
            return
        rates = [amount / (now - before) for amount in moved]
        first = (self._last + 1) * step - before
        begun = [(amount + rate * first) / step for amount, rate in zip(self._moved, rates, strict=True)]
        if ended - self._last > 1:
            self._append(begun, _UNKNOWN[_RATES:])
            self._append_gap(ended - self._last - 1, rates)
            begun = rates
        self._append(begun, self._gauges)
        begun_since = now - ended * step
        self._moved = [
            rate * begun_since if begun_since else 0.0 for rate in rates
        ]  # also of an unknown rate
        self._gauges = tuple(_UNKNOWN[_RATES:])

    def column(self, index: int, ends: Iterable[int], step: int) -> list[float | None]:
        """Give one series: for each step the mean of a rate, or the greatest of what is no rate."""
        per_point = step // self._tier.step
        found: list[float | None] = []
        for end in ends:
            last = end // self._tier.step
            values = [
                value
                for number in range(max(last - per_point + 1, self._oldest), min(last, self._last) + 1)
                if not math.isnan(value := self._value(number, index))
            ]
            if not values:
                found.append(None)
            else:
                found.append(sum(values) / len(values) if index < _RATES else max(values))
        return found

    @property
    def _oldest(self) -> int:
        return max(self._first, self._last - self._tier.points + 1)

    def _value(self, number: int, index: int) -> float:
        return self._rows[(number - self._first) % self._tier.points * _WIDTH + index]

    def _append_gap(self, steps: int, rates: list[float]) -> None:
        """Fill steps without a sample: what flowed in them is known, the numbers of a moment are not."""
        if steps >= self._tier.points:  # nothing of before is within reach
            self._last += steps - self._tier.points + 1
            self._first = self._last + 1
            self._rows = array("f")
            steps = self._tier.points - 1
        for _ in range(steps):
            self._append(rates, _UNKNOWN[_RATES:])

    def _append(self, rates: list[float], gauges: Iterable[float]) -> None:
        self._last += 1
        begin = (self._last - self._first) % self._tier.points * _WIDTH
        self._rows[begin : begin + _WIDTH] = array("f", (*rates, *gauges))


def _moved(before: int | None, after: int | None) -> float:
    if before is None or after is None:
        return _NAN
    return after - before if after >= before else after  # a smaller total: the tunnel was made anew


def _number(value: Any) -> float:
    return _NAN if value is None else float(value)


def _greater(one: float, other: float) -> float:
    return other if math.isnan(one) or other > one else one
