"""Times in which an alert calls nobody."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from datetime import time as day_time

from frp_wrapper.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Silence:
    """Calls nobody until a moment on the monitor's clock; None: for every rule, for every tunnel."""

    until: float
    rule: str | None
    tunnel_id: str | None

    def holds(self, now: float, rule: str, tunnel_id: str) -> bool:
        """Say whether this alert is silenced now."""
        return now < self.until and self.rule in (None, rule) and self.tunnel_id in (None, tunnel_id)


class QuietHours:
    """A part of each day, such as from 22:00 to 07:00.

    Args:
        begin: Local time of day, ``HH:MM``.
        end: Likewise; before ``begin`` it is of the next day.

    Raises:
        ConfigError: One of them is no time of day.
    """

    def __init__(self, begin: str, end: str) -> None:
        self._begin = _parse(begin)
        self._end = _parse(end)

    def holds(self, now: datetime) -> bool:
        """Say whether ``now``, in local time, is within."""
        moment = now.time().replace(tzinfo=None)
        if self._begin <= self._end:
            return self._begin <= moment < self._end
        return moment >= self._begin or moment < self._end


def _parse(text: str) -> day_time:
    try:
        return day_time.fromisoformat(text)
    except ValueError as exc:
        raise ConfigError(f"quiet_hours: {text!r} is no time of day", hint="Write it as 22:00.") from exc
