"""A name with several addresses leads to the one where the service listens."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from frp_wrapper.sidecar.targets import Targets, addresses_of


def answers(*hosts: str) -> Any:
    """Give a resolver for which ``localhost`` stands for these addresses: what this machine has is not ours to change."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: int, *arguments: Any, **options: Any) -> list[Any]:
        names = hosts if host == "localhost" else (host,)
        return [row for name in names for row in real(name, port, *arguments, **options)]

    return getaddrinfo


def test_the_address_where_somebody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of several addresses the one is used that accepts connections when the tunnel is opened."""
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.2", "127.0.0.3"))
    with socket.create_server(("127.0.0.3", 0)) as service:
        assert Targets("localhost", service.getsockname()[1]).current == service.getsockname()


def test_the_next_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that does not accept connections is followed by the next, and by the first after the last."""
    monkeypatch.setattr(socket, "getaddrinfo", answers("127.0.0.2", "127.0.0.3"))
    targets = Targets("localhost", 1)
    first = targets.current
    targets.turn()
    second = targets.current
    targets.turn()
    assert targets.current == first
    assert {first[0], second[0]} == {"127.0.0.2", "127.0.0.3"}


def test_ipv4_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Most services that listen at one address only do so at the one of IPv4; an address twice is one."""
    monkeypatch.setattr(socket, "getaddrinfo", answers("::1", "127.0.0.1", "127.0.0.1"))
    assert addresses_of("localhost", 80, socket.SOCK_STREAM) == [("127.0.0.1", 80), ("::1", 80)]


def test_an_unknown_name() -> None:
    """A name that nobody knows is an error of the system."""
    with pytest.raises(OSError, match=r".+"):
        Targets("no-such-host.invalid", 80)
