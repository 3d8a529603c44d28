"""The recent past of every tunnel, for charts: in memory, bounded, at three resolutions."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
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

    A rate is the difference of two totals, over the time between them, so that nothing is lost between samples: the sum
    of a chart is what has flowed, also where a sample came late. A tunnel takes 59 KB after a day (2,100 points of
    seven 4-byte numbers), and is forgotten with the first sample without it.

    Args:
        limit: So many tunnels are remembered; those beyond are counted in `refused`.
    """

    def __init__(self, limit: int = 1000) -> None:
        self._limit = limit
        self._tunnels: dict[str, _Past] = {}
        self.refused = 0
        """Tunnels of the last sample that are not remembered because there are so many."""

    def __contains__(self, tunnel_id: str) -> bool:
        return tunnel_id in self._tunnels

    def sample(self, metrics: Iterable[TunnelMetrics], now: float) -> None:
        """Take in the numbers of all tunnels at a moment; those of other tunnels are forgotten.

        Args:
            metrics: One for each tunnel.
            now: Unix seconds. A clock that was set back leaves a gap until it has caught up; by more than a minute,
                the past is forgotten.
        """
        before, self._tunnels = self._tunnels, {}
        self.refused = 0
        for of_tunnel in metrics:
            past = before.get(of_tunnel.tunnel_id)
            if past is None:
                if len(self._tunnels) >= self._limit:
                    self.refused += 1
                    continue
                past = _Past()
            self._tunnels[of_tunnel.tunnel_id] = past
            past.add(of_tunnel, now)

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
        end = math.ceil(now / step) * step
        count = max(1, seconds // step)
        ends = range(end - (count - 1) * step, end + 1, step)
        tunnels = {}
        for tunnel_id in tunnel_ids:
            past = self._tunnels.get(tunnel_id)
            rows = past.rings[TIERS.index(tier)] if past else _Ring(tier)
            tunnels[tunnel_id] = {name: rows.column(SERIES.index(name), ends, step) for name in series}
        return Chart(step, [min(at, int(now)) for at in ends], tunnels)


class _Past:
    """What is remembered of one tunnel."""

    __slots__ = ("rings",)

    def __init__(self) -> None:
        self.rings = tuple(_Ring(tier) for tier in TIERS)

    def add(self, metrics: TunnelMetrics, now: float) -> None:
        totals = (
            metrics.bytes_sent,
            metrics.bytes_received,
            metrics.connection_count,
            metrics.error_count,
        )
        gauges = (
            _number(metrics.open_connections),
            _number(getattr(getattr(metrics, "latency", None), "p95", None)),
            _number(getattr(metrics, "server_latency", None)),
        )
        for ring in self.rings:
            ring.add(totals, gauges, now)


class _Ring:
    """The points of one tunnel at one resolution; a point is a row of `SERIES`, and is named by the end of its step."""

    __slots__ = ("_at", "_first", "_gauges", "_last", "_rows", "_tier", "_totals")

    def __init__(self, tier: Tier) -> None:
        self._tier = tier
        self._clear()

    def _clear(self) -> None:
        self._rows = array("f")
        self._first, self._last, self._at = 1, 0, 0.0
        self._totals: Totals | None = None
        self._gauges: tuple[float, ...] | None = None

    def add(self, totals: Totals, gauges: tuple[float, ...], now: float) -> None:
        """Take in a sample; it becomes a row when a step has ended with it."""
        step = int(now // self._tier.step)
        if now < self._at - _SET_BACK:
            self._clear()
        if self._totals is None:
            self._first = step + 1
            self._start(step, totals, now)
            return
        self._gauges = gauges if self._gauges is None else tuple(map(_greater, self._gauges, gauges))
        if step <= self._last:
            return
        rates = _rates(self._totals, totals, now - self._at)
        self._append_gap(step - self._last - 1, rates)
        self._append(array("f", (*rates, *self._gauges)))
        self._start(step, totals, now)

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

    def _start(self, step: int, totals: Totals, now: float) -> None:
        self._last, self._at, self._totals, self._gauges = step, now, totals, None

    def _append_gap(self, steps: int, rates: Sequence[float]) -> None:
        """Fill steps without a sample: what flowed in them is known, the numbers of a moment are not."""
        if steps >= self._tier.points:  # nothing of before is within reach
            self._last += steps - self._tier.points + 1
            self._first = self._last + 1
            self._rows = array("f")
            steps = self._tier.points - 1
        for _ in range(steps):
            self._append(array("f", (*rates, *_UNKNOWN[_RATES:])))

    def _append(self, row: array[float]) -> None:
        self._last += 1
        begin = (self._last - self._first) % self._tier.points * _WIDTH
        self._rows[begin : begin + _WIDTH] = row


def _rates(before: Totals, after: Totals, seconds: float) -> list[float]:
    return [_rate(then, now, seconds) for then, now in zip(before, after, strict=True)]


def _rate(then: int | None, now: int | None, seconds: float) -> float:
    if then is None or now is None or seconds <= 0:
        return _NAN
    return (now - then if now >= then else now) / seconds  # a smaller total: the tunnel was made anew


def _number(value: Any) -> float:
    return _NAN if value is None else float(value)


def _greater(one: float, other: float) -> float:
    return other if math.isnan(one) or other > one else one
