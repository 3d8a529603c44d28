"""Nothing of what the relay has counted and told is lost when something is killed, restarted, reloaded or away."""

from __future__ import annotations

import os
import signal
import socket
import socketserver
import time
from collections.abc import Callable, Iterator

import pytest

from frp_wrapper import FRPClient, FRPServer, Tunnel, TunnelStatus
from tests.integration.conftest import eventually, exchange, serving

pytestmark = pytest.mark.integration


class Back(socketserver.DatagramRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read())


def numbers(tunnel: Tunnel) -> tuple[int | None, ...]:
    """Give what only grows."""
    metrics = tunnel.metrics
    return metrics.connection_count, metrics.bytes_sent, metrics.bytes_received, metrics.refused_count


def kill_sidecar(client: FRPClient) -> None:
    """End the sidecar, frpc with it."""
    os.kill(client.sidecar_pid or 0, signal.SIGKILL)


def kill_frpc(client: FRPClient) -> None:
    """End frpc alone."""
    os.kill(client.pid or 0, signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_sidecar, kill_frpc])
def test_after_a_kill_the_numbers_go_on(
    client: FRPClient, echo: int, kill: Callable[[FRPClient], None]
) -> None:
    """Totals, those of an open connection too, and the last connections are there after a kill, and go on from there."""
    tunnel = client.expose_tcp(echo, meter="relay", deny=["127.0.0.2"])
    port = tunnel.public_port or 0
    for _ in range(3):
        assert exchange(port) == b"hello"
    with (
        pytest.raises(ConnectionError),
        socket.create_connection(("127.0.0.1", port), timeout=10, source_address=("127.0.0.2", 0)) as visitor,
    ):
        assert not visitor.recv(1)
        raise ConnectionError
    eventually(lambda: numbers(tunnel) == (3, 15, 15, 1) and tunnel.metrics.open_connections == 0)
    eventually(lambda: len(tunnel.recent_connections()) == 4)
    before = tunnel.recent_connections()
    with socket.create_connection(("127.0.0.1", port), timeout=10) as visitor:
        visitor.sendall(b"x" * 100)
        assert len(visitor.recv(100)) == 100
        eventually(lambda: numbers(tunnel) == (4, 115, 115, 1))
        kill(client)
        assert not _rest_of(visitor)
    eventually(lambda: tunnel.metrics.open_connections == 0)
    eventually(lambda: exchange(tunnel.public_port or 0) == b"hello", timeout=30)
    eventually(lambda: numbers(tunnel) == (5, 120, 120, 1))
    assert tunnel.recent_connections()[:4] == before


def _rest_of(visitor: socket.socket) -> bytes:
    try:
        return visitor.recv(100)
    except ConnectionError:
        return b""


@pytest.fixture
def datagrams() -> Iterator[int]:
    """Give the port of a service of datagrams."""
    yield from serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Back))


def test_datagrams_after_a_kill_of_the_sidecar(client: FRPClient, datagrams: int) -> None:
    """A relayed tunnel of datagrams comes back with its numbers."""
    tunnel = client.expose_udp(datagrams, meter="relay", remote_port=_free_udp_port())

    def is_answered() -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as visitor:
            visitor.settimeout(0.5)
            visitor.sendto(b"hello", ("127.0.0.1", tunnel.public_port or 0))
            return visitor.recv(100) == b"hello"

    eventually(is_answered)
    before = tunnel.metrics.datagrams_sent or 0
    kill_sidecar(client)
    eventually(lambda: tunnel.status is not TunnelStatus.ONLINE)
    eventually(is_answered, timeout=30)
    eventually(lambda: (tunnel.metrics.datagrams_sent or 0) > before)


def _free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_another_program_takes_the_relays_port(client: FRPClient, echo: int) -> None:
    """When the relay's port is gone after a kill of the sidecar, frpc is given another one."""
    tunnel = client.expose_tcp(echo, meter="relay")
    run = client._run
    assert run is not None
    address = run._metering.relay_address(tunnel.config)
    assert address is not None
    kill_sidecar(client)
    with socket.socket() as thief:
        deadline = time.monotonic() + 10
        while True:
            try:
                thief.bind(address)
                break
            except OSError:
                assert time.monotonic() < deadline
        eventually(lambda: run._metering.relay_address(tunnel.config) != address, timeout=30)
        eventually(lambda: exchange(tunnel.public_port or 0) == b"hello", timeout=30)


def test_the_server_goes_and_comes(frps_path: object, frpc_path: object, echo: int) -> None:
    """Over a restart of frps the relay stays as it is, and the numbers go on."""
    server = FRPServer()
    server.start()
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        tunnel = client.expose_tcp(echo, meter="relay")
        assert exchange(tunnel.public_port or 0) == b"hello"
        eventually(lambda: numbers(tunnel) == (1, 5, 5, 0))
        server.stop()
        tunnel.wait("offline", timeout=5)
        assert numbers(tunnel) == (1, 5, 5, 0)
        with FRPServer(server.bind_port, auth_token=server.auth_token):
            tunnel.wait("online", timeout=30)
            assert exchange(tunnel.public_port or 0) == b"hello"
            eventually(lambda: numbers(tunnel) == (2, 10, 10, 0))
            eventually(lambda: len(tunnel.recent_connections()) == 2)
    server.stop()


@pytest.mark.compat
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["0.65.0", None])
def test_other_tunnels_come_and_go(
    frps_path: object, frpc_path: object, echo: int, version: str | None
) -> None:
    """An open connection goes on, and is counted, while frpc takes up and drops others, by reload or by its store."""
    with (
        FRPServer(frp_version=version) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token, frp_version=version) as client,
    ):
        tunnel = client.expose_tcp(echo, max_connections=5)
        with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=10) as visitor:
            for _ in range(3):
                other = client.expose_tcp(echo, meter="relay")
                assert exchange(other.public_port or 0) == b"hello"
                other.close()
                visitor.sendall(b"hello")
                assert visitor.recv(100) == b"hello"
            eventually(lambda: numbers(tunnel) == (1, 15, 15, 0))
            assert tunnel.metrics.open_connections == 1
