"""The dashboard with real frp: the specification's scenario, and the whole way from the browser's request to frps."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests

from frp_wrapper import EventType, FRPClient, FRPServer, MonitoringDashboard
from tests.integration.conftest import Echo, EchoServer, Web, WebServer, eventually, exchange, serving
from tests.monitoring.dashboards import ask, running

pytestmark = pytest.mark.integration


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a TCP echo service."""
    yield from serving(EchoServer(("127.0.0.1", 0), Echo))


@pytest.fixture
def web() -> Iterator[int]:
    """Give the port of a web service."""
    yield from serving(WebServer(("127.0.0.1", 0), Web))


@pytest.fixture
def server(frps_path: object, frpc_path: object) -> Iterator[FRPServer]:
    """Give a running frps with an HTTP port."""
    with FRPServer(vhost_http_port=0) as running:
        yield running


def test_monitoring_dashboard(server: FRPServer, echo: int, web: int) -> None:
    """Scenario "dashboard" of the specification; ports from the kernel instead of 7000, 9999, 3000 and 8000."""
    client = FRPClient("localhost", server.bind_port, auth_token=server.auth_token)
    dashboard = MonitoringDashboard(client)

    dashboard.start(0)

    with client:
        tunnel1 = client.expose_tcp(echo)
        tunnel2 = client.expose_path(web, "api")

        response = requests.get(f"http://localhost:{dashboard.port}/api/status", timeout=10)
        status = response.json()

        assert status["client"]["connected"]
        assert len(status["tunnels"]) == 2

        assert [tunnel["id"] for tunnel in status["tunnels"]] == [tunnel1.id, tunnel2.id]
        assert {tunnel["status"] for tunnel in status["tunnels"]} == {"online"}
        assert dashboard.get_status()["tunnels"][0]["url"] == tunnel1.url
    status = requests.get(f"http://localhost:{dashboard.port}/api/status", timeout=10).json()
    assert (status["client"]["connected"], status["tunnels"]) == (False, [])
    dashboard.stop()


def test_traffic_shows_up(server: FRPServer, echo: int) -> None:
    """What flows through a tunnel is in the status, the chart, the connections, the metrics and frpc's lines."""
    with (
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        running(client) as dashboard,
    ):
        port, token = dashboard.port, dashboard.token
        tunnel = client.expose_tcp(echo, name="echo", meter="relay")

        def has_flowed() -> bool:
            exchange(tunnel.public_port or 0, b"x" * 1000)
            chart = ask(port, "/api/tunnels/echo/metrics?range=60", token=token).json
            return any(chart["series"]["bytes_sent_per_second"])

        eventually(has_flowed)
        metrics = ask(port, "/api/status").json["tunnels"][0]["metrics"]
        assert metrics["bytes_sent"] >= 1000
        connections = ask(port, "/api/tunnels/echo/connections", token=token).json
        assert connections["recent"][0]["visitor"].startswith("127.0.0.1:")
        assert connections["visitors"][0]["bytes_sent"] >= 1000
        text = ask(port, "/metrics", token=token).body.decode()
        assert 'frp_wrapper_tunnel_bytes_sent_total{tunnel="echo",type="tcp"}' in text
        lines = ask(port, "/api/logs?level=info", token=token).json["lines"]
        assert any(line["type"] == "tunnel_connected" for line in lines)
        assert server.auth_token not in str(lines)


def test_who_is_refused_shows_up(server: FRPServer, echo: int) -> None:
    """The connections tell who was refused and why, the metrics how many by reason."""
    with (
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        running(client) as dashboard,
    ):
        port, token = dashboard.port, dashboard.token
        tunnel = client.expose_tcp(echo, name="guarded", deny=["127.0.0.1"])
        with pytest.raises(ConnectionError):
            assert not exchange(tunnel.public_port or 0)
            raise ConnectionError
        connections = ask(port, "/api/tunnels/guarded/connections", token=token).json
        (refused,) = connections["recent"]
        assert refused["visitor"].startswith("127.0.0.1:")
        assert refused["reason"] == "visitor_not_allowed"
        assert refused["error"] == "refused: the visitor's address is not allowed"
        metrics = ask(port, "/api/tunnels", token=token).json["tunnels"][0]["metrics"]
        assert (metrics["refused_count"], metrics["refused"]) == (1, {"visitor_not_allowed": 1})
        labels = 'tunnel="guarded",type="tcp",reason="visitor_not_allowed"'
        text = ask(port, "/metrics", token=token).body.decode()
        assert f"frp_wrapper_tunnel_refused_total{{{labels}}} 1" in text


def test_a_tunnel_comes_and_goes_by_the_interface(server: FRPServer, echo: int) -> None:
    """What is asked for over HTTP happens in frp: a tunnel carries data, restarts with its numbers, and is closed."""
    with (
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        running(client) as dashboard,
    ):
        port, token = dashboard.port, dashboard.token
        causes: list[str] = []
        client.events.on(EventType.TUNNEL_DISCONNECTED, lambda event: causes.append(event["cause"]))
        answer = ask(
            port, "/api/tunnels", "POST", token=token, body={"type": "tcp", "local_port": echo, "name": "e"}
        )
        assert answer.status == 201
        (tunnel,) = client.list_tunnels()
        tunnel.wait("online", 15)
        assert exchange(tunnel.public_port or 0) == b"hello"
        assert ask(port, "/api/tunnels/e/restart", "POST", token=token).status == 202
        tunnel.wait("online", 15)
        eventually(lambda: exchange(tunnel.public_port or 0) == b"hello")
        eventually(lambda: (tunnel.metrics.connection_count or 0) >= 2)
        assert causes == ["restarted"]
        assert ask(port, "/api/tunnels/e", "DELETE", token=token).status == 204
        assert ask(port, "/api/status").json["tunnels"] == []
        answer = ask(port, "/api/tunnels", "POST", token=token, body={"type": "tcp", "local_port": port})
        assert answer.code == "own_dashboard_port"


def test_restart_needs_a_tunnel_and_a_connection(server: FRPServer, echo: int) -> None:
    """A closed tunnel is not restarted, nor one of a client that is not connected."""
    from frp_wrapper import ProcessError, TunnelError

    client = FRPClient("localhost", server.bind_port, auth_token=server.auth_token)
    with client:
        tunnel = client.expose_tcp(echo, name="e")
        client.restart(tunnel)
        tunnel.wait("online", 15)
        tunnel.close()
        with pytest.raises(TunnelError, match="closed"):
            client.restart(tunnel)
        assert client.list_tunnels() == []
    with pytest.raises(ProcessError, match="not connected"):
        client.restart(tunnel)
