"""What connections do is told as it happens, and summed up in the metrics, with real frpc and frps."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import Any

import pytest

from frp_wrapper import EventType, FRPClient
from frp_wrapper.monitoring.event_types import DEFINITIONS, PER_CONNECTION, TUNNEL_DATA
from tests.integration.conftest import eventually, exchange

pytestmark = pytest.mark.integration


def listen(client: FRPClient) -> list[tuple[EventType, dict[str, Any]]]:
    """Give the list into which what connections do is written."""
    seen: list[tuple[EventType, dict[str, Any]]] = []
    for kind in PER_CONNECTION:
        client.events.on(kind, lambda data, kind=kind: seen.append((kind, data)))
    return seen


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_a_connection_is_told_of(client: FRPClient, echo: int, meter: str) -> None:
    """A visitor's coming and going are events, with what went through and how long it took."""
    seen = listen(client)
    tunnel = client.expose_tcp(echo, meter=meter)
    time.sleep(1.2)  # the relay is told once a second what is wanted
    with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=10) as visitor:
        visitor.sendall(b"x" * 100)
        assert visitor.recv(100)
        address = "{}:{}".format(*visitor.getsockname())
        eventually(lambda: seen)
        time.sleep(0.2)
    eventually(lambda: len(seen) == 2)
    (first, opened), (second, closed) = seen
    assert (first, second) == (EventType.CONNECTION_OPENED, EventType.CONNECTION_CLOSED)
    for kind, data in seen:
        assert data.keys() == {*DEFINITIONS[kind].data, *TUNNEL_DATA}
        assert data["tunnel_id"] == tunnel.id
        assert data["visitor"] == (address if meter == "relay" else None)
    assert opened["local_address"] == closed["local_address"]
    assert (closed["bytes_sent"], closed["bytes_received"], closed["error"]) == (100, 100, None)
    assert 0.2 < closed["duration"] < 10
    assert client.events.history(EventType.CONNECTION_CLOSED)[0].data == closed


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_a_connection_that_fails_is_told_of(client: FRPClient, meter: str) -> None:
    """A visitor whom the local service does not take is an event, and an error of that kind in the metrics."""
    seen = listen(client)
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        tunnel = client.expose_tcp(reserved.getsockname()[1], meter=meter)
        with contextlib.suppress(ConnectionError):
            exchange(tunnel.public_port or 0)
        eventually(lambda: EventType.CONNECTION_FAILED in [kind for kind, _ in seen])
    failed = next(data for kind, data in seen if kind is EventType.CONNECTION_FAILED)
    assert "refused" in failed["error"]
    assert tunnel.metrics.errors == {"local_service_down": 1}


def test_nothing_is_told_where_nobody_listens(client: FRPClient, echo: int) -> None:
    """Without a handler there are no events of connections, not even in the history."""
    tunnel = client.expose_tcp(echo)
    exchange(tunnel.public_port or 0)
    eventually(lambda: tunnel.metrics.connection_count == 1 and tunnel.metrics.open_connections == 0)
    assert not PER_CONNECTION & {event.type for event in client.events.history()}


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_rates_and_durations(client: FRPClient, echo: int, meter: str) -> None:
    """Bytes and connections a second, and how long connections lasted, are those of the traffic."""
    tunnel = client.expose_tcp(echo, meter=meter)
    time.sleep(1.5)  # a first sample
    for _ in range(10):
        exchange(tunnel.public_port or 0, b"x" * 10_000)
    eventually(lambda: (tunnel.metrics.rates or {}) and tunnel.metrics.rates[10].connections > 0)  # type: ignore[index]
    eventually(lambda: tunnel.metrics.duration is not None and tunnel.metrics.duration.count == 10)
    metrics = tunnel.metrics
    assert metrics.rates is not None
    assert metrics.duration is not None
    minute = metrics.rates[60]
    assert minute.bytes_sent == pytest.approx(10_000 * minute.connections)
    assert minute.errors == 0
    assert 0 < metrics.duration.p50 <= metrics.duration.max < 10
    if meter == "relay":
        assert metrics.latency is not None
        assert metrics.latency.count == 10
        assert 0 < metrics.latency.p50 < 1
    else:
        assert metrics.latency is None


def test_the_life_of_a_tunnel_in_its_metrics(client: FRPClient, echo: int) -> None:
    """The metrics tell the way to the server, and how often the tunnel went and came."""
    tunnel = client.expose_tcp(echo)
    eventually(lambda: tunnel.metrics.server_latency is not None)
    assert 0 <= (tunnel.metrics.server_latency or 0) < 5
    assert (tunnel.metrics.reconnects, tunnel.metrics.flaps) == (0, 0)
    assert tunnel.metrics.uptime_percent == 100.0
    run = client._run
    assert run is not None
    run.session.fall_silent()
    eventually(lambda: tunnel.metrics.reconnects == 1)  # with the next heartbeat
    assert tunnel.metrics.flaps == 1
    assert 0 < (tunnel.metrics.uptime_percent or 0) < 100
