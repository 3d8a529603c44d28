"""The monitor: the specification's scenarios, and what holds its alerts together."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from collections.abc import Iterator
from enum import Enum
from typing import Any

import pytest

from frp_wrapper import EventType, FRPClient, FRPServer, TunnelMetrics
from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.monitor import TunnelMonitor
from frp_wrapper.monitoring.quantiles import Quantiles
from frp_wrapper.monitoring.registry import Registry
from frp_wrapper.monitoring.rules import NAMES, Rule
from frp_wrapper.monitoring.silence import QuietHours
from frp_wrapper.monitoring.track import Track
from tests.integration.conftest import Echo, EchoServer, eventually, exchange, serving


class Clock:
    """A clock that only we move."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class State(Enum):
    """How a pretended tunnel is."""

    ONLINE = "online"
    OFFLINE = "offline"
    ERROR = "error"


class World:
    """A registry with one client and one tunnel that exist only here, and a monitor that looks when told."""

    id = "web"
    """As the tunnel."""

    def __init__(self, **options: Any) -> None:
        self.status = State.ONLINE
        self.metrics = TunnelMetrics("web", open_connections=0)
        self.events: list[dict[str, Any]] = []
        self.called: list[tuple[str, str]] = []
        self.tunnels: list[World] = [self]
        self.clock = Clock()
        registry = Registry()
        registry.add(self)
        self.monitor = TunnelMonitor(registry=registry, clock=self.clock, **options)

    def list_tunnels(self) -> list[World]:
        """As the client."""
        return self.tunnels

    def notify(self, event_type: EventType, data: Any) -> None:
        """As the client."""
        assert event_type is EventType.METRIC_THRESHOLD
        self.events.append(dict(data))

    def listen(self, *names: str) -> None:
        """Note calls for these alerts."""
        for name in names:
            self.monitor.register_callback(
                name, lambda tunnel, _, name=name: self.called.append((name, tunnel))
            )

    def look(self, after: float = 1.0) -> None:
        """Let time pass, and have the monitor look."""
        self.clock.now += after
        self.monitor.check_now()


def test_tunnel_metrics() -> None:
    """Scenario "metrics collection" of the specification, word for word."""
    monitor = TunnelMonitor()
    monitor.start_monitoring()
    metrics = TunnelMetrics(tunnel_id="test_tunnel")
    metrics.bytes_sent = 1024
    metrics.connection_count = 5
    monitor._metrics["test_tunnel"] = metrics
    retrieved = monitor.get_metrics("test_tunnel")
    assert retrieved is not None
    assert retrieved.bytes_sent == 1024
    assert retrieved.connection_count == 5
    monitor.stop_monitoring()


def test_threshold_alerts() -> None:
    """Scenario "threshold alerts" of the specification, word for word."""
    monitor = TunnelMonitor()
    alerts: list[tuple[str, TunnelMetrics]] = []

    def alert_handler(tunnel_id: str, metrics: TunnelMetrics) -> None:
        alerts.append((tunnel_id, metrics))

    monitor.register_callback("high_error_rate", alert_handler)
    metrics = TunnelMetrics(tunnel_id="test")
    metrics.error_count = 100
    metrics.connection_count = 110
    monitor._check_tunnel_health("test", metrics)
    assert len(alerts) == 1
    assert alerts[0][0] == "test"


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a TCP echo service."""
    yield from serving(EchoServer(("127.0.0.1", 0), Echo))


@pytest.fixture
def server(frps_path: object, frpc_path: object) -> Iterator[FRPServer]:
    """Give a running server."""
    with FRPServer() as running:
        yield running


@pytest.mark.integration
def test_real_time_monitoring(server: FRPServer, echo: int) -> None:
    """Scenario "real-time monitoring": a monitor made without a client sees the tunnel's traffic."""
    client = FRPClient("localhost", server.bind_port, auth_token=server.auth_token)
    monitor = TunnelMonitor(check_interval=0.2)
    with client:
        tunnel = client.expose_tcp(echo)
        monitor.start_monitoring()
        exchange(tunnel.public_port or 0)
        eventually(lambda: (metrics := monitor.get_metrics(tunnel.id)) and (metrics.bytes_sent or 0) > 0)
        metrics = monitor.get_metrics(tunnel.id)
        assert metrics is not None
        assert (metrics.connection_count or 0) > 0
        eventually(lambda: tunnel.id in monitor._metrics)
    eventually(lambda: tunnel.id not in monitor._metrics)  # what is gone is forgotten
    monitor.stop_monitoring()


@pytest.mark.integration
def test_a_killed_server_is_an_alert_within_two_seconds(server: FRPServer, echo: int) -> None:
    """Loss and return of the server call back and are events of the client, within two seconds of the loss."""
    calls: list[tuple[str, float]] = []
    events: list[dict[str, Any]] = []
    monitor = TunnelMonitor(check_interval=0.2)
    monitor.register_callback("tunnel_down", lambda *_: calls.append(("down", time.monotonic())))
    monitor.register_callback("resolved", lambda *_: calls.append(("resolved", time.monotonic())))
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        client.events.on(EventType.METRIC_THRESHOLD, events.append)
        client.expose_tcp(echo, name="web")
        monitor.start_monitoring()
        time.sleep(0.5)
        killed = time.monotonic()
        os.kill(server.pid or 0, signal.SIGKILL)
        eventually(lambda: calls)
        assert calls[0][0] == "down"
        assert calls[0][1] - killed < 2.0
        eventually(lambda: any(kind == "resolved" for kind, _ in calls), timeout=30)
        eventually(lambda: any(event["state"] == "resolved" for event in events))
        assert {"tunnel_id": "web", "alert": "tunnel_down", "state": "firing"}.items() <= events[0].items()
    monitor.stop_monitoring()


@pytest.mark.integration
def test_a_service_that_is_down_is_an_alert(server: FRPServer) -> None:
    """Visitors whom the local service refuses raise the error rate above its limit."""
    called = threading.Event()
    monitor = TunnelMonitor(check_interval=0.2)
    monitor.register_callback("high_error_rate", lambda *_: called.set())
    with (
        socket.socket() as nobody,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
    ):
        nobody.bind(("127.0.0.1", 0))
        tunnel = client.expose_tcp(nobody.getsockname()[1])
        monitor.start_monitoring()
        for _ in range(12):
            try:
                exchange(tunnel.public_port or 0)
            except ConnectionError:
                continue
        assert called.wait(10)
    monitor.stop_monitoring()


def test_start_and_stop_are_idempotent() -> None:
    """Two starts make one thread; a stop ends within a second whatever the interval, and may come twice."""
    monitor = TunnelMonitor(check_interval=3600)
    monitor.start_monitoring()
    monitor.start_monitoring()
    assert [thread.name for thread in threading.enumerate()].count("frp-wrapper-monitor") == 1
    began = time.monotonic()
    monitor.stop_monitoring()
    monitor.stop_monitoring()
    assert time.monotonic() - began < 1.5
    assert "frp-wrapper-monitor" not in [thread.name for thread in threading.enumerate()]
    monitor.start_monitoring()
    monitor.stop_monitoring()


def test_a_callback_that_raises_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged and counted, and the next one still runs."""
    world = World()
    world.monitor.register_callback("tunnel_down", lambda *_: 1 / 0)
    world.listen("tunnel_down")
    world.status = State.OFFLINE
    world.look()
    assert world.called == [("tunnel_down", "web")]
    assert world.monitor.callback_errors == 1
    assert "ZeroDivisionError" in caplog.text


def test_an_alert_fires_once_and_is_resolved() -> None:
    """While a condition holds there is one call; when it has ceased ``resolved`` is called; both are events."""
    world = World()
    world.listen("tunnel_down", "disconnected", "resolved")
    for state in (State.ONLINE, State.ERROR, State.ERROR, State.ERROR, State.ONLINE, State.ONLINE):
        world.status = state
        world.look()
    assert world.called == [("tunnel_down", "web"), ("resolved", "web")]
    assert [(event["state"], event["seconds"]) for event in world.events] == [
        ("firing", 0.0),
        ("resolved", 3.0),
    ]


def test_a_condition_must_hold_for_some_time() -> None:
    """With ``for_seconds`` an alert is pending first; a short fault never fires."""
    rule = Rule(name="busy", value="open_connections", limit=5, for_seconds=10)
    world = World(rules=[rule])
    world.listen("busy")
    world.metrics.open_connections = 9
    world.look()
    assert [alert.state for alert in world.monitor.alerts()] == ["pending"]
    world.metrics.open_connections = 1
    world.look()
    assert world.monitor.alerts() == []
    world.metrics.open_connections = 9
    for _ in range(11):
        world.look()
    assert world.called == [("busy", "web")]
    (alert,) = world.monitor.alerts()
    assert (alert.state, alert.value, alert.limit, alert.seconds) == ("firing", 9, 5, 10.0)


def test_an_alert_keeps_firing_and_cools_down() -> None:
    """``keep_firing_for`` bridges short gaps; after the end ``cooldown`` keeps it from firing again at once."""
    rule = Rule(name="busy", value="open_connections", limit=5, keep_firing_for=5, cooldown=20)
    world = World(rules=[rule])
    world.listen("busy", "resolved")
    for number in (9, 1, 9, 1, 1, 1, 1, 1, 1, 9, 9):
        world.metrics.open_connections = number
        world.look()
    assert world.called == [("busy", "web"), ("resolved", "web")]
    world.look(after=20)
    assert world.called[-1] == ("busy", "web")


def test_flapping() -> None:
    """A tunnel that goes and comes again and again is flapping, though it may be up at this moment."""
    world = World()
    world.listen("flapping")
    for state in (State.ONLINE, State.OFFLINE) * 2:
        world.status = state
        world.look()
    assert world.called == []
    world.status = State.ONLINE
    world.look()
    assert world.called == [("flapping", "web")]


@pytest.mark.parametrize("slow", ["server", "service"])
def test_high_latency(slow: str) -> None:
    """A server or a local service that needs more than a second to answer, for ten seconds, is an alert."""
    world = World()
    world.listen("high_latency", "resolved")
    world.look()
    if slow == "server":
        world.metrics.server_latency = 1.5
    else:
        world.metrics.latency = Quantiles(9, 0.1, 0.2, 1.5, 2.0, 2.0)
    for _ in range(10):
        world.look()
    assert world.called == []
    world.look()
    assert world.called == [("high_latency", "web")]
    world.metrics.server_latency, world.metrics.latency = 0.1, None
    for _ in range(32):
        world.look()
    assert world.called[-1] == ("resolved", "web")


def test_rates_are_of_the_last_minute() -> None:
    """Old errors do not hold an alert up: the share is that of the last minute."""
    world = World()
    world.listen("high_error_rate", "resolved")
    world.metrics.connection_count, world.metrics.error_count = 100, 50
    world.look()
    assert world.called == [("high_error_rate", "web")]
    for _ in range(70):
        world.metrics.connection_count += 5
        world.look()
    assert world.called == [("high_error_rate", "web"), ("resolved", "web")]


def test_limits_that_are_off_by_default() -> None:
    """``no_traffic`` and ``bandwidth`` work once they are given a limit."""
    world = World(limits={"no_traffic": 60, "bandwidth": 1000})
    world.listen("no_traffic", "bandwidth")
    world.metrics.uptime_seconds = 61
    world.look()
    world.metrics.bytes_sent = 5000
    world.look()
    assert world.called == [("no_traffic", "web"), ("bandwidth", "web")]


def test_what_is_not_known_fires_nothing() -> None:
    """Numbers that nothing measures neither fire an alert nor resolve one."""
    world = World(limits={"bandwidth": 0}, rules=[Rule(name="many", value="connection_count > 0", limit=0)])
    world.listen("bandwidth", "many", "high_error_rate")
    world.metrics = TunnelMetrics("web", None, None, None, None)
    world.look()
    world.look()
    assert world.called == []


@pytest.mark.parametrize(
    ("expression", "fires"),
    [
        ("open_connections > 5", True),
        ("open_connections > 5 and error_count == 0", True),
        ("open_connections > 5 and error_count > 0", False),
        ("not open_connections > 5", False),
        ("open_connections * 2 - 1 >= 13 or error_count > 9", True),
        ("open_connections / error_count > 1", False),
    ],
)
def test_rules_of_ones_own(expression: str, fires: bool) -> None:
    """An expression of the numbers is a rule."""
    world = World(rules=[Rule(name="own", value=expression, limit=0)])
    world.listen("own")
    world.metrics.open_connections = 7
    world.look()
    assert bool(world.called) is fires


def test_a_function_is_a_rule() -> None:
    """A function of all numbers is a rule too."""
    world = World(rules=[Rule(name="own", value=lambda values: values["open_connections"], limit=5)])
    world.listen("own")
    world.metrics.open_connections = 7
    world.look()
    assert world.called == [("own", "web")]


@pytest.mark.parametrize(
    "expression", ["open_conections > 5", "__import__('os')", "error_count ** 9", "1 <", "'a'"]
)
def test_expressions_that_are_refused(expression: str) -> None:
    """What is no number and no known operation is refused with what there is."""
    with pytest.raises(ConfigError) as caught:
        Rule(name="own", value=expression, limit=0)
    assert caught.value.hint


def test_every_name_of_a_rule_has_a_value() -> None:
    """The numbers that a rule can name are those that a monitor takes."""
    values = Track().values(TunnelMetrics("web", open_connections=0), "online", 1.0)
    assert set(values) == set(NAMES)


def test_silences() -> None:
    """A silence keeps calls and events back for its time, its rule and its tunnel, and counts them."""
    world = World()
    world.listen("tunnel_down", "disconnected")
    world.monitor.silence(60, rule="tunnel_down", tunnel_id="web")
    world.status = State.OFFLINE
    world.look()
    assert world.called == [("disconnected", "web")]
    assert world.monitor.silenced == 1
    world.status = State.ONLINE
    world.look(after=100)
    world.status = State.OFFLINE
    world.look()
    assert ("tunnel_down", "web") in world.called


def test_quiet_hours() -> None:
    """Quiet hours may go past midnight."""
    from datetime import datetime

    hours = QuietHours("22:00", "07:00")
    times = {hour: hours.holds(datetime(2026, 1, 1, hour).astimezone()) for hour in (6, 7, 12, 22, 23)}
    assert times == {6: True, 7: False, 12: False, 22: True, 23: True}
    with pytest.raises(ConfigError, match="no time of day"):
        QuietHours("10 pm", "07:00")


def test_names_that_do_not_exist() -> None:
    """A callback, limit or rule of a name that cannot be is refused with those that are."""
    with pytest.raises(ConfigError, match="no event 'tunel_down'"):
        TunnelMonitor().register_callback("tunel_down", lambda *_: None)
    with pytest.raises(ConfigError, match="no rule bandwith"):
        TunnelMonitor(limits={"bandwith": 1})
    with pytest.raises(ConfigError, match="two rules named bandwidth"):
        TunnelMonitor(rules=[Rule(name="bandwidth", value="bytes_sent", limit=1)])


def test_a_callback_may_use_the_monitor_from_another_thread() -> None:
    """Callbacks run without the monitor's lock."""
    world = World()
    seen: list[object] = []

    def ask(*_: object) -> None:
        thread = threading.Thread(target=lambda: seen.append(world.monitor.alerts()))
        thread.start()
        thread.join(5)

    world.monitor.register_callback("tunnel_down", ask)
    world.status = State.ERROR
    world.look()
    assert seen


def test_what_is_gone_is_forgotten() -> None:
    """A tunnel that is closed leaves neither numbers nor alerts."""
    world = World()
    world.status = State.ERROR
    world.look()
    world.tunnels = []
    world.look()
    assert world.monitor.alerts() == []
    assert world.monitor.get_metrics("web") is None
    assert world.monitor._tracks == {}
