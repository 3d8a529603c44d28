"""The main job on older versions of frp, which gain and lose tunnels by file and reload before 0.68."""

from __future__ import annotations

import os
import signal
import urllib.request

import pytest

from frp_wrapper import AuthenticationError, ConfigError, FRPClient, FRPServer, TunnelError, TunnelStatus
from tests.integration.conftest import eventually, exchange

pytestmark = [pytest.mark.integration, pytest.mark.compat, pytest.mark.timeout(600)]

VERSIONS = ["0.52.3", "0.61.2", "0.65.0", "0.68.1"]


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    """Give each of the older versions."""
    return str(request.param)


@pytest.fixture
def old_server(version: str) -> FRPServer:
    """Give a server of that version, not started."""
    return FRPServer(vhost_http_port=0, frp_version=version)


def connect(server: FRPServer, version: str, **options: object) -> FRPClient:
    """Make a client of the same version, not connected."""
    return FRPClient(
        "localhost", server.bind_port, auth_token=server.auth_token, frp_version=version, **options
    )  # type: ignore[arg-type]


def test_tunnels_come_go_and_are_counted(version: str, old_server: FRPServer, echo: int, web: int) -> None:
    """Tunnels carry and count data, come and go, and a refused one is named with its reason."""
    with old_server as server, connect(server, version) as client:
        tcp, path = client.expose_tcp(echo), client.expose_path(web, "/api")
        relayed = client.expose_tcp(echo, meter="relay")
        assert exchange(tcp.public_port or 0) == b"hello"
        assert exchange(relayed.public_port or 0) == b"hello"
        with urllib.request.urlopen(f"{path.url}/x", timeout=10) as response:
            assert response.read().startswith(b"/api/x ")
        eventually(lambda: tcp.metrics.bytes_sent == 5)
        eventually(lambda: relayed.metrics.bytes_sent == 5)
        eventually(relayed.recent_connections)
        assert relayed.recent_connections()[0].visitor is not None
        with pytest.raises(TunnelError) as caught:
            client.expose_tcp(echo, remote_port=tcp.public_port)
        assert caught.value.reason == "port_in_use"
        path.close()
        assert exchange(tcp.public_port or 0) == b"hello"
        assert [tunnel.id for tunnel in client.list_tunnels()] == [tcp.id, relayed.id]


def test_secret_tunnels(version: str, old_server: FRPServer, echo: int) -> None:
    """A secret tunnel and its visitor find each other."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with old_server as server, connect(server, version) as client, connect(server, version) as other:
        client.expose_stcp(echo, secret_key="k", name="vault")
        other.visit_stcp("vault", port, secret_key="k")
        assert exchange(port) == b"hello"


def test_loss_and_return(version: str, old_server: FRPServer, echo: int) -> None:
    """The loss of server and frpc is noticed, and both come back."""
    with old_server as server, connect(server, version) as client:
        tunnel = client.expose_tcp(echo)
        for pid in (server.pid, client.pid):
            os.kill(pid or 0, signal.SIGKILL)
            tunnel.wait("offline", timeout=10)
            tunnel.wait("online", timeout=40)
            eventually(lambda: exchange(tunnel.public_port or 0) == b"hello")
        assert tunnel.status is TunnelStatus.ONLINE


def test_wrong_token(version: str, old_server: FRPServer) -> None:
    """A wrong token is named."""
    with old_server as server, pytest.raises(AuthenticationError):
        FRPClient("localhost", server.bind_port, auth_token="wrong", frp_version=version).connect()


def test_user_names(version: str, old_server: FRPServer, echo: int) -> None:
    """With a user, names stay as they were given; older frpc print the user in front of them."""
    with old_server as server, connect(server, version, user="bob") as client:
        tunnel = client.expose_tcp(echo, name="ssh")
        assert exchange(tunnel.public_port or 0) == b"hello"
        eventually(lambda: tunnel.metrics.bytes_sent == 5)


def test_an_option_that_it_does_not_know(web: int) -> None:
    """An option that this version does not know is refused before frpc sees it."""
    old_server = FRPServer(vhost_http_port=0, frp_version="0.52.3")
    with (
        old_server as server,
        connect(server, "0.52.3") as client,
        pytest.raises(ConfigError, match=r"0\.58"),
    ):
        client.expose_http(web, custom_domains=["a.example.com"], response_headers={"x": "y"})
