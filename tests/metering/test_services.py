"""Which local services are looked at, and what is said of them; the kernel and the sockets are real."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from frp_wrapper.config import TunnelConfig
from frp_wrapper.metering import services
from frp_wrapper.metering.services import ServiceWatch
from frp_wrapper.metering.tunnel_meters import NoMeter
from frp_wrapper.tunnel import Tunnel
from tests.integration.conftest import eventually


@pytest.fixture
def ports() -> Iterator[list[int]]:
    """Give three ports at which nobody listens, and nobody else can."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        yield [one.getsockname()[1] for one in sockets]


def tunnel_to(port: int, host: str = "127.0.0.1") -> Tunnel:
    """Give a tunnel that leads there."""
    config = TunnelConfig(name=f"to-{port}", tunnel_type="tcp", local_host=host, local_port=port)
    return Tunnel(config, None, NoMeter())  # type: ignore[arg-type]


def test_what_listens_is_told_from_what_does_not(ports: list[int]) -> None:
    """A service that listens, at its address or at all, is up; one that does not is down."""
    said: dict[str, bool] = {}
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("0.0.0.0", 0)) as other:
        up = [tunnel_to(server.getsockname()[1]) for server in (one, other)]
        tunnels = [*up, tunnel_to(ports[0])]
        watch = ServiceWatch("test", lambda: tunnels, lambda tunnel, up: said.update({tunnel.id: up}))
        watch.start()
        eventually(lambda: len(said) == 3)
        watch.stop()
        one.settimeout(0)
        with pytest.raises(BlockingIOError):
            one.accept()  # nobody has bothered the service
    assert said == {up[0].id: True, up[1].id: True, f"to-{ports[0]}": False}


def test_all_have_their_turn(ports: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """With more doubtful services than are tried in one look, each is tried in one of the next."""
    monkeypatch.setattr(services, "_MOST_TRIES", 1)
    said: list[str] = []
    tunnels = [tunnel_to(port) for port in ports]
    watch = ServiceWatch("test", lambda: tunnels, lambda tunnel, up: said.append(tunnel.id))
    watch.start()
    eventually(lambda: len(said) >= 3)
    watch.stop()
    assert sorted(said[:3]) == sorted(tunnel.id for tunnel in tunnels)
