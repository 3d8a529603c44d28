"""Datagrams through real frpc and frps and the relay."""

from __future__ import annotations

import socket
import socketserver
import time
from collections.abc import Iterator

import pytest

from frp_wrapper import EventType, FRPClient, FRPServer
from tests.integration.conftest import eventually, serving

pytestmark = pytest.mark.integration


class Reversed(socketserver.DatagramRequestHandler):
    """Sends back what comes, last byte first."""

    def handle(self) -> None:
        self.wfile.write(self.rfile.read()[::-1])


@pytest.fixture
def service() -> Iterator[int]:
    """Give the port of a service of datagrams."""
    yield from serving(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Reversed))


@pytest.fixture
def visitors() -> Iterator[list[socket.socket]]:
    """Give sockets of three visitors at two addresses."""
    made = []
    for address in ("127.0.0.1", "127.0.0.1", "127.0.0.2"):
        visitor = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        visitor.bind((address, 0))
        visitor.settimeout(10)
        made.append(visitor)
    yield made
    for visitor in made:
        visitor.close()


def ask(visitor: socket.socket, port: int, question: bytes) -> bytes:
    """Send a question through a tunnel and give the answer."""
    visitor.sendto(question, ("127.0.0.1", port))
    return visitor.recv(2000)


def address_of(visitor: socket.socket) -> str:
    """Give the address as the relay tells it."""
    return "{}:{}".format(*visitor.getsockname())


def test_each_visitor_is_a_session(client: FRPClient, service: int, visitors: list[socket.socket]) -> None:
    """Visitors are known by their addresses, each with the bytes and the datagrams of their own session."""
    tunnel = client.expose_udp(service, meter="relay")
    port = tunnel.public_port or 0
    for number, visitor in enumerate(visitors, 1):
        for _ in range(number):
            assert ask(visitor, port, b"hello") == b"olleh"
    eventually(lambda: tunnel.metrics.datagrams_sent == 6)
    metrics = tunnel.metrics
    assert (metrics.source, metrics.connection_count, metrics.open_connections) == ("relay", 3, 3)
    assert (metrics.bytes_sent, metrics.bytes_received) == (30, 30)
    assert (metrics.datagrams_received, metrics.datagrams_dropped, metrics.evicted_sessions) == (6, 0, 0)
    sessions = {session.visitor: session for session in tunnel.connections()}
    assert [sessions[address_of(visitor)].bytes_sent for visitor in visitors] == [5, 10, 15]
    tunnel.close()
    assert {session.visitor for session in tunnel.recent_connections()} == sessions.keys()
    assert tunnel.metrics.datagrams_sent == 6


def test_a_visitor_who_may_not_come_in(
    client: FRPClient, service: int, visitors: list[socket.socket]
) -> None:
    """A denied visitor gets no answer and is told of; another is served."""
    refused: list[dict[str, object]] = []
    client.events.on(EventType.CONNECTION_REFUSED, refused.append)
    tunnel = client.expose_udp(service, deny=["127.0.0.2"])
    port = tunnel.public_port or 0
    visitors[2].sendto(b"hello", ("127.0.0.1", port))
    assert ask(visitors[0], port, b"hello") == b"olleh"
    eventually(lambda: tunnel.metrics.refused == {"visitor_not_allowed": 1})
    eventually(lambda: refused)
    assert refused[0]["visitor"] == address_of(visitors[2])
    assert tunnel.metrics.connection_count == 1


def test_a_service_that_is_not_there(client: FRPClient, visitors: list[socket.socket]) -> None:
    """What the kernel says of a port where nobody listens is an error of the tunnel, with its visitor."""
    failed: list[dict[str, object]] = []
    client.events.on(EventType.CONNECTION_FAILED, failed.append)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reserved:
        reserved.bind(("127.0.0.1", 0))
        tunnel = client.expose_udp(reserved.getsockname()[1], meter="relay")
    visitors[0].sendto(b"hello", ("127.0.0.1", tunnel.public_port or 0))
    eventually(lambda: tunnel.metrics.error_count == 1)
    eventually(lambda: failed)
    assert (failed[0]["visitor"], failed[0]["error"]) == (address_of(visitors[0]), "Connection refused")
    assert tunnel.metrics.errors == {"local_service_down": 1}


def test_the_header_is_passed_on_to_who_wants_it(client: FRPClient, visitors: list[socket.socket]) -> None:
    """With ``proxy_protocol`` the first datagram of a session has the header, the next has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(10)
        tunnel = client.expose_udp(service.getsockname()[1], meter="relay", proxy_protocol="v2")
        for _ in range(2):
            visitors[0].sendto(b"hello", ("127.0.0.1", tunnel.public_port or 0))
        first, second = service.recv(1000), service.recv(1000)
    assert first.startswith(b"\r\n\r\n\x00\r\nQUIT\n")
    assert (first[-5:], second) == (b"hello", b"hello")
    eventually(lambda: tunnel.metrics.bytes_received == 10)
    assert tunnel.connections()[0].visitor == address_of(visitors[0])


def test_a_secret_tunnel(
    server: FRPServer, client: FRPClient, service: int, visitors: list[socket.socket]
) -> None:
    """Of a sudp tunnel the visitor is who sends to the other client's port."""
    tunnel = client.expose_sudp(service, secret_key="k", name="vault", meter="relay")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as other:
        other.visit_sudp("vault", port, secret_key="k")
        assert ask(visitors[0], port, b"hello") == b"olleh"
        eventually(lambda: tunnel.metrics.bytes_sent == 5)
        assert tunnel.connections()[0].visitor == address_of(visitors[0])


@pytest.mark.compat
@pytest.mark.timeout(600)
@pytest.mark.parametrize("version", ["0.52.3", "0.61.2", "0.65.0", "0.68.1"])
def test_other_versions_of_frp(version: str, service: int, visitors: list[socket.socket]) -> None:
    """The header comes never, with each datagram, or with the first, by version; the service never sees it."""
    with (
        FRPServer(frp_version=version) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token, frp_version=version) as client,
    ):
        tunnel = client.expose_udp(service, meter="relay")
        for _ in range(3):
            assert ask(visitors[0], tunnel.public_port or 0, b"hello") == b"olleh"
        eventually(lambda: tunnel.metrics.datagrams_sent == 3)
        assert (tunnel.metrics.bytes_received, tunnel.metrics.connection_count) == (15, 1)
        is_told = version not in ("0.52.3", "0.61.2")
        assert tunnel.connections()[0].visitor == (address_of(visitors[0]) if is_told else None)


@pytest.mark.stress
@pytest.mark.timeout(120)
def test_a_session_lives_as_long_as_that_of_frpc(
    client: FRPClient, service: int, visitors: list[socket.socket]
) -> None:
    """Ours ends with frpc's own after 30 s without a datagram, not before; the next datagram begins a new one."""
    tunnel = client.expose_udp(service, meter="relay")
    port = tunnel.public_port or 0
    ask(visitors[0], port, b"hello")
    time.sleep(20)
    ask(visitors[0], port, b"hello")
    time.sleep(28)
    assert tunnel.metrics.open_connections == 1
    ask(visitors[0], port, b"hello")
    assert tunnel.metrics.connection_count == 1
    time.sleep(32)
    assert tunnel.metrics.open_connections == 0
    ask(visitors[0], port, b"hello")
    eventually(lambda: tunnel.metrics.connection_count == 2)
    assert [session.visitor for session in tunnel.connections()] == [address_of(visitors[0])]
