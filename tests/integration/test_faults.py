"""What a tunnel says of itself agrees with reality within two seconds of a fault, with real frpc and frps."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from frp_wrapper import EventType, FRPClient, FRPServer, TunnelStatus
from tests.integration.conftest import Echo, EchoServer, eventually, exchange
from tests.processes import freeze, thaw

pytestmark = pytest.mark.integration

WITHIN = 2.0
"""Seconds from a fault to the truth."""


class Line:
    """A network between frpc and frps that can be cut: nothing gets through then, and nobody is told.

    It stands where a real network cannot be cut without privileges; to both ends it looks the same.
    """

    def __init__(self, server_port: int) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._server_port = server_port
        self._up = threading.Event()
        self._up.set()
        self._ended = False
        self._ends: dict[socket.socket, socket.socket] = {}
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def cut(self) -> None:
        """Let nothing through from now on."""
        self._up.clear()

    def mend(self) -> None:
        """Let everything through again, also what has waited."""
        self._up.set()

    def end(self) -> None:
        """Take the line down."""
        self._ended = True
        self._up.set()
        self._thread.join()
        for end in (self._listener, *self._ends):
            end.close()

    def _run(self) -> None:
        while not self._ended:
            self._up.wait()
            for end in select.select([self._listener, *self._ends], [], [], 0.02)[0]:
                if self._up.is_set():
                    self._connect() if end is self._listener else self._forward(end)

    def _connect(self) -> None:
        near = self._listener.accept()[0]
        try:
            far = socket.create_connection(("127.0.0.1", self._server_port))
        except OSError:
            near.close()
            return
        self._ends |= {near: far, far: near}

    def _forward(self, end: socket.socket) -> None:
        other = self._ends.get(end)
        if other is None:
            return
        try:
            data = end.recv(65536)
            other.sendall(data)
        except OSError:
            data = b""
        if not data:
            for one in (end, other):
                del self._ends[one]
                one.close()


@pytest.fixture
def line(server: FRPServer) -> Iterator[Line]:
    """Give a line to the server."""
    line = Line(server.bind_port)
    yield line
    line.end()


def seconds_until(condition: Callable[[], object]) -> float:
    """Wait until a condition holds, and give how long that took."""
    began = time.monotonic()
    eventually(condition)
    return time.monotonic() - began


def test_a_killed_server(server: FRPServer, client: FRPClient, echo: int) -> None:
    """When frps is killed the tunnel is offline within two seconds, and the event tells why."""
    lost: list[dict[str, object]] = []
    client.events.on(EventType.TUNNEL_DISCONNECTED, lost.append)
    tunnel = client.expose_tcp(echo)
    os.kill(server.pid or 0, signal.SIGKILL)
    assert seconds_until(lambda: tunnel.status is not TunnelStatus.ONLINE and lost) < WITHIN
    assert lost[0]["cause"] == "server_lost"
    tunnel.wait("online", timeout=30)


def test_a_cut_network(server: FRPServer, frpc_path: object, line: Line, echo: int) -> None:
    """When nothing gets through to the server any more, the client knows within two seconds, and also when it does again."""
    causes: list[object] = []
    with FRPClient("localhost", line.port, auth_token=server.auth_token) as client:
        client.events.on(EventType.CLIENT_DISCONNECTED, lambda event: causes.append(event["cause"]))
        tunnel = client.expose_tcp(echo)
        eventually(lambda: client.server_latency is not None)
        line.cut()
        assert seconds_until(lambda: tunnel.status is TunnelStatus.OFFLINE and causes) < WITHIN
        assert not client.is_connected()
        assert causes == ["server_silent"]
        assert client.login_error is not None
        assert client.login_error.reason == "server_silent"
        line.mend()
        assert seconds_until(lambda: tunnel.status is TunnelStatus.ONLINE) < WITHIN
        assert exchange(tunnel.public_port or 0) == b"hello"


def test_a_frozen_server(server: FRPServer, client: FRPClient, echo: int) -> None:
    """A server that stands still, its connections open, is known within two seconds."""
    tunnel = client.expose_tcp(echo)
    eventually(lambda: client.server_latency is not None)
    freeze(server.pid)
    try:
        assert seconds_until(lambda: tunnel.status is TunnelStatus.OFFLINE) < WITHIN
    finally:
        thaw(server.pid)
    assert seconds_until(lambda: tunnel.status is TunnelStatus.ONLINE) < WITHIN


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_a_local_service_that_goes_and_comes(client: FRPClient, meter: str) -> None:
    """When the local service ends the tunnel says so within two seconds, with what to do, and when it is back."""
    told: list[tuple[str, object]] = []
    client.events.on(EventType.TUNNEL_ERROR, lambda event: told.append(("error", event["reason"])))
    client.events.on(EventType.TUNNEL_CONNECTED, lambda event: told.append(("online", None)))
    service = EchoServer(("127.0.0.1", 0), Echo)
    port: int = service.server_address[1]  # type: ignore[assignment]
    tunnel = client.expose_tcp(port, meter=meter)
    time.sleep(1.5)
    assert tunnel.status is TunnelStatus.ONLINE
    service.server_close()
    assert seconds_until(lambda: tunnel.status is TunnelStatus.ERROR) < WITHIN
    assert tunnel.error is not None
    assert tunnel.error.reason == "local_service_down"
    assert str(port) in tunnel.error.what
    service = EchoServer(("127.0.0.1", port), Echo)
    assert seconds_until(lambda: tunnel.status is TunnelStatus.ONLINE) < WITHIN
    service.server_close()
    eventually(lambda: len(told) >= 3)
    assert told[:3] == [("online", None), ("error", "local_service_down"), ("online", None)]


def test_a_service_that_is_not_there_yet(client: FRPClient) -> None:
    """A tunnel to nothing opens, says what is missing, and `wait` waits for the service rather than giving up."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port: int = reserved.getsockname()[1]
        tunnel = client.expose_tcp(port)
        assert seconds_until(lambda: tunnel.status is TunnelStatus.ERROR) < WITHIN
        starter = threading.Timer(0.5, reserved.listen)
        starter.start()
        tunnel.wait("online", timeout=10)
        starter.join()


def test_a_port_that_was_taken_over(frps_path: object, frpc_path: object, echo: int) -> None:
    """When somebody else has the public port after a restart of the server, the tunnel is in error, not online."""
    first = FRPServer()
    first.start()
    with FRPClient("localhost", first.bind_port, auth_token=first.auth_token) as client:
        port = _free_port()
        tunnel = client.expose_tcp(echo, remote_port=port)
        first.stop()
        tunnel.wait("offline", timeout=WITHIN)
        second = FRPServer(first.bind_port, auth_token=first.auth_token)
        with socket.create_server(("127.0.0.1", port)), second:
            eventually(client.is_connected, timeout=30)
            assert seconds_until(lambda: tunnel.status is TunnelStatus.ERROR) < WITHIN
            assert tunnel.error is not None
            assert tunnel.error.reason == "port_unavailable"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
