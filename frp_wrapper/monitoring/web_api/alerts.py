"""The alerts and silences of a monitor, as they are shown."""

from __future__ import annotations

import zlib
from datetime import UTC, datetime, timedelta

from frp_wrapper.monitoring.monitor import ActiveAlert, TunnelMonitor
from frp_wrapper.monitoring.silence import Silence
from frp_wrapper.monitoring.web_api.faults import ApiError
from frp_wrapper.monitoring.web_api.views import View

__all__ = ["AlertBook"]

MAX_SILENCES = 1000


class AlertBook:
    """Shows the alerts and silences of a monitor, and ends silences."""

    def __init__(self, monitor: TunnelMonitor) -> None:
        self.monitor = monitor

    def view(self) -> View:
        """Give what is pending or firing, and the silences that hold."""
        now = datetime.now(UTC)
        return {
            "alerts": [self._alert_view(alert, now) for alert in self.monitor.alerts()],
            "silences": [self._silence_view(silence) for silence in self._silences()],
        }

    def key(self) -> object:
        """Give what is compared to find out whether something has changed."""
        alerts = [
            (alert.rule, alert.tunnel_id, alert.state, self._is_silenced(alert))
            for alert in self.monitor.alerts()
        ]
        return sorted(alerts), self._silences()

    def silence(self, seconds: float, rule: str | None, tunnel_id: str | None) -> View:
        """Call nobody for some time; gives the silence.

        Raises:
            ApiError: There is no such rule, or there are too many silences.
        """
        rules = [known.name for known in self.monitor._rules]
        if rule is not None and rule not in rules:
            raise ApiError(400, "bad_body", f"there is no rule {rule!r}", f"There are {', '.join(rules)}.")
        if len(self._silences()) >= MAX_SILENCES:
            raise ApiError(
                409, "too_many_silences", f"{MAX_SILENCES} silences hold already", "End some of them first."
            )
        with self.monitor._lock:
            self.monitor.silence(seconds, rule=rule, tunnel_id=tunnel_id)
            return self._silence_view(self.monitor._silences[-1])

    def end_silence(self, silence_id: str) -> bool:
        """End a silence early; False: there is none with this id."""
        with self.monitor._lock:
            kept = [silence for silence in self.monitor._silences if _id(silence) != silence_id]
            found = len(kept) < len(self.monitor._silences)
            self.monitor._silences = kept
        return found

    def _alert_view(self, alert: ActiveAlert, now: datetime) -> View:
        return {
            "rule": alert.rule,
            "tunnel_id": alert.tunnel_id,
            "state": alert.state,
            "value": alert.value,
            "limit": alert.limit,
            "seconds": alert.seconds,
            "since": now - timedelta(seconds=alert.seconds),
            "silenced": self._is_silenced(alert),
        }

    def _silence_view(self, silence: Silence) -> View:
        return {
            "id": _id(silence),
            "rule": silence.rule,
            "tunnel_id": silence.tunnel_id,
            "seconds_left": silence.until - self.monitor._clock(),
        }

    def _is_silenced(self, alert: ActiveAlert) -> bool:
        return self.monitor._is_silenced(alert.rule, alert.tunnel_id)

    def _silences(self) -> list[Silence]:
        now = self.monitor._clock()
        with self.monitor._lock:
            return [silence for silence in self.monitor._silences if silence.until > now]


def _id(silence: Silence) -> str:
    return f"{zlib.crc32(f'{silence.until} {silence.rule} {silence.tunnel_id}'.encode()):08x}"
