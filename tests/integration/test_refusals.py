"""What the server, the network or the caller gets wrong ends in an error that says why and what to do."""

from __future__ import annotations

import socket
import time

import pytest

from frp_wrapper import (
    AuthenticationError,
    BinaryNotFoundError,
    ConfigError,
    ConnectionFailedError,
    FRPClient,
    FRPError,
    FRPServer,
    ProcessError,
    TimeoutError,
    TunnelError,
    TunnelStatus,
)

pytestmark = pytest.mark.integration


def refused(error: FRPError, reason: str) -> None:
    """Check that an error says why, and what to do."""
    assert error.reason == reason
    assert error.hint
    assert error.hint in str(error)


def test_wrong_token(server: FRPServer, frpc_path: object) -> None:
    """A wrong token is an AuthenticationError, at once."""
    client = FRPClient("localhost", server.bind_port, auth_token="wrong")
    with pytest.raises(AuthenticationError) as caught:
        client.connect()
    refused(caught.value, "auth_failed")
    assert client.pid is None


def test_no_token(server: FRPServer, frpc_path: object) -> None:
    """A missing token is an AuthenticationError too."""
    with pytest.raises(AuthenticationError):
        FRPClient("localhost", server.bind_port).connect()


def test_nobody_listens(frpc_path: object) -> None:
    """A server that is not there is named as unreachable, within seconds."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        with pytest.raises(ConnectionFailedError) as caught:
            FRPClient("localhost", probe.getsockname()[1]).connect()
    refused(caught.value, "server_unreachable")


def test_unknown_host(frpc_path: object) -> None:
    """A host name that does not exist is named so."""
    with pytest.raises(ConnectionFailedError) as caught:
        FRPClient("no-such-host.invalid", 7000).connect()
    refused(caught.value, "unknown_host")


def test_a_server_that_says_nothing(frpc_path: object) -> None:
    """A port that accepts and never answers ends in a timeout that the caller chose."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            FRPClient("localhost", mute.getsockname()[1]).connect(timeout=1.0)
        assert time.monotonic() - began < 5


def test_a_server_that_comes_later(frpc_path: object, frps_path: object) -> None:
    """With ``retry`` the client waits for a server that is not there yet."""
    with FRPServer() as server:
        port, token = server.bind_port, server.auth_token
    client = FRPClient("localhost", port, auth_token=token)
    with pytest.raises(ConnectionFailedError):
        client.connect()
    with FRPServer(port, auth_token=token):
        client.connect(timeout=20, retry=True)
        assert client.is_connected()
        client.close()


def test_port_taken_by_another_tunnel(client: FRPClient, echo: int) -> None:
    """A remote port that another tunnel has is refused, and the refused tunnel is gone."""
    first = client.expose_tcp(echo)
    with pytest.raises(TunnelError) as caught:
        client.expose_tcp(echo, remote_port=first.public_port)
    refused(caught.value, "port_in_use")
    assert client.list_tunnels() == [first]


def test_port_taken_by_another_program(client: FRPClient, echo: int) -> None:
    """A remote port that another program on the server has is refused."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(TunnelError) as caught:
        client.expose_tcp(echo, remote_port=other.getsockname()[1])
    assert caught.value.reason in ("port_in_use", "port_unavailable")
    assert caught.value.hint


def test_port_that_the_server_does_not_allow(frps_path: object, frpc_path: object, echo: int) -> None:
    """A remote port outside of ``allow_ports`` is refused."""
    with (
        FRPServer(allow_ports=["20000-20010"]) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        pytest.raises(TunnelError) as caught,
    ):
        client.expose_tcp(echo, remote_port=30000)
    refused(caught.value, "port_not_allowed")


def test_name_taken_by_another_client(server: FRPServer, client: FRPClient, echo: int) -> None:
    """A name that another client has on the server is refused."""
    client.expose_tcp(echo, name="web")
    with (
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as other,
        pytest.raises(TunnelError) as caught,
    ):
        other.expose_tcp(echo, name="web")
    refused(caught.value, "name_in_use")


def test_name_taken_by_oneself(client: FRPClient, echo: int) -> None:
    """A name that this client has already is refused, and the first tunnel stays as it is."""
    first = client.expose_tcp(echo, name="web")
    with pytest.raises(TunnelError) as caught:
        client.expose_tcp(echo, name="web")
    refused(caught.value, "name_in_use")
    assert first.status is TunnelStatus.ONLINE


def test_domain_taken(client: FRPClient, web: int) -> None:
    """A domain and path that another tunnel has are refused."""
    client.expose_path(web, "api")
    with pytest.raises(TunnelError) as caught:
        client.expose_path(web, "api")
    refused(caught.value, "domain_in_use")


def test_a_server_without_http(frps_path: object, frpc_path: object, web: int) -> None:
    """An http tunnel on a server without an HTTP port is refused."""
    with (
        FRPServer() as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        pytest.raises(TunnelError) as caught,
    ):
        client.expose_http(web, custom_domains=["a.example.com"])
    refused(caught.value, "vhost_not_enabled")


def test_a_visitor_port_that_is_taken(client: FRPClient) -> None:
    """A visitor whose local port is taken is refused."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(TunnelError) as caught:
        client.visit_stcp("vault", other.getsockname()[1], secret_key="k")
    refused(caught.value, "port_in_use")


def test_all_faults_at_once(client: FRPClient) -> None:
    """Bad arguments are all listed, and nothing reaches frpc."""
    with pytest.raises(ConfigError) as caught:
        client.expose_http(0, name="a b", subdomain="x.y", bandwidth_limit="fast")
    assert len(caught.value.faults) == 4
    assert client.list_tunnels() == []


def test_the_admin_port_is_not_exposed(client: FRPClient) -> None:
    """A tunnel to frpc's own admin API would give it away, so it is refused."""
    assert client._run is not None
    with pytest.raises(ConfigError, match="admin"):
        client.expose_tcp(client._run.frpc.admin_port)


def test_not_connected() -> None:
    """A client that is not connected says so."""
    with pytest.raises(ProcessError) as caught:
        FRPClient("localhost").expose_tcp(80)
    refused(caught.value, "not_connected")


def test_a_program_that_is_not_there() -> None:
    """A program that is not there is named."""
    with pytest.raises(BinaryNotFoundError, match="no program"):
        FRPClient("localhost", frpc_path="/nowhere/frpc").connect()


def test_a_program_that_is_not_frpc() -> None:
    """A program that is not frpc is refused before it runs as one."""
    with pytest.raises(ConfigError, match="not an frp program"):
        FRPClient("localhost", frpc_path="/bin/true").connect()


def test_an_extra_that_frpc_refuses(server: FRPServer, frpc_path: object) -> None:
    """When frpc does not stay up, its own words are in the error."""
    client = FRPClient(
        "localhost", server.bind_port, auth_token=server.auth_token, extra={"transport": {"poolCount": "x"}}
    )
    with pytest.raises(ProcessError, match="poolCount"):
        client.connect()


def test_a_server_port_that_is_taken(frps_path: object) -> None:
    """A server on a port that is taken says so."""
    with socket.create_server(("127.0.0.1", 0)) as other, pytest.raises(ProcessError) as caught:
        FRPServer(other.getsockname()[1]).start()
    refused(caught.value, "port_in_use")


def test_an_open_server_is_refused() -> None:
    """A server beyond loopback needs a token."""
    with pytest.raises(ConfigError, match="without a token"):
        FRPServer(bind_host="0.0.0.0", auth_token="")
