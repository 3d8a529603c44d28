"""Counters go on over whatever happens to frpc, the server and the sidecar; services at any address are measured."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from frp_wrapper import FRPClient, FRPServer, Tunnel
from tests.integration.conftest import Echo, EchoServer, eventually, exchange, serving

pytestmark = pytest.mark.integration
METERS = pytest.mark.parametrize("meter", ["passive", "relay"])


class EchoAtIPv6(EchoServer):
    """A service at ::1."""

    address_family = socket.AF_INET6


@contextmanager
def connected(server: FRPServer, port: int | None = None) -> Iterator[FRPClient]:
    """Give a client that does not judge the server by its heartbeats: this machine may be busy."""
    with FRPClient(
        "localhost", port or server.bind_port, auth_token=server.auth_token, heartbeat_interval=-1
    ) as client:
        yield client


def visit(tunnel: Tunnel, visits: int) -> None:
    """Make one more connection, and wait until it is counted."""
    eventually(lambda: exchange(tunnel.public_port or 0, b"x" * 1000))
    eventually(lambda: tunnel.metrics.open_connections == 0 and tunnel.metrics.connection_count == visits)
    assert (tunnel.metrics.bytes_sent, tunnel.metrics.bytes_received) == (1000 * visits, 1000 * visits)


def kill_frpc(client: FRPClient, server: FRPServer) -> None:
    """Kill frpc; it is started again."""
    before = client.pid
    os.kill(before or 0, signal.SIGKILL)
    eventually(lambda: client.pid not in (None, before))


def kill_sidecar(client: FRPClient, server: FRPServer) -> None:
    """Kill the sidecar, and frpc with it."""
    before = client.sidecar_pid
    os.kill(before or 0, signal.SIGKILL)
    eventually(lambda: client.sidecar_pid not in (None, before))


def kill_server(client: FRPClient, server: FRPServer) -> None:
    """Kill frps; it is started again at its port, and frpc logs in again."""
    os.kill(server.pid or 0, signal.SIGKILL)
    eventually(lambda: not client.is_connected())


def open_another(client: FRPClient, server: FRPServer) -> None:
    """Open another tunnel and close it: frpc gets another configuration."""
    client.expose_stcp(1, secret_key="k").close()


@METERS
@pytest.mark.parametrize("happen", [kill_frpc, kill_sidecar, kill_server, open_another])
def test_counters_go_on(
    frps_path: object,
    frpc_path: object,
    echo: int,
    meter: str,
    happen: Callable[[FRPClient, FRPServer], None],
) -> None:
    """What was counted before is in the totals after, to the byte, and what comes after is counted too."""
    with FRPServer(bind_port=0) as server, connected(server) as client:
        tunnel = client.expose_tcp(echo, meter=meter)  # type: ignore[arg-type]
        visit(tunnel, 1)
        happen(client, server)
        tunnel.wait("online", 30)
        visit(tunnel, 2)


@METERS
@pytest.mark.parametrize("host", ["::1", "127.7.7.7", "localhost"])
def test_services_at_any_address(server: FRPServer, frpc_path: object, meter: str, host: str) -> None:
    """A service at IPv6, at another address than 127.0.0.1, or named, is measured to the byte."""
    kind = EchoAtIPv6 if ":" in host else EchoServer
    try:
        service = kind((host, 0), Echo)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with contextmanager(serving)(service) as port, connected(server) as client:
        tunnel = client.expose_tcp(port, local_host=host, meter=meter)  # type: ignore[arg-type]
        visit(tunnel, 1)
