"""Watching an frpc that somebody else runs, by its process, its admin API and its log."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from frp_wrapper import (
    ConfigError,
    EventType,
    FRPServer,
    MonitoringDashboard,
    ProcessError,
    TunnelMonitor,
    TunnelStatus,
    attach,
)
from frp_wrapper.frp.frpc import free_port
from tests.integration.conftest import Echo, EchoServer, eventually, exchange
from tests.integration.foreign import Foreign, settled

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc and sock_diag are Linux's"),
]
Start = Callable[..., Foreign]
DEBUG = 'log.level = "debug"'


def admin(port: int) -> str:
    """Give the lines of a file that set up the admin API."""
    return f'webServer.port = {port}\nwebServer.user = "me"\nwebServer.password = "s3cret"'


@pytest.fixture
def foreign(tmp_path: Path, server: FRPServer, echo: int, frpc_path: Path) -> Start:
    """Give what starts an frpc with tunnels to the echo service, and waits until they carry data."""

    def start(*names: str, more: str = "", log: bool = True, each: str = "") -> Foreign:
        frpc = Foreign(tmp_path, server, echo, names or ("web",), more, log=log, each=each)
        for port in frpc.ports.values():
            eventually(lambda port=port: exchange(port, b"?") == b"?")
        settled(echo)
        return frpc

    return start


def old_visitor(frpc: Foreign, name: str, size: int) -> socket.socket:
    """Give a visitor who has sent and got some bytes and stays."""
    visitor = socket.create_connection(("127.0.0.1", frpc.ports[name]), timeout=10)
    visitor.sendall(bytes(size))
    left = size
    while left:
        left -= len(visitor.recv(left))
    return visitor


def test_bytes_of_an_frpc_of_somebody_else(foreign: Start) -> None:
    """Its pid is enough: bytes and connections of its tunnel, exact, at its default log level, live and at the end."""
    frpc = foreign()
    with attach(frpc.process.pid) as watched:
        (tunnel,) = watched.tunnels
        assert (watched.pid, watched.log_path, watched.notes) == (frpc.process.pid, frpc.log, ())
        assert (tunnel.status, tunnel.url) == (TunnelStatus.ONLINE, f"tcp://127.0.0.1:{frpc.ports['web']}")
        with old_visitor(frpc, "web", 70_000):
            eventually(lambda: tunnel.metrics.bytes_received == 70_000)
            assert (tunnel.metrics.bytes_sent, tunnel.metrics.open_connections) == (70_000, 1)
            assert watched.connections()[0].bytes_sent == 70_000
        for size in range(1, 51):
            exchange(frpc.ports["web"], bytes(size))
        eventually(lambda: tunnel.metrics.connection_count == 51 and tunnel.metrics.open_connections == 0)
        metrics = tunnel.metrics
    assert metrics.bytes_received == 70_000 + 1275
    assert metrics.bytes_sent == 70_000 + 1275
    assert (metrics.source, metrics.error_count, metrics.duration) == ("passive", 0, None)
    assert frpc.process.poll() is None


def test_connections_that_are_older(foreign: Start) -> None:
    """A connection that was there before counts with all that it has carried, and to its end."""
    frpc = foreign()
    with old_visitor(frpc, "web", 5000) as visitor, attach(frpc.process.pid) as watched:
        metrics = watched.metrics["web"]
        assert (metrics.bytes_sent, metrics.open_connections) == (5000, 1)
        visitor.sendall(b"more")
        assert visitor.recv(4) == b"more"
        visitor.close()
        eventually(lambda: watched.metrics["web"].open_connections == 0)
        assert watched.metrics["web"].bytes_received == 5004


def test_a_connection_of_another_program_is_not_frpcs(foreign: Start, echo: int) -> None:
    """Who talks to the local service directly is not taken for a visitor, while dumps can tell."""
    frpc = foreign()
    with attach(frpc.process.pid) as watched:
        with socket.create_connection(("127.0.0.1", echo)) as other:
            other.sendall(b"not through the tunnel")
            time.sleep(0.3)
            assert watched.connections() == []  # one dump
            time.sleep(0.3)
            assert watched.connections() == []  # and another
        exchange(frpc.ports["web"], b"visit")
        eventually(lambda: watched.metrics["web"].connection_count)
        metrics = watched.metrics["web"]
    assert (metrics.connection_count, metrics.bytes_received) == (1, 5)


def test_a_service_that_takes_no_connection(server: FRPServer, tmp_path: Path, frpc_path: Path) -> None:
    """Failed connections are counted by the kernel where there is no log, our own looks at the service never."""
    frpc = Foreign(tmp_path, server, free_port(), log=False)
    with attach(frpc.process.pid) as watched:
        eventually(lambda: not watched.tunnels[0].service_is_up)
        time.sleep(2.5)
        assert watched.metrics["web"].error_count == 0

        def is_counted() -> bool:
            with socket.create_connection(("127.0.0.1", frpc.ports["web"]), timeout=5) as visitor:
                visitor.recv(1)
            return bool(watched.metrics["web"].error_count)

        eventually(is_counted)
        assert watched.metrics["web"].bytes_sent == 0
        assert watched.metrics["web"].connection_count == watched.metrics["web"].error_count


def test_a_process_alone(foreign: Start, server: FRPServer) -> None:
    """Without log and admin API the kernel tells of the server, and a visitor proves the tunnel; unknown until then."""
    frpc = foreign(log=False)
    with attach(frpc.process.pid) as watched:
        (tunnel,) = watched.tunnels
        assert watched.is_connected()
        assert tunnel.status is TunnelStatus.UNKNOWN
        exchange(frpc.ports["web"])
        tunnel.wait("online", 10)
        server.stop()
        eventually(lambda: not watched.is_connected())
        assert tunnel.status is TunnelStatus.OFFLINE


@pytest.mark.parametrize("more", ["", "admin"])
def test_frpc_starts_again(foreign: Start, more: str) -> None:
    """An frpc that ends and comes back with another pid is followed, and its counts go on."""
    frpc = foreign(more=admin(free_port()) if more else "")
    with attach(frpc.process.pid) as watched:
        exchange(frpc.ports["web"], bytes(100))
        eventually(lambda: watched.metrics["web"].bytes_received == 100)
        frpc.end()
        eventually(lambda: watched.pid is None and not watched.is_connected())
        assert watched.has_ended
        frpc.start()
        eventually(lambda: exchange(frpc.ports["web"], bytes(11)) == bytes(11))
        eventually(lambda: watched.pid == frpc.process.pid and watched.is_connected())
        watched.tunnels[0].wait("online", 10)
        exchange(frpc.ports["web"], bytes(1000))
        eventually(lambda: watched.metrics["web"].bytes_received == 1111)
        assert watched.metrics["web"].connection_count == 3
        causes = [event.data["cause"] for event in watched.events.history(EventType.CLIENT_DISCONNECTED)]
        assert causes == ["frpc_ended"]


def test_no_count_is_lost_when_frpc_is_killed(tmp_path: Path, server: FRPServer, frpc_path: Path) -> None:
    """Under traffic, with frpc killed and started again, as many connections are counted as the service has seen."""
    service = CountingServer()
    frpc = Foreign(tmp_path, server, service.server_address[1], log=False)
    with service, attach(frpc.process.pid) as watched:
        visiting = threading.Event()
        visitors = [threading.Thread(target=visit, args=(frpc.ports["web"], visiting)) for _ in range(4)]
        for thread in (threading.Thread(target=service.serve_forever), *visitors):
            thread.start()
        for _ in range(2):
            time.sleep(1.0)
            frpc.process.kill()
            frpc.process.wait()
            frpc.start()
        eventually(lambda: watched.pid == frpc.process.pid)
        time.sleep(1.0)
        visiting.set()
        for thread in visitors:
            thread.join()
        eventually(lambda: watched.metrics["web"].open_connections == 0)
        eventually(lambda: watched.metrics["web"].connection_count == service.connections)
        metrics = watched.metrics["web"]
        service.shutdown()
    assert service.connections > 10
    assert metrics.bytes_received == pytest.approx(
        service.received, abs=service.connections
    )  # FINs that never came


class CountingServer(EchoServer):
    """An echo service that counts."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Echo)
        self.connections = self.received = 0
        self.lock = threading.Lock()

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Send back what comes."""
        with self.lock:
            self.connections += 1
        while data := request.recv(65536):
            with self.lock:
                self.received += len(data)
            request.sendall(data)


def visit(port: int, end: threading.Event) -> None:
    """Visit the echo service again and again; a visit may fail."""
    while not end.wait(0.01):
        with contextlib.suppress(OSError):
            exchange(port, bytes(500))


def test_two_tunnels_to_one_service(foreign: Start) -> None:
    """What nothing tells apart is unknown for each tunnel, and counted once for both together."""
    frpc = foreign("a", "b")
    with attach(frpc.process.pid) as watched:
        exchange(frpc.ports["a"], bytes(100))
        exchange(frpc.ports["b"], bytes(1000))
        (service,) = watched.shared
        eventually(lambda: service.metrics.connection_count == 2)
        assert service.tunnels == ("a", "b")
        assert service.metrics.bytes_received == 1100
        for metrics in watched.metrics.values():
            assert (metrics.bytes_sent, metrics.connection_count, metrics.error_count) == (None, None, 0)


def test_two_tunnels_that_the_log_tells_apart(foreign: Start) -> None:
    """With debug lines each of two tunnels to one service has its own numbers, old connections too."""
    frpc = foreign("a", "b", more=DEBUG)
    with old_visitor(frpc, "b", 5000), attach(frpc.process.pid) as watched:
        for _ in range(20):
            exchange(frpc.ports["a"], bytes(100))
        eventually(lambda: watched.metrics["a"].connection_count == 20)
        assert watched.metrics["a"].bytes_received == 2000
        eventually(lambda: watched.metrics["b"].bytes_sent == 5000)
        assert watched.metrics["b"].open_connections == 1
        assert watched.shared == []


def test_with_debug_lines_other_programs_never_count(foreign: Start, echo: int) -> None:
    """Frpc names its own connections at level debug, so a short one of another program is not taken for one of them."""
    frpc = foreign(more=DEBUG)
    with attach(frpc.process.pid) as watched:
        exchange(frpc.ports["web"], b"one")
        exchange(echo, b"not through the tunnel")
        exchange(frpc.ports["web"], b"two")
        eventually(lambda: watched.metrics["web"].connection_count == 2)
        time.sleep(0.5)
        assert watched.metrics["web"].bytes_received == 6


def test_with_debug_lines_health_checks_never_count(foreign: Start) -> None:
    """Connections by which frpc checks the service are not taken for visitors' at level debug."""
    frpc = foreign(more=DEBUG, each='healthCheck.type = "tcp"\nhealthCheck.intervalSeconds = 1')
    with attach(frpc.process.pid) as watched:
        time.sleep(3.5)
        with old_visitor(frpc, "web", 100):
            eventually(lambda: watched.metrics["web"].open_connections == 1)
            assert watched.metrics["web"].connection_count == 1


def test_admin(foreign: Start) -> None:
    """The address of its admin API is enough: state, addresses, and the process that listens there, so bytes too."""
    port = free_port()
    frpc = foreign(more=admin(port))
    with attach(admin=f"http://me:s3cret@127.0.0.1:{port}") as watched:
        assert watched.is_connected()
        assert watched.pid == frpc.process.pid
        assert watched.tunnels[0].status is TunnelStatus.ONLINE
        exchange(frpc.ports["web"], bytes(10))
        eventually(lambda: watched.metrics["web"].bytes_received == 10)
    assert (frpc.log or Path()).read_text().count("/api/status") == 2  # a request and a response


def test_admin_of_an_frpc_that_is_elsewhere(foreign: Start) -> None:
    """Without its process, as from another machine, the admin API still tells state and server; bytes are unknown."""
    port = free_port()
    frpc = foreign("web", "taken", more=admin(port))
    forwarder = Forwarder(port)
    thread = threading.Thread(target=forwarder.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    with forwarder, attach(admin=f"http://me:s3cret@127.0.0.1:{forwarder.server_address[1]}") as watched:
        assert watched.pid is None
        assert watched.config.port != 0
        assert {tunnel.status for tunnel in watched.tunnels} == {TunnelStatus.ONLINE}
        assert watched.tunnels[0].url == f"tcp://127.0.0.1:{frpc.ports['web']}"
        assert watched.metrics["web"].bytes_sent is None
        assert any("bytes are not counted" in note for note in watched.notes)
        assert watched.config.auth_token is None
        forwarder.shutdown()
    thread.join()


class Forwarder(socketserver.ThreadingTCPServer):
    """Stands between us and an admin API, so that its process is not the one that listens."""

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), socketserver.BaseRequestHandler)
        self.port = port

    def finish_request(self, request: Any, client_address: Any) -> None:
        """Pass on one question and its answer."""
        with socket.create_connection(("127.0.0.1", self.port)) as there:
            there.sendall(request.recv(65536))
            answer = b""
            while b"\r\n\r\n" not in answer:
                answer += there.recv(65536)
            length = int(re.search(rb"Content-Length: (\d+)", answer)[1])  # type: ignore[index]
            while len(answer.partition(b"\r\n\r\n")[2]) < length:
                answer += there.recv(65536)
            request.sendall(answer)


def test_tunnels_that_a_reload_brings(foreign: Start, server: FRPServer, echo: int) -> None:
    """Tunnels that its owner adds or takes away by a reload come and go here too."""
    port = free_port()
    frpc = foreign(more=admin(port))
    with attach(frpc.process.pid) as watched:
        frpc.ports = {"new": free_port()}
        frpc.write(server, echo, admin(port))
        subprocess.run([_frpc(), "reload", "-c", frpc.file], check=True, capture_output=True)
        eventually(lambda: [tunnel.id for tunnel in watched.tunnels] == ["new"])
        watched.tunnels[0].wait("online", 10)
        exchange(frpc.ports["new"], bytes(7))
        eventually(lambda: watched.metrics["new"].bytes_received == 7)


def test_a_wrong_password(foreign: Start) -> None:
    """An admin API that refuses the password that was given says so, and what to do."""
    port = free_port()
    foreign(more=admin(port))
    with pytest.raises(ProcessError, match="does not accept the user and password") as caught:
        attach(admin=f"http://me:wrong@127.0.0.1:{port}")
    assert caught.value.reason == "admin_refused"
    assert "wrong" not in str(caught.value)


def test_an_admin_api_that_is_none(web: int, server: FRPServer) -> None:
    """Another web server, nobody, and what is no address at all are told apart."""
    with pytest.raises(ProcessError, match="is not frpc's admin API"):
        attach(admin=f"127.0.0.1:{web}")
    with pytest.raises(ProcessError, match="does not answer"):
        attach(admin=f"127.0.0.1:{free_port()}")
    with pytest.raises(ConfigError, match=r"not of the form http://.*: '127\.0\.0\.1'"):
        attach(admin="https://me:s3cret@127.0.0.1")


def test_a_log_alone(server: FRPServer, echo: int, tmp_path: Path, frpc_path: Path) -> None:
    """A log whose writer is not found tells state, errors with reasons, and at level debug connections; no bytes."""
    frpc = Foreign(tmp_path, server, echo, ("web", "taken"), DEBUG)
    eventually(lambda: exchange(frpc.ports["web"]) == b"hello")
    frpc.end()
    copy = tmp_path / "copy.log"
    text = (frpc.log or Path()).read_text()
    copy.write_text(text)
    with attach(log=copy) as watched:
        tunnels = {tunnel.id: tunnel for tunnel in watched.tunnels}
        assert watched.is_connected()
        assert watched.pid is None
        assert tunnels["web"].status is TunnelStatus.ONLINE
        assert tunnels["web"].metrics.bytes_sent is None
        line = next(line for line in text.splitlines() if "[taken] start proxy success" in line)
        with copy.open("a") as log:
            log.write(
                line.replace("[I]", "[W]").replace("start proxy success", "start error: port already used")
            )
            log.write("\n")
        eventually(lambda: tunnels["taken"].status is TunnelStatus.ERROR)
        assert tunnels["taken"].error is not None
        assert tunnels["taken"].error.reason == "port_in_use"
        opened = next(line for line in text.splitlines() if "] join connections, localConn" in line)
        with copy.open("a") as log:
            log.write(opened + "\n")
        eventually(lambda: tunnels["web"].metrics.connection_count == 1)
        assert (tunnels["web"].metrics.source, tunnels["web"].metrics.bytes_received) == ("log", None)


@pytest.mark.parametrize("how", ["renamed", "emptied"])
def test_a_log_that_is_begun_anew(foreign: Start, how: str) -> None:
    """The log is followed when it is set aside or emptied, and its writer is found by the open file."""
    frpc = foreign(more=DEBUG)
    log = frpc.log or Path()
    with attach(log=log) as watched:
        assert watched.pid == frpc.process.pid
        if how == "renamed":
            log.rename(log.with_suffix(".1"))
        log.write_text("")
        line = "2026-07-01 10:00:00.000 [W] [client/control.go:1] [0123456789abcdef] [web] start error: port already used\n"
        with log.open("a") as file:
            file.write(line)
        eventually(lambda: watched.tunnels[0].status is TunnelStatus.ERROR)


def test_wrong_processes(tmp_path: Path, server: FRPServer, frpc_path: Path) -> None:
    """No process, one that is no frpc, and one without a file are refused, each with its reason."""
    gone = subprocess.Popen(["true"])
    gone.wait()
    with pytest.raises(ProcessError, match="there is no process") as caught:
        attach(gone.pid)
    assert caught.value.reason == "no_such_process"
    with pytest.raises(ProcessError, match=r"is 'python[\d.]*', which is no frpc") as caught:
        attach(os.getpid())
    assert caught.value.reason == "not_frpc"
    with pytest.raises(ConfigError, match="which frpc is meant"):
        attach()
    with pytest.raises(ConfigError, match=r"the log .* cannot be read"):
        attach(log=tmp_path / "none.log")


def test_frpc_by_another_name(tmp_path: Path, server: FRPServer, echo: int, frpc_path: Path) -> None:
    """An frpc is known by what it is made of, whatever its file is called; its environment fills in its file."""
    shutil.copy(frpc_path, tmp_path / "tunnel-agent")
    frpc = Foreign(tmp_path, server, echo)
    frpc.end()
    frpc.ports = {"web": free_port()}  # the server may not have missed the first one yet
    frpc.write(server, echo)
    text = frpc.file.read_text().replace(
        f"serverPort = {server.bind_port}", "serverPort = {{ .Envs.FRPS_PORT }}"
    )
    frpc.file.write_text(text)
    from tests.processes import start

    renamed = start(
        tmp_path / "tunnel-agent", "--config=frpc.toml", cwd=tmp_path, stdout=subprocess.DEVNULL,
        env={"FRPS_PORT": str(server.bind_port)},
    )  # fmt: skip
    eventually(lambda: exchange(frpc.ports["web"]) == b"hello")
    with attach(renamed.pid) as watched:
        assert watched.config.port == server.bind_port
        assert watched.config.auth_token is None
        exchange(frpc.ports["web"], b"x")
        eventually(lambda: watched.metrics["web"].bytes_received == 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_process_of_another_user(foreign: Start) -> None:
    """Who may not see the open files of an frpc is told so; its log still tells of it."""
    frpc = foreign()
    code = f"import os, frp_wrapper.attached as a; os.setuid(65534); a.attach({frpc.process.pid})"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "may not be seen by this user (process_not_readable)" in result.stderr


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("unshare"), reason="needs root and unshare")
def test_another_network_namespace(foreign: Start) -> None:
    """From another network namespace its sockets cannot be seen, which is told with what to do."""
    frpc = foreign()
    code = f"import frp_wrapper; frp_wrapper.attach({frpc.process.pid})"
    result = subprocess.run(["unshare", "-n", sys.executable, "-c", code], capture_output=True, text=True)
    if "unshare failed" in result.stderr:
        pytest.skip("no new network namespace here")
    assert "other_network_namespace" in result.stderr
    assert f"nsenter -t {frpc.process.pid} -n" in result.stderr


def test_nothing_can_be_changed(foreign: Start) -> None:
    """Opening, restarting and closing are refused, and the end of watching tells nobody that a tunnel went away."""
    frpc = foreign()
    with attach(frpc.process.pid) as watched:
        (tunnel,) = watched.tunnels
        for change in (tunnel.close, lambda: watched.restart(tunnel), lambda: watched.expose(tunnel.config)):
            with pytest.raises(ProcessError) as caught:
                change()
            assert caught.value.reason == "not_ours"
    assert watched.events.history(EventType.TUNNEL_DISCONNECTED) == []
    assert frpc.process.poll() is None
    assert exchange(frpc.ports["web"]) == b"hello"


def test_dashboard_and_monitor(foreign: Start) -> None:
    """The dashboard and a monitor take it for a client."""
    frpc = foreign("a", "b")
    with attach(frpc.process.pid) as watched, closing(Monitor()) as monitor:
        assert monitor.inner.get_metrics("a") is not None
        dashboard = MonitoringDashboard(watched)
        dashboard.start(0)
        try:
            headers = {"Authorization": f"Bearer {dashboard.token}"}
            request = urllib.request.Request(
                f"http://127.0.0.1:{dashboard.port}/api/tunnels", headers=headers
            )
            with urllib.request.urlopen(request, timeout=5) as answer:
                assert [row["id"] for row in json.load(answer)["tunnels"]] == ["a", "b"]
            page = urllib.request.Request(f"http://127.0.0.1:{dashboard.port}/metrics", headers=headers)
            with urllib.request.urlopen(page, timeout=5) as answer:
                assert b'frp_wrapper_shared_bytes_sent_total{tunnels="a b"} ' in answer.read()
            request.method = "POST"
            request.data = json.dumps({"type": "tcp", "local_port": 1}).encode()
            request.add_header("Content-Type", "application/json")
            with pytest.raises(urllib.error.HTTPError) as caught:
                urllib.request.urlopen(request, timeout=5)
            assert (caught.value.status, json.load(caught.value)["error"]["code"]) == (409, "not_ours")
        finally:
            dashboard.stop()


class Monitor:
    """A monitor that has looked once."""

    def __init__(self) -> None:
        self.inner = TunnelMonitor()
        self.inner.check_now()

    def close(self) -> None:
        self.inner.stop_monitoring()


def test_the_command(foreign: Start) -> None:
    """``frpw attach`` lists it, ``--pid`` shows what flows; Ctrl-C ends the command and not frpc."""
    from tests.cli.test_cli import Running, frpw

    frpc = foreign()
    listed = frpw("attach")
    assert re.search(rf"^ *{frpc.process.pid} .*{re.escape(str(frpc.file))}$", listed.stdout, re.MULTILINE)
    command = Running("attach", "--pid", str(frpc.process.pid))
    command.wait_for(r"^web  online  tcp://127\.0\.0\.1:\d+")
    exchange(frpc.ports["web"])
    time.sleep(1.5)
    code, output = command.stop(signal.SIGINT)
    assert code == 0
    assert re.search(r"^1 connections, [45] bytes to visitors, 5 bytes from visitors", output, re.MULTILINE)
    assert "Traceback" not in output
    assert frpc.process.poll() is None
    assert exchange(frpc.ports["web"]) == b"hello"


def _frpc() -> Path:
    from frp_wrapper.frp.binary import find

    return find("frpc")
