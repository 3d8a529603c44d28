"""A probe tells what a visitor would meet, with real frpc and frps."""

from __future__ import annotations

import socket

import pytest

from frp_wrapper import ConfigError, FRPClient, FRPServer
from tests.integration.conftest import eventually
from tests.processes import freeze, thaw

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("meter", ["passive", "relay", "off"])
def test_a_tunnel_that_works(client: FRPClient, echo: int, meter: str) -> None:
    """A probe of a tunnel whose service answers is ok, and says how long it took."""
    result = client.expose_tcp(echo, meter=meter).probe(timeout=20)
    assert (result.ok, result.reason) == (True, None)
    assert result.seconds is None if meter == "off" else 0 < (result.seconds or 0) < 20


@pytest.mark.parametrize("meter", ["passive", "relay"])
def test_frpc_may_be_quicker(
    client: FRPClient, echo: int, meter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that has been counted before the probe looks at the numbers is the probe's all the same."""
    tunnel = client.expose_tcp(echo, meter=meter)
    connect = socket.create_connection

    def connect_and_wait(*arguments: object) -> socket.socket:
        connection = connect(*arguments)  # type: ignore[arg-type]
        eventually(lambda: tunnel.counts.connections == 1)
        return connection

    monkeypatch.setattr(socket, "create_connection", connect_and_wait)
    assert tunnel.probe(timeout=2).ok


def test_a_web_tunnel_that_works(client: FRPClient, web: int) -> None:
    """A page that comes from the local service is proof, whatever its status."""
    assert client.expose_path(web, "/api").probe().ok


@pytest.mark.parametrize("meter", ["passive", "relay", "off"])
def test_a_service_that_is_down(client: FRPClient, meter: str) -> None:
    """A probe of a tunnel to nothing fails though frps takes the connection."""
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        port = reserved.getsockname()[1]
        result = client.expose_tcp(port, meter=meter).probe(timeout=3)
        assert not result.ok
        assert result.reason in ("local_service_down", "server_closed", "unknown")
        assert result.hint
        web = client.expose_path(port, "/api").probe()
        assert (web.ok, web.reason) == (False, "local_service_down")


def test_a_server_that_stands_still(server: FRPServer, client: FRPClient, echo: int) -> None:
    """A probe ends in bounded time though nobody answers."""
    tunnel = client.expose_tcp(echo)
    freeze(server.pid)
    try:
        result = tunnel.probe(timeout=0.5)
    finally:
        thaw(server.pid)
    assert (result.ok, result.reason) == (False, "timeout")


def test_a_type_without_an_address(client: FRPClient, echo: int) -> None:
    """What has no public address cannot be probed, and that is said."""
    with pytest.raises(ConfigError, match="type stcp cannot be probed"):
        client.expose_stcp(echo, secret_key="s").probe()
