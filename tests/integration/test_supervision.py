"""Whatever dies comes back, and whatever ends leaves nothing behind; with real frpc and frps."""

from __future__ import annotations

import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from frp_wrapper import EventType, FRPClient, FRPServer, ProcessError, TunnelStatus
from tests.integration.conftest import eventually, exchange
from tests.processes import has_ended, start

pytestmark = pytest.mark.integration


def gone(*pids: int | None) -> bool:
    """Say whether none of these processes is left, not even as a zombie of ours."""
    return all(pid is None or has_ended(pid) for pid in pids)


@pytest.fixture
def client(server: FRPServer, frpc_path: object) -> Iterator[FRPClient]:
    """Give a client without heartbeats: on a machine that stalls for a second they would tell of a silent server too."""
    options = {"auth_token": server.auth_token, "heartbeat_interval": -1}
    with FRPClient("localhost", server.bind_port, **options) as connected:  # type: ignore[arg-type]
        yield connected


@pytest.fixture
def events(client: FRPClient) -> Iterator[list[tuple[EventType, dict[str, Any]]]]:
    """Give the list into which every event of the client goes."""
    seen: list[tuple[EventType, dict[str, Any]]] = []
    for kind in EventType:
        client.events.on(kind, lambda data, kind=kind: seen.append((kind, data)))
    yield seen


def test_frpc_is_restarted(client: FRPClient, echo: int) -> None:
    """After a kill of frpc the tunnel goes offline and comes back at the same address."""
    tunnel = client.expose_tcp(echo)
    port, pid = tunnel.public_port or 0, client.pid or 0
    os.kill(pid, signal.SIGKILL)
    tunnel.wait("offline", timeout=5)
    tunnel.wait("online", timeout=20)
    assert client.pid not in (None, pid)
    assert exchange(tunnel.public_port or 0) == b"hello"
    assert port


def test_the_sidecar_is_replaced(client: FRPClient, echo: int) -> None:
    """After a kill of the sidecar a new one takes over, with passive and relayed tunnels, and nothing is left of the old."""
    passive, relayed = client.expose_tcp(echo), client.expose_tcp(echo, meter="relay")
    assert client._run is not None
    sidecar, frpc = client.sidecar_pid or 0, client.pid or 0
    assert exchange(relayed.public_port or 0) == b"hello"
    os.kill(sidecar, signal.SIGKILL)
    eventually(lambda: gone(frpc) and client.pid not in (None, frpc))
    for tunnel in (passive, relayed):
        eventually(lambda tunnel=tunnel: tunnel.status is TunnelStatus.ONLINE)
        eventually(lambda tunnel=tunnel: exchange(tunnel.public_port or 0) == b"hello")
    assert relayed.metrics.connection_count is not None
    assert relayed.metrics.connection_count >= 2  # the counters outlive the sidecar


def test_the_server_goes_and_comes(frps_path: object, frpc_path: object, echo: int) -> None:
    """When frps dies the client says so within seconds, and recovers by itself when it is back."""
    server = FRPServer()
    server.start()
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        tunnel = client.expose_tcp(echo)
        server.stop()
        tunnel.wait("offline", timeout=5)
        assert not client.is_connected()
        assert client.get_uptime() == 0.0
        again = FRPServer(server.bind_port, auth_token=server.auth_token)
        with again:
            tunnel.wait("online", timeout=30)
            assert client.is_connected()
            assert exchange(tunnel.public_port or 0) == b"hello"
    server.stop()


def test_frps_is_restarted(server: FRPServer, client: FRPClient, echo: int) -> None:
    """A killed frps is started again on the same port, and the tunnel comes back."""
    tunnel = client.expose_tcp(echo)
    os.kill(server.pid or 0, signal.SIGKILL)
    tunnel.wait("offline", timeout=5)
    tunnel.wait("online", timeout=30)
    assert exchange(tunnel.public_port or 0) == b"hello"


def test_a_frozen_server_does_not_hold_up_close(server: FRPServer, client: FRPClient, echo: int) -> None:
    """`close` ends in bounded time even though frps does not answer."""
    client.expose_tcp(echo)
    pid = server.pid or 0
    os.kill(pid, signal.SIGSTOP)
    try:
        began = time.monotonic()
        client.close()
        assert time.monotonic() - began < 6
    finally:
        os.kill(pid, signal.SIGCONT)


def test_events_tell_of_loss_and_return(
    client: FRPClient, echo: int, events: list[tuple[EventType, dict[str, Any]]]
) -> None:
    """Creation, loss, return and end of a tunnel are told in this order, with its id and address."""
    tunnel = client.expose_tcp(echo, name="web")
    os.kill(client.pid or 0, signal.SIGKILL)
    tunnel.wait("offline", timeout=5)
    tunnel.wait("online", timeout=20)
    tunnel.close()
    eventually(lambda: events and events[-1][0] is EventType.TUNNEL_CLOSED)
    about_tunnel = [kind for kind, data in events if data.get("tunnel_id") == "web"]
    assert about_tunnel == [
        EventType.TUNNEL_CREATED,
        EventType.TUNNEL_CONNECTED,
        EventType.TUNNEL_DISCONNECTED,
        EventType.TUNNEL_CONNECTED,
        EventType.TUNNEL_CLOSED,
    ]
    connected = [data for kind, data in events if kind is EventType.TUNNEL_CONNECTED]
    assert connected[0]["url"].startswith("tcp://localhost:")
    kinds = [kind for kind, _ in events]
    assert EventType.CLIENT_DISCONNECTED in kinds
    assert EventType.CLIENT_CONNECTED in kinds


def test_close_leaves_nothing(server: FRPServer, frpc_path: object, echo: int) -> None:
    """After `close` there is no process, no thread, no folder; and the client can connect again."""
    client = FRPClient("localhost", server.bind_port, auth_token=server.auth_token)
    for _ in range(2):
        client.connect()
        client.expose_tcp(echo)
        assert client._run is not None
        frpc, sidecar, folder = client.pid, client.sidecar_pid, client._run.frpc.folder
        assert stat_mode(folder) == 0o700
        assert stat_mode(folder / "frpc.toml") == 0o600
        client.close()
        client.close()
        assert gone(frpc, sidecar)
        assert not folder.exists()
        assert not client.is_connected()
        assert [t for t in threading.enumerate() if t.name.startswith("frp-wrapper-status")] == []


def stat_mode(path: Path) -> int:
    """Give the permissions of a file."""
    return path.stat().st_mode & 0o777


def test_the_token_is_in_no_command_line(client: FRPClient, server: FRPServer) -> None:
    """Neither the token nor the admin password can be read from the list of processes."""
    frpc = psutil.Process(client.pid)
    for process in (frpc, *frpc.parents()[:1]):
        assert server.auth_token not in " ".join(process.cmdline())
    assert server.auth_token not in repr(client.config)
    assert server.auth_token not in repr(client)


HOST = """
import os, sys, time, signal, threading
sys.path.insert(0, {parent!r})
from frp_wrapper import FRPClient
client = FRPClient("localhost", {port}, auth_token={token!r})
client.connect()
tunnel = client.expose_tcp({echo}, meter="relay")
client.expose_tcp({echo})
print(client.pid, client.sidecar_pid, client._run.frpc.folder, flush=True)
{then}
"""


class Host:
    """A Python process of its own that holds a client with two tunnels."""

    def __init__(self, server: FRPServer, echo: int, then: str) -> None:
        source = HOST.format(
            parent=str(Path(__file__).parents[2]),
            port=server.bind_port,
            token=server.auth_token,
            echo=echo,
            then=textwrap.dedent(then),
        )
        self.process = start(sys.executable, "-c", source, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert self.process.stdout is not None
        line = self.process.stdout.readline().split()
        self.frpc, self.sidecar, self.folder = int(line[0]), int(line[1]), Path(line[2])

    def assert_all_gone(self, within: float) -> None:
        """Check that frpc, sidecar and folder are gone."""
        self.process.communicate(timeout=20)
        eventually(lambda: gone(self.frpc, self.sidecar), timeout=within)
        eventually(lambda: not self.folder.exists(), timeout=within)


def test_a_killed_host_leaves_nothing(server: FRPServer, frpc_path: object, echo: int) -> None:
    """SIGKILL of the host leaves no frpc within a second."""
    host = Host(server, echo, "time.sleep(60)")
    host.process.kill()
    host.assert_all_gone(within=1.0)


def test_a_host_that_forgets_to_close(server: FRPServer, frpc_path: object, echo: int) -> None:
    """A host that just ends leaves nothing."""
    host = Host(server, echo, "")
    host.assert_all_gone(within=1.0)
    assert host.process.returncode == 0


def test_a_host_that_raises(server: FRPServer, frpc_path: object, echo: int) -> None:
    """A host that ends by an exception leaves nothing."""
    host = Host(server, echo, "raise SystemExit(3)")
    host.assert_all_gone(within=1.0)
    assert host.process.returncode == 3


def test_ctrl_c(server: FRPServer, frpc_path: object, echo: int) -> None:
    """Ctrl-C reaches the host as KeyboardInterrupt, as ever, and leaves nothing."""
    host = Host(server, echo, "time.sleep(60)")
    time.sleep(
        0.3
    )  # a signal between the host's last line and its sleep would not wake it: Python's own race
    host.process.send_signal(signal.SIGINT)
    host.assert_all_gone(within=1.0)
    assert host.process.returncode == -signal.SIGINT


def test_a_host_that_ends_by_sigterm(server: FRPServer, frpc_path: object, echo: int) -> None:
    """SIGTERM without a handler ends the host as ever, and the sidecar tidies up."""
    host = Host(server, echo, "time.sleep(60)")
    host.process.terminate()
    host.assert_all_gone(within=1.0)
    assert host.process.returncode == -signal.SIGTERM


def test_a_forked_child_cannot_harm(server: FRPServer, frpc_path: object, echo: int) -> None:
    """A forked child that closes the client and ends leaves the parent's tunnels alone."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        tunnel = client.expose_tcp(echo)
        context = multiprocessing.get_context("fork")
        child = context.Process(target=close_and_report, args=(client, echo))
        child.start()
        child.join(20)
        assert child.exitcode == 0
        assert client.is_connected()
        assert exchange(tunnel.public_port or 0) == b"hello"


def close_and_report(client: FRPClient, echo: int) -> None:
    """What the forked child does."""
    try:
        client.expose_tcp(echo)
    except ProcessError as exc:
        assert exc.reason == "forked"
    client.close()


def test_two_clients_and_many_threads(server: FRPServer, frpc_path: object, echo: int) -> None:
    """Tunnels may be made and closed from many threads at once."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        failures: list[BaseException] = []

        def work() -> None:
            try:
                for _ in range(5):
                    with client.expose_tcp(echo) as tunnel:
                        assert exchange(tunnel.public_port or 0) == b"hello"
            except BaseException as exc:
                failures.append(exc)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        assert client.list_tunnels() == []


def test_close_ends_a_connect_that_waits(frpc_path: object) -> None:
    """A client that waits for its server without limit can be closed from another thread."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        client = FRPClient("localhost", probe.getsockname()[1])
        ended: list[BaseException] = []

        def connect() -> None:
            try:
                client.connect(timeout=None, retry=True)
            except ProcessError as exc:
                ended.append(exc)

        thread = threading.Thread(target=connect)
        thread.start()
        eventually(lambda: client.login_error is not None)
        began = time.monotonic()
        client.close()
        thread.join(10)
        assert time.monotonic() - began < 6
    assert isinstance(ended[0], ProcessError)
    assert ended[0].reason == "closed"
    assert client.pid is None


@pytest.mark.parametrize("round_", range(20))
def test_lifecycle_twenty_times(server: FRPServer, frpc_path: object, echo: int, round_: int) -> None:
    """Connect, expose, use, close: twenty times in a row, with nothing left."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
        with client.expose_tcp(echo) as tunnel:
            assert exchange(tunnel.public_port or 0) == b"hello"
        pid = client.pid
    assert gone(pid)
