"""The names that the specification leaves open work as the contract writes them."""

from __future__ import annotations

import contextlib
import socket
import time
from datetime import UTC, datetime

import pytest

import frp_wrapper
from frp_wrapper import EventType, FRPClient, FRPError, FRPServer, TunnelMetrics, TunnelStatus
from tests.integration.conftest import eventually, exchange

pytestmark = pytest.mark.integration


def test_the_contract_as_written(frps_path: object, frpc_path: object, echo: int) -> None:
    """The example of the contract runs."""
    disconnected: list[dict[str, object]] = []
    with FRPServer(bind_port=0, vhost_http_port=0, auth_token=None) as server:
        assert server.bind_port > 0
        assert (server.vhost_http_port or 0) > 0
        assert len(server.auth_token) >= 16
        assert (server.pid or 0) > 0
        with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
            tunnel = client.expose_tcp(echo)
            assert tunnel.url == f"tcp://localhost:{tunnel.public_port}"
            assert tunnel.public_host == "localhost"
            tunnel.wait(status="online", timeout=10)
            client.events.on(EventType.TUNNEL_DISCONNECTED, disconnected.append)
            assert exchange(tunnel.public_port or 0) == b"hello"
            metrics = tunnel.metrics
            assert isinstance(metrics, TunnelMetrics)
            assert client.pid
            assert client.server == "localhost"
            assert client.is_connected()
            assert client.get_uptime() > 0
            assert tunnel.config.tunnel_type == "tcp"
            assert tunnel.config.local_port == echo
            assert tunnel.status.value == "online"
            path = client.expose_path(echo, "/api")
            assert path.url == f"http://localhost:{server.vhost_http_port}/api"
            server.stop()
            eventually(lambda: disconnected)
            assert disconnected[0]["tunnel_id"] in (tunnel.id, path.id)
        assert client.pid is None
        assert tunnel.status is TunnelStatus.CLOSED


def test_an_empty_token_means_none(frps_path: object, frpc_path: object) -> None:
    """``auth_token=""`` makes a server on loopback that asks for nothing."""
    with FRPServer(auth_token="") as server, FRPClient("localhost", server.bind_port) as client:
        assert client.is_connected()


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_bytes_are_exact(client: FRPClient, echo: int, meter: str) -> None:
    """Payload bytes and connections are counted exactly, of open and of closed connections."""
    tunnel = client.expose_tcp(echo, meter=meter)
    port = tunnel.public_port or 0
    began = datetime.now(UTC)
    for _ in range(20):
        exchange(port, b"x" * 1000)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as visitor:
        visitor.sendall(b"y" * 500)
        received = 0
        while received < 500:
            received += len(visitor.recv(1000))
        eventually(lambda: tunnel.metrics.bytes_sent == 20_500 and tunnel.metrics.open_connections == 1)
        metrics = tunnel.metrics
        assert (metrics.bytes_sent, metrics.bytes_received) == (20_500, 20_500)
        assert (metrics.connection_count, metrics.open_connections, metrics.error_count) == (21, 1, 0)
        assert metrics.source == meter
        assert metrics.last_activity is not None
        assert began <= metrics.last_activity <= datetime.now(UTC)
        (connection,) = tunnel.connections()
        assert (connection.bytes_sent, connection.bytes_received) == (500, 500)
        assert connection.closed_at is None
        address = f"127.0.0.1:{visitor.getsockname()[1]}"
        assert connection.visitor == (address if meter == "relay" else None)
    eventually(lambda: tunnel.metrics.open_connections == 0)
    assert len(tunnel.recent_connections()) == 21
    assert tunnel.recent_connections()[-1].bytes_sent == 500
    tunnel.close()
    assert tunnel.metrics.bytes_sent == 20_500  # the numbers outlive the tunnel


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_two_tunnels_to_one_port_are_told_apart(client: FRPClient, echo: int, meter: str) -> None:
    """Each tunnel counts its own visitors though both lead to the same service, and no foreign connection."""
    first, second = client.expose_tcp(echo, meter=meter), client.expose_tcp(echo, meter=meter)
    exchange(first.public_port or 0, b"x" * 10)
    exchange(second.public_port or 0, b"x" * 200)
    exchange(echo, b"x" * 3000)  # past frp
    eventually(lambda: first.metrics.open_connections == 0 and second.metrics.open_connections == 0)
    eventually(lambda: first.metrics.bytes_sent == 10 and second.metrics.bytes_sent == 200)
    time.sleep(0.3)
    assert first.metrics.bytes_sent == 10
    assert second.metrics.bytes_sent == 200


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_a_service_that_is_down_is_an_error(client: FRPClient, meter: str) -> None:
    """A visitor whom the local service refuses counts as an error."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        tunnel = client.expose_tcp(probe.getsockname()[1], meter=meter)
        with contextlib.suppress(
            ConnectionError
        ):  # frps ends it as it comes: by a reset when something was unread
            assert exchange(tunnel.public_port or 0) == b""
        eventually(lambda: tunnel.metrics.error_count == 1)
        assert tunnel.metrics.connection_count == 1


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_short_connections_are_all_counted(client: FRPClient, echo: int, meter: str) -> None:
    """Six hundred connections that live for milliseconds, eight at a time, are counted to the byte."""
    from concurrent.futures import ThreadPoolExecutor

    tunnel = client.expose_tcp(echo, meter=meter)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: exchange(tunnel.public_port or 0, b"x" * (n + 1)), range(600)))
    total = sum(map(len, answers))
    assert total == 600 * 601 // 2
    eventually(lambda: tunnel.metrics.open_connections == 0 and tunnel.metrics.bytes_sent == total)
    metrics = tunnel.metrics
    assert (metrics.connection_count, metrics.bytes_received) == (600, total)


def test_a_large_transfer_through_the_relay(client: FRPClient, echo: int) -> None:
    """Sixty-four megabytes each way pass the relay unharmed and are counted to the byte."""
    tunnel = client.expose_tcp(echo, meter="relay")
    block = bytes(range(256)) * 4096
    sent = len(block) * 64
    import threading

    with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=30) as visitor:
        writer = threading.Thread(target=lambda: [visitor.sendall(block) for _ in range(64)])
        writer.start()
        received = bytearray()
        while len(received) < sent:
            received += visitor.recv(1 << 20)
        writer.join()
    assert received == block * 64
    assert (tunnel.metrics.bytes_sent, tunnel.metrics.bytes_received) == (sent, sent)


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_numbers_outlive_the_client(server: FRPServer, frpc_path: object, echo: int, meter: str) -> None:
    """After the client is closed the last numbers and connections can still be read."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        tunnel = client.expose_tcp(echo, meter=meter)
        exchange(tunnel.public_port or 0)
        eventually(lambda: tunnel.metrics.open_connections == 0 and tunnel.metrics.connection_count == 1)
    assert (tunnel.metrics.bytes_sent, tunnel.metrics.connection_count) == (5, 1)
    assert tunnel.connections() == []
    assert [connection.bytes_sent for connection in tunnel.recent_connections()] == [5]


def test_off_is_unknown_not_zero(client: FRPClient, echo: int) -> None:
    """With ``meter="off"`` numbers are None, so that nobody takes them for zeros."""
    tunnel = client.expose_tcp(echo, meter="off")
    exchange(tunnel.public_port or 0)
    metrics = tunnel.metrics
    assert (metrics.bytes_sent, metrics.connection_count, metrics.source) == (None, None, None)
    assert tunnel.connections() == []


def test_errors_are_one_tree() -> None:
    """Every error derives from FRPError, and TimeoutError is the builtin one too."""
    for name in (
        "BinaryNotFoundError",
        "ConnectionFailedError",
        "AuthenticationError",
        "TunnelError",
        "ConfigError",
    ):
        assert issubclass(getattr(frp_wrapper, name), FRPError)
    assert issubclass(frp_wrapper.TimeoutError, FRPError)
    assert issubclass(frp_wrapper.TimeoutError, TimeoutError)
    assert issubclass(frp_wrapper.ConfigError, ValueError)


def test_the_dashboard_of_frps_needs_its_credentials(frps_path: object) -> None:
    """Frps's own dashboard listens on loopback, with a user and password made up for this run."""
    import base64
    import urllib.error
    import urllib.request

    with FRPServer(dashboard_port=0) as server:
        config = server.config
        url = f"http://127.0.0.1:{config.dashboard_port}/api/serverinfo"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(url, timeout=5)
        login = base64.b64encode(f"{config.dashboard_user}:{config.dashboard_password}".encode()).decode()
        request = urllib.request.Request(url, headers={"Authorization": f"Basic {login}"})
        with urllib.request.urlopen(request, timeout=5) as response:
            assert b"version" in response.read()
        assert len(config.dashboard_password) >= 16
        assert config.dashboard_password not in repr(config)
