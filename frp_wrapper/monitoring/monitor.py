"""Watches tunnels: keeps their numbers at hand, and says when one crosses a limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.counters import default_counters
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.logger import FRPLogger
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.registry import Registry, Watched, default_registry
from frp_wrapper.monitoring.rules import Alert, AlertState, Rule, built_in_rules
from frp_wrapper.monitoring.silence import QuietHours, Silence
from frp_wrapper.monitoring.track import Track

__all__ = ["ActiveAlert", "TunnelMonitor"]

Callback = Callable[[str, TunnelMetrics], None]


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An alert that is pending or firing.

    Attributes:
        rule: The name of the rule.
        tunnel_id: Which tunnel.
        state: ``pending`` or ``firing``.
        value: What was measured last.
        limit: What it must not be above.
        seconds: For how long the condition has held.
    """

    rule: str
    tunnel_id: str
    state: str
    value: float | None
    limit: float
    seconds: float


class TunnelMonitor:
    """Looks at every tunnel of this process (or of one registry) again and again, on a thread of its own.

    Callbacks run on that thread, named ``frp-wrapper-monitor``; one that raises is logged and counted, and the others
    still run. When an alert begins to fire or is resolved, the client whose tunnel it is emits ``METRIC_THRESHOLD``.

    Args:
        check_interval: Seconds between two looks.
        registry: Whose tunnels; None: those of every connected client of this process.
        limits: Other limits of the built-in rules, see `frp_wrapper.monitoring.rules.built_in_rules`.
        rules: Further rules.
        quiet_hours: Local times of day, such as ``("22:00", "07:00")``, in which alerts are noted but nobody is called.
        clock: Seconds on a clock that never goes back.

    Raises:
        ConfigError: A limit or rule is not valid, or two rules have one name.
    """

    def __init__(
        self,
        check_interval: float = 5.0,
        *,
        registry: Registry | None = None,
        limits: Mapping[str, float] | None = None,
        rules: Iterable[Rule] = (),
        quiet_hours: tuple[str, str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.check_interval = check_interval
        self._registry = registry or default_registry
        self._rules = (*built_in_rules(limits), *rules)
        _refuse_doubles(self._rules)
        self._quiet_hours = QuietHours(*quiet_hours) if quiet_hours else None
        self._clock = clock
        self._lock = threading.RLock()
        self._metrics: dict[str, TunnelMetrics] = {}
        self._callbacks: dict[str, tuple[Callback, ...]] = {}
        self._tracks: dict[str, Track] = {}
        self._alerts: dict[tuple[str, str], Alert] = {}
        self._silences: list[Silence] = []
        self._owners: dict[str, Watched] = {}
        self._statuses: dict[str, str] = {}
        self._stopping = threading.Event()
        self._monitor_thread: threading.Thread | None = None
        self._logger = FRPLogger("monitor")
        self.callback_errors = 0
        """Callbacks that raised."""
        self.silenced = 0
        """Alerts that nobody was called for, because of a silence or quiet hours."""
        default_counters.watch(
            self,
            "callback_errors",
            "frp_wrapper_alert_callback_errors_total",
            "Callbacks of alerts that raised.",
        )
        default_counters.watch(
            self,
            "silenced",
            "frp_wrapper_alerts_silenced_total",
            "Alerts that nobody was called for, because of a silence or quiet hours.",
        )

    def start_monitoring(self) -> None:
        """Start the thread; a second call does nothing."""
        with self._lock:
            if self._monitor_thread is not None:
                return
            self._stopping.clear()
            self._monitor_thread = threading.Thread(
                target=self._monitor_loop, name="frp-wrapper-monitor", daemon=True
            )
            self._monitor_thread.start()

    def stop_monitoring(self) -> None:
        """End the thread, within a second whatever the interval; a second call does nothing."""
        with self._lock:
            thread, self._monitor_thread = self._monitor_thread, None
            self._stopping.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join(1.0)

    def register_callback(self, event: str, callback: Callback) -> None:
        """Call ``callback(tunnel_id, metrics)`` when the alert of this name begins to fire.

        Args:
            event: The name of a rule, or ``resolved``: any alert is over.
            callback: Gets a copy of the numbers.

        Raises:
            ConfigError: There is no such rule.
        """
        known = {*(rule.name for rule in self._rules), "resolved"}
        if event not in known:
            raise ConfigError(f"there is no event {event!r}", hint=f"There are {', '.join(sorted(known))}.")
        with self._lock:
            self._callbacks[event] = (*self._callbacks.get(event, ()), callback)

    def get_metrics(self, tunnel_id: str) -> TunnelMetrics | None:
        """Give the numbers of a tunnel, of this moment if it is watched; None: there is no such tunnel."""
        for client in self._registry.clients():
            for tunnel in client.list_tunnels():
                if tunnel.id == tunnel_id:
                    return tunnel.metrics
        with self._lock:
            return self._metrics.get(tunnel_id)

    def alerts(self) -> list[ActiveAlert]:
        """Give what is pending or firing, the longest first."""
        now = self._clock()
        with self._lock:
            active = [
                ActiveAlert(
                    name, tunnel_id, alert.state.value, alert.value, alert.rule.limit, now - alert.since
                )
                for (tunnel_id, name), alert in self._alerts.items()
                if alert.since is not None
            ]
        return sorted(active, key=lambda alert: -alert.seconds)

    def silence(self, seconds: float, *, rule: str | None = None, tunnel_id: str | None = None) -> None:
        """Call nobody for some time.

        Args:
            seconds: For how long.
            rule: Only for this rule; None: for all.
            tunnel_id: Only for this tunnel; None: for all.
        """
        now = self._clock()
        with self._lock:
            self._silences = [silence for silence in self._silences if silence.until > now]
            self._silences.append(Silence(now + seconds, rule, tunnel_id))

    def check_now(self) -> None:
        """Look at every tunnel once, on this thread."""
        with self._lock:
            self._collect()
            metrics = list(self._metrics.items())
        for tunnel_id, of_tunnel in metrics:
            self._check_tunnel_health(tunnel_id, of_tunnel)

    def _monitor_loop(self) -> None:
        while not self._stopping.wait(self.check_interval):
            try:
                self.check_now()
            except Exception as exc:  # noqa: BLE001 - the monitor must outlive whatever it looks at
                self._logger.log_error(exc, {"monitor": "check"})

    def _collect(self) -> None:
        """Take the numbers of all tunnels; forget those of tunnels that are gone."""
        found: dict[str, Watched] = {}
        for client in self._registry.clients():
            for tunnel in client.list_tunnels():
                found[tunnel.id] = client
                self._metrics[tunnel.id] = tunnel.metrics
                self._statuses[tunnel.id] = tunnel.status.value
        for gone in self._owners.keys() - found.keys():
            self._forget(gone)
        self._owners = found

    def _forget(self, tunnel_id: str) -> None:
        self._metrics.pop(tunnel_id, None)
        self._statuses.pop(tunnel_id, None)
        self._tracks.pop(tunnel_id, None)
        for key in [key for key in self._alerts if key[0] == tunnel_id]:
            del self._alerts[key]

    def _check_tunnel_health(self, tunnel_id: str, metrics: TunnelMetrics) -> None:
        """Hold the numbers of one tunnel against every rule, and call whoever wants to know."""
        for alert, change, seconds in self._changes(
            tunnel_id, metrics
        ):  # called without the lock: they are users' code
            self._tell(tunnel_id, metrics, alert, change, seconds)

    def _changes(self, tunnel_id: str, metrics: TunnelMetrics) -> list[tuple[Alert, AlertState, float]]:
        """Take in the numbers of one tunnel; give the alerts that changed, and for how long their condition held."""
        now = self._clock()
        changes = []
        with self._lock:
            track = self._tracks.setdefault(tunnel_id, Track())
            values = track.values(metrics, self._statuses.get(tunnel_id), now)
            for rule in self._rules:
                alert = self._alerts.setdefault((tunnel_id, rule.name), Alert(rule))
                began = alert.since
                change = alert.step(values, now)
                if change is not None:
                    changes.append((alert, change, now - (now if began is None else began)))
        return changes

    def _tell(
        self, tunnel_id: str, metrics: TunnelMetrics, alert: Alert, change: AlertState, seconds: float
    ) -> None:
        rule = alert.rule
        if self._is_silenced(rule.name, tunnel_id):
            self.silenced += 1
            return
        state = "firing" if change is AlertState.FIRING else "resolved"
        data: dict[str, Any] = {
            "tunnel_id": tunnel_id,
            "alert": rule.name,
            "state": state,
            "value": alert.value,
            "limit": rule.limit,
            "seconds": seconds,
            "since": datetime.now(UTC) - timedelta(seconds=seconds),
        }
        self._logger.log_tunnel_event("alert", **data)
        owner = self._owners.get(tunnel_id)
        if owner is not None:
            owner.notify(EventType.METRIC_THRESHOLD, data)
        for callback in self._callbacks.get(rule.name if state == "firing" else "resolved", ()):
            self._call(callback, tunnel_id, metrics)

    def _call(self, callback: Callback, tunnel_id: str, metrics: TunnelMetrics) -> None:
        try:
            callback(tunnel_id, metrics)
        except Exception as exc:  # noqa: BLE001 - a callback is the user's code and may raise anything
            self.callback_errors += 1
            self._logger.log_error(exc, {"tunnel_id": tunnel_id})

    def _is_silenced(self, rule: str, tunnel_id: str) -> bool:
        now = self._clock()
        if self._quiet_hours is not None and self._quiet_hours.holds(datetime.now().astimezone()):
            return True
        return any(silence.holds(now, rule, tunnel_id) for silence in self._silences)


def _refuse_doubles(rules: tuple[Rule, ...]) -> None:
    names = [rule.name for rule in rules]
    doubles = {name for name in names if names.count(name) > 1}
    if doubles:
        raise ConfigError(
            f"there are two rules named {', '.join(doubles)}",
            hint="Give the limit of a built-in rule by limits=.",
        )
