"""What only the relay can do for a tunnel, with real frpc and frps: rules, limits, and frpc's health checks told apart."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest

from frp_wrapper import ConfigError, EventType, FRPClient, FRPServer, HealthCheck, TunnelStatus
from frp_wrapper.metering import tunnel_meters
from frp_wrapper.monitoring.event_types import DEFINITIONS, TUNNEL_DATA
from tests.integration.conftest import Echo, EchoServer, eventually, exchange, serving

pytestmark = pytest.mark.integration


def visit(port: int, source: str = "127.0.0.1", data: bytes = b"hello") -> bytes | None:
    """Send something from an address of this machine; None when the visitor is refused."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as visitor:
            visitor.sendall(data)
            return visitor.recv(100) or None
    except ConnectionError:
        return None


def test_allow_and_deny(client: FRPClient, echo: int) -> None:
    """Deny wins over allow; who is refused is told, counted by reason, and in no other number."""
    seen: list[dict[str, Any]] = []
    client.events.on(EventType.CONNECTION_REFUSED, seen.append)
    tunnel = client.expose_tcp(echo, allow=["127.0.0.0/8"], deny=["127.0.0.2"])
    port = tunnel.public_port or 0
    assert visit(port, "127.0.0.1") == b"hello"
    assert visit(port, "127.0.0.2") is None
    assert visit(port, "127.0.0.3") == b"hello"
    eventually(lambda: tunnel.metrics.open_connections == 0)
    metrics = tunnel.metrics
    assert metrics.source == "relay"
    assert (metrics.connection_count, metrics.error_count) == (2, 0)
    assert (metrics.refused_count, metrics.refused) == (1, {"visitor_not_allowed": 1})
    rows = sorted(tunnel.recent_connections(), key=lambda row: row.opened_at)
    assert [(row.visitor or "").partition(":")[0] for row in rows] == ["127.0.0.1", "127.0.0.2", "127.0.0.3"]
    assert [row.reason for row in rows] == [None, "visitor_not_allowed", None]
    assert rows[1].error == "refused: the visitor's address is not allowed"
    eventually(lambda: seen)
    assert seen[0].keys() == {*DEFINITIONS[EventType.CONNECTION_REFUSED].data, *TUNNEL_DATA}
    assert (seen[0]["visitor"], seen[0]["reason"]) == (rows[1].visitor, "visitor_not_allowed")


def test_visitors_by_ipv6(frps_path: object, frpc_path: object, echo: int) -> None:
    """Visitors by IPv6 are known by their address, and rules are about it."""
    with (
        FRPServer(bind_host="::1") as server,
        FRPClient("::1", server.bind_port, auth_token=server.auth_token) as client,
    ):
        tunnel, closed = client.expose_tcp(echo, allow=["::1"]), client.expose_tcp(echo, deny=["::/64"])
        assert exchange(tunnel.public_port or 0, host="::1") == b"hello"
        eventually(tunnel.recent_connections)
        assert (tunnel.recent_connections()[0].visitor or "").startswith("[::1]:")
        with contextlib.suppress(ConnectionError):
            assert exchange(closed.public_port or 0, host="::1") == b""
        assert closed.metrics.refused == {"visitor_not_allowed": 1}


def test_a_secret_tunnel(server: FRPServer, client: FRPClient, echo: int) -> None:
    """Of an stcp tunnel the rules are about the visitors' frpc."""
    open_to, closed_to = (
        client.expose_stcp(echo, secret_key="k", allow=[network]) for network in ("127.0.0.1", "10.0.0.0/8")
    )
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as other:
        ports = []
        for tunnel in (open_to, closed_to):
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                ports.append(probe.getsockname()[1])
            other.visit_stcp(tunnel.id, ports[-1], secret_key="k")
        assert visit(ports[0]) == b"hello"
        assert visit(ports[1]) is None
    eventually(lambda: closed_to.metrics.refused == {"visitor_not_allowed": 1})
    assert open_to.metrics.refused_count == 0


def test_a_limit_of_connections(client: FRPClient, echo: int) -> None:
    """So many connections are open and no more; when one ends, another may come."""
    tunnel = client.expose_tcp(echo, max_connections=2)
    port = tunnel.public_port or 0
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            visitor = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            visitor.sendall(b"x")
            assert visitor.recv(1) == b"x"
        assert visit(port) is None
        assert tunnel.metrics.open_connections == 2
    eventually(lambda: tunnel.metrics.open_connections == 0)
    assert visit(port) == b"hello"
    assert tunnel.metrics.refused == {"connection_limit": 1}


@pytest.mark.parametrize(
    ("option", "reason"),
    [("connection_rate", "connection_rate"), ("visitor_connection_rate", "visitor_rate")],
)
def test_a_rate_of_connections(client: FRPClient, echo: int, option: str, reason: str) -> None:
    """Of a burst as many come in as the rate allows at once; one address's burst is another's only for the tunnel's rate."""
    tunnel = client.expose_tcp(echo, **{option: 0.01})  # type: ignore[arg-type]
    port = tunnel.public_port or 0
    assert [visit(port) for _ in range(3)] == [b"hello", None, None]
    assert tunnel.metrics.refused == {reason: 2}
    assert visit(port, "127.0.0.2") == (None if option == "connection_rate" else b"hello")


class Heads(Echo):
    """Keeps what comes until the visitor's ``hello``, then answers."""

    seen: ClassVar[list[bytes]] = []

    def handle(self) -> None:
        head = b""
        while not head.endswith(b"hello"):
            head += self.request.recv(1000)
        self.seen.append(head)
        self.request.sendall(b"x")


@pytest.fixture
def heads() -> Iterator[int]:
    """Give the port of a service that wants the header."""
    Heads.seen.clear()
    yield from serving(EchoServer(("127.0.0.1", 0), Heads))


@pytest.mark.parametrize("protocol", ["v1", "v2"])
def test_the_header_is_passed_on_to_who_wants_it(client: FRPClient, heads: int, protocol: str) -> None:
    """With ``proxy_protocol`` the service reads the visitor's address itself, and the relay knows it too."""
    tunnel = client.expose_tcp(heads, proxy_protocol=protocol, allow=["127.0.0.1"])  # type: ignore[arg-type]
    assert visit(tunnel.public_port or 0) == b"x"
    eventually(tunnel.recent_connections)
    visitor = tunnel.recent_connections()[0].visitor or ""
    start = b"PROXY TCP4 127.0.0.1 " if protocol == "v1" else b"\r\n\r\n\x00\r\nQUIT\n"
    assert Heads.seen[0].startswith(start)
    assert visitor.startswith("127.0.0.1:")
    assert tunnel.metrics.bytes_received == 5


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_health_checks_are_no_visitors(client: FRPClient, web: int, kind: str) -> None:
    """Checks of frpc are counted apart; rules do not stop them, and no visitor is seen in them."""
    check = HealthCheck(type=kind, path="/healthz" if kind == "http" else None, interval_seconds=1)  # type: ignore[arg-type]
    tunnel = client.expose_tcp(web, health_check=check, allow=["127.0.0.2"], connection_rate=0.001)
    eventually(lambda: (tunnel.metrics.health_checks or 0) >= 1)
    assert tunnel.status is TunnelStatus.ONLINE
    metrics = tunnel.metrics
    assert (metrics.connection_count, metrics.refused_count, metrics.error_count) == (0, 0, 0)
    assert tunnel.recent_connections() == []
    request = b"GET /healthz HTTP/1.0\r\n\r\n"
    answer = visit(tunnel.public_port or 0, "127.0.0.2", request)
    assert answer is not None
    assert answer.startswith(b"HTTP/1.1 200")
    assert tunnel.metrics.connection_count == 1


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_a_tcp_health_check_stays_true(client: FRPClient, meter: str) -> None:
    """When the service stops listening frpc takes the tunnel down, and up again when it is back, relay or not."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        port = service.getsockname()[1]
        check = HealthCheck(type="tcp", interval_seconds=1, timeout_seconds=1)
        tunnel = client.expose_tcp(port, health_check=check, meter=meter)  # type: ignore[arg-type]
        service.close()
        eventually(lambda: _is_down(client, tunnel.id))
    with socket.create_server(("127.0.0.1", port)):
        eventually(lambda: tunnel.status is TunnelStatus.ONLINE)


def _is_down(client: FRPClient, name: str) -> bool:
    """Say whether frpc has taken a tunnel down by its health check."""
    assert client._run is not None
    return client._run.frpc.status()[name].status == "check failed"


def test_a_limit_of_an_xtcp_service_and_its_checks(client: FRPClient, web: int) -> None:
    """Where frpc sends no header, its checks are still told from visitors."""
    check = HealthCheck(type="http", path="/healthz", interval_seconds=1)
    tunnel = client.expose_xtcp(web, secret_key="k", health_check=check, max_connections=1)
    eventually(lambda: (tunnel.metrics.health_checks or 0) >= 1)
    assert tunnel.metrics.connection_count == 0


def test_the_relay_is_chosen_where_the_kernel_does_not_tell(
    client: FRPClient, echo: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without sock_diag a tunnel is relayed by itself, unless its owner says how it shall be measured.

    That this kernel has none is made believe: it cannot be taken from it.
    """
    monkeypatch.setattr(tunnel_meters, "_kernel_tells", lambda: False)
    assert client.expose_tcp(echo).metrics.source == "relay"
    assert client.expose_tcp(echo, meter="off").metrics.source is None


def test_passive_is_the_usual_choice(client: FRPClient, echo: int) -> None:
    """A tunnel that asks for nothing special has nothing in its way."""
    assert client.expose_tcp(echo).metrics.source == "passive"


@pytest.mark.parametrize("meter", ["passive", "off"])
def test_rules_without_the_relay_are_refused(client: FRPClient, echo: int, meter: str) -> None:
    """Who rules the relay out and asks for what it does is told so, before anything is opened."""
    with pytest.raises(ConfigError, match="allow can only be had through the relay") as caught:
        client.expose_tcp(echo, allow=["10.0.0.0/8"], meter=meter)  # type: ignore[arg-type]
    assert "leave meter out, or allow" in str(caught.value)
    assert client.list_tunnels() == []


def test_requests_that_share_a_connection(client: FRPClient, server: FRPServer, web: int) -> None:
    """Frps sends requests of several visitors through one connection, which is why http has no rules by address."""
    tunnel = client.expose_http(web, custom_domains=["a.example"], meter="relay")
    for source in ("127.0.0.1", "127.0.0.2"):
        with socket.create_connection(
            ("127.0.0.1", server.vhost_http_port or 0), timeout=10, source_address=(source, 0)
        ) as visitor:
            visitor.sendall(b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n")
            assert visitor.recv(100).startswith(b"HTTP/1.1 200")
        time.sleep(0.2)
    (shared,) = tunnel.connections()
    assert (shared.visitor or "").startswith("127.0.0.1:")
    with pytest.raises(ConfigError, match="visitors of an http tunnel share connections"):
        client.expose_http(web, custom_domains=["b.example"], deny=["127.0.0.2"])
