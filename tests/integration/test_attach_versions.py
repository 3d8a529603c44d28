"""Every version of frp, with its own log lines, names and answers, can be watched."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from frp_wrapper import FRPServer, TunnelStatus, attach
from frp_wrapper.frp.binary import find
from frp_wrapper.frp.frpc import free_port
from tests.integration.conftest import eventually, exchange
from tests.integration.foreign import Foreign, settled

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc and sock_diag are Linux's"),
]


@pytest.mark.parametrize("version", ["0.52.3", "0.61.2", "0.65.0", "0.68.1"])
def test_an_older_frpc(version: str, server: FRPServer, echo: int, tmp_path: Path) -> None:
    """Two tunnels to one service of a user are told apart, known by the names of the file, and refused ones by reason."""
    port = free_port()
    more = f'user = "bob"\nlog.level = "debug"\nwebServer.port = {port}'
    frpc = Foreign(tmp_path, server, echo, ("a", "b"), more, program=find("frpc", version=version))
    eventually(lambda: exchange(frpc.ports["a"]) == exchange(frpc.ports["b"]) == b"hello")
    settled(echo)
    with attach(frpc.process.pid) as watched:
        assert [tunnel.id for tunnel in watched.tunnels] == ["a", "b"]
        assert {tunnel.status for tunnel in watched.tunnels} == {TunnelStatus.ONLINE}
        for _ in range(10):
            exchange(frpc.ports["a"], bytes(10))
            exchange(frpc.ports["b"], bytes(100))
        eventually(lambda: watched.metrics["a"].bytes_received == 100)
        eventually(lambda: watched.metrics["b"].bytes_received == 1000)
        assert watched.notes == ()
    with attach(admin=f"127.0.0.1:{port}") as watched:
        assert [tunnel.id for tunnel in watched.tunnels] == ["a", "b"]
        assert watched.pid == frpc.process.pid
