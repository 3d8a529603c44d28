"""What a tunnel has moved by the calendar and by visitor, with real frp."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from frp_wrapper import FRPClient, FRPServer
from frp_wrapper.metering.usage import Usage
from tests.integration.conftest import eventually, exchange

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_usage_outlives_the_client(
    server: FRPServer, frpc_path: object, echo: int, tmp_path: Path, meter: str
) -> None:
    """Days go on in the next client with the same file; what has flowed just before the end is in them."""

    def run() -> Usage:
        with FRPClient(
            "localhost", server.bind_port, auth_token=server.auth_token, usage_file=str(file)
        ) as client:
            tunnel = client.expose_tcp(echo, name="web", meter=meter)  # type: ignore[arg-type]
            exchange(tunnel.public_port or 0, b"x" * 1000)
            eventually(lambda: tunnel.metrics.open_connections == 0 and tunnel.metrics.bytes_sent == 1000)
        assert tunnel.usage is not None
        return tunnel.usage

    file = tmp_path / "usage.json"
    for times in (1, 2):
        usage = run()
        moved = (usage.today.bytes_sent, usage.today.bytes_received, usage.today.connections)
        assert moved == (1000 * times, 1000 * times, times)
        assert usage.this_month == usage.today


def test_nothing_counts(client: FRPClient, echo: int) -> None:
    """Where nothing counts usage is unknown, not zero."""
    assert client.expose_tcp(echo, meter="off").usage is None


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_an_open_connection_has_rates(client: FRPClient, echo: int, meter: str) -> None:
    """While bytes flow, a second look tells how fast; the relay also tells who, and the top visitors have it."""
    tunnel = client.expose_tcp(echo, meter=meter)  # type: ignore[arg-type]
    with socket.create_connection(("127.0.0.1", tunnel.public_port or 0)) as visitor:
        until = time.monotonic() + 20

        def is_rated() -> bool:
            assert time.monotonic() < until
            visitor.sendall(b"x" * 1000)
            visitor.recv(1000, socket.MSG_WAITALL)
            open_now = tunnel.connections()
            return bool(open_now) and (open_now[0].sent_per_second or 0) > 0

        eventually(is_rated)
        if meter == "relay":
            (top,) = tunnel.top_visitors()
            assert (top.address, top.connections, top.open_connections) == ("127.0.0.1", 1, 1)
            assert top.bytes_sent >= 1000
    eventually(lambda: tunnel.metrics.open_connections == 0)
    eventually(
        lambda: len(tunnel.top_visitors()) == (meter == "relay")
    )  # the relay tells of ends once a second
