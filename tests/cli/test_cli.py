"""The commands as their users run them: real processes, real frp."""

from __future__ import annotations

import os
import pty
import queue
import re
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from frp_wrapper import FRPServer
from tests.integration.conftest import Echo, EchoServer, eventually, exchange, serving
from tests.processes import hear_ctrl_c, start

ROOT = Path(__file__).parents[2]


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a TCP echo service."""
    yield from serving(EchoServer(("127.0.0.1", 0), Echo))


def frpw(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    return subprocess.run(
        [sys.executable, "-m", "frp_wrapper", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=60, env=os.environ | environment,
    )  # fmt: skip


class Running:
    """A command that runs until it is told to stop."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = start(
            sys.executable, "-m", "frp_wrapper", *arguments,
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONUNBUFFERED": "1"} | environment,
        )  # fmt: skip
        self.lines: list[str] = []
        self._queue: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._queue.put(line)
        self._queue.put("")

    def wait_for(self, pattern: str) -> str:
        """Read lines until one matches; give what the pattern's group matched."""
        while True:
            self.lines.append(self._queue.get(timeout=30))
            if match := re.search(pattern, self.lines[-1]):
                return match[1] if match.groups() else match[0]
            assert self.lines[-1], f"ended early: {self.lines}"

    def stop(self, number: int = signal.SIGINT) -> tuple[int, str]:
        """Send a signal; give the exit code and the rest of the output."""
        self.process.send_signal(number)
        return self.finish()

    def finish(self) -> tuple[int, str]:
        """Wait for the end; give the exit code and the rest of the output."""
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        code = self.process.wait(timeout=30)
        self._reader.join()
        self.process.stdout.close()
        errors = self.process.stderr.read()
        self.process.stderr.close()
        return code, "".join(list(self._queue.queue)) + errors


@pytest.fixture
def server(frps_path: object, frpc_path: object) -> Iterator[FRPServer]:
    """Give a running server."""
    with FRPServer(vhost_http_port=0) as running:
        yield running


def access(server: FRPServer) -> dict[str, str]:
    """Give the environment that a command finds the server by."""
    return {
        "FRP_WRAPPER_SERVER": "localhost",
        "FRP_WRAPPER_PORT": str(server.bind_port),
        "FRP_WRAPPER_TOKEN": server.auth_token,
    }


def test_help_names_every_command() -> None:
    """``--help`` lists the commands, with how to begin."""
    result = frpw("--help")
    assert result.returncode == 0
    for word in (
        "demo",
        "expose",
        "up",
        "attach",
        "server",
        "frp",
        "frpw expose tcp 3000 --server example.com",
    ):
        assert word in result.stdout


@pytest.mark.parametrize(
    "command", ["demo", "expose", "expose tcp", "expose path", "up", "attach", "server", "frp install"]
)
def test_every_command_has_help(command: str) -> None:
    """Each command explains itself."""
    result = frpw(*command.split(), "--help")
    assert result.returncode == 0
    assert "Usage:" in result.stdout


@pytest.mark.integration
def test_expose_tcp(server: FRPServer, echo: int) -> None:
    """``expose tcp`` prints the public URL and carries data; Ctrl-C ends it with a summary and exit code 0."""
    command = Running("expose", "tcp", str(echo), **access(server))
    port = int(command.wait_for(r"^tcp://localhost:(\d+)$"))
    assert exchange(port) == b"hello"
    command.wait_for("online")
    time.sleep(0.3)
    code, output = command.stop()
    assert code == 0
    assert "1 connections, 5 bytes to visitors, 5 bytes from visitors" in output
    assert "Traceback" not in output


@pytest.mark.integration
def test_expose_with_rules(server: FRPServer, echo: int) -> None:
    """``--allow``, ``--deny`` and ``--max-connections`` are the tunnel's rules; who is refused is shown."""
    rules = ("--allow", "127.0.0.0/8", "--deny", "127.0.0.2", "--deny", "127.0.0.3", "--max-connections", "5")
    command = Running("expose", "tcp", str(echo), *rules, **access(server))
    port = int(command.wait_for(r"^tcp://localhost:(\d+)$"))
    assert exchange(port) == b"hello"
    for source in ("127.0.0.2", "127.0.0.3"):
        with socket.create_connection(("127.0.0.1", port), timeout=10, source_address=(source, 0)) as visitor:
            assert was_refused(visitor)
    code, output = command.stop()
    assert code == 0
    assert "1 connections, 2 refused, 5 bytes to visitors, 5 bytes from visitors" in output


def was_refused(visitor: socket.socket) -> bool:
    """Say whether a connection ends without a byte."""
    try:
        return not visitor.recv(1)
    except ConnectionError:
        return True


@pytest.mark.integration
def test_expose_path_ends_by_sigterm(server: FRPServer, echo: int) -> None:
    """``expose path`` prints the URL of the path; a service manager's SIGTERM ends it as Ctrl-C does."""
    command = Running("expose", "path", str(echo), "/api", **access(server))
    assert command.wait_for("^http.*") == f"http://localhost:{server.vhost_http_port}/api"
    code, _ = command.stop(signal.SIGTERM)
    assert code == 0


@pytest.mark.integration
def test_a_token_from_a_file(server: FRPServer, echo: int, tmp_path: Path) -> None:
    """``--token-file`` keeps the token out of the list of processes."""
    (tmp_path / "token").write_text(server.auth_token + "\n")
    arguments = (
        "--server",
        "localhost",
        "--port",
        str(server.bind_port),
        "--token-file",
        str(tmp_path / "token"),
    )
    command = Running("expose", "tcp", str(echo), *arguments)
    command.wait_for(r"tcp://localhost:\d+")
    assert command.stop()[0] == 0


@pytest.mark.integration
def test_a_wrong_token(server: FRPServer) -> None:
    """A wrong token ends the command with the reason and what to do, without a traceback."""
    result = frpw("expose", "tcp", "80", **access(server) | {"FRP_WRAPPER_TOKEN": "wrong"})
    assert result.returncode == 1
    assert "auth_failed" in result.stderr
    assert "What to do:" in result.stderr
    assert "Traceback" not in result.stderr


def test_wrong_arguments() -> None:
    """Wrong usage is told with exit code 2, and bad values with all faults."""
    assert frpw("expose", "tcp", "abc", "--server", "h").returncode == 2
    assert frpw("expose", "tcp", "80").returncode == 2
    result = frpw("expose", "tcp", "80", "--server", "http://h")
    assert result.returncode == 1
    assert "server 'http://h' is not a host name" in result.stderr


@pytest.mark.parametrize("command", ["expose tcp 3000 --server h", "up -c {file}"])
def test_the_dashboard_of_frps_is_given_by_the_environment(command: str, tmp_path: Path) -> None:
    """``FRP_WRAPPER_SERVER_DASHBOARD`` is read; a wrong one is refused before anything starts, and not shown."""
    file = tmp_path / "tunnels.toml"
    file.write_text('[client]\nserver = "h"\n')
    access = {"FRP_WRAPPER_SERVER_DASHBOARD": "ftp://a:s3cret@h"}
    result = frpw(*command.format(file=file).split(), **access)
    assert result.returncode == 1
    assert "server_dashboard is not an address" in result.stderr
    assert "s3cret" not in result.stdout + result.stderr


@pytest.mark.integration
def test_up(server: FRPServer, echo: int, tmp_path: Path) -> None:
    """``up`` runs a file's tunnels; one that the server refuses is shown with its reason and does not stop the others."""
    (tmp_path / "tunnels.toml").write_text(
        f"""
        [client]
        server = "localhost"
        port = {server.bind_port}
        auth_token = "{server.auth_token}"
        [tunnels.good]
        type = "tcp"
        local_port = {echo}
        [tunnels.bad]
        type = "tcp"
        local_port = {echo}
        remote_port = {server.bind_port}
        """
    )
    command = Running("up", "-c", str(tmp_path / "tunnels.toml"))
    lines = {command.wait_for("^(good|bad)  (?:online|error)"): command.lines[-1] for _ in range(2)}
    port = re.search(r"tcp://localhost:(\d+)", lines["good"])
    assert port
    assert exchange(int(port[1])) == b"hello"
    assert "port" in lines["bad"]
    time.sleep(1.5)  # until it is counted
    assert command.stop()[0] == 0
    result = frpw("usage", COLUMNS="120")
    assert (result.returncode, result.stderr) == (0, "")
    usage = result.stdout
    assert re.search(
        rf"localhost:{server.bind_port} +good +5 bytes +5 bytes +5 bytes +5 bytes +1\b", usage
    ), usage


@pytest.mark.integration
def test_up_waits_for_a_server(frps_path: object, frpc_path: object, echo: int, tmp_path: Path) -> None:
    """``up`` may be started before its server."""
    with FRPServer() as first:
        port, token = first.bind_port, first.auth_token
    (tmp_path / "frpc.toml").write_text(
        f'serverAddr = "localhost"\nserverPort = {port}\nauth.token = "{token}"\n'
        f'[[proxies]]\nname = "a"\ntype = "tcp"\nlocalPort = {echo}\n'
    )
    command = Running("up", "-c", str(tmp_path / "frpc.toml"))
    time.sleep(1.0)
    assert command.process.poll() is None
    with FRPServer(port, auth_token=token):
        remote = int(command.wait_for(r"^a  online  tcp://localhost:(\d+)"))
        assert exchange(remote) == b"hello"
        assert command.stop()[0] == 0


@pytest.mark.integration
def test_up_with_a_broken_file_of_days(
    server: FRPServer, frpc_path: object, echo: int, tmp_path: Path
) -> None:
    """What cannot be counted on does not keep tunnels from running; the user is told, and ``usage`` says why."""
    (tmp_path / "frp-wrapper").mkdir()
    (tmp_path / "frp-wrapper" / "usage.json").write_text("{")
    (tmp_path / "tunnels.toml").write_text(
        f'[client]\nserver = "localhost"\nport = {server.bind_port}\n[tunnels.a]\ntype = "tcp"\nlocal_port = {echo}\n'
    )
    state = {"XDG_STATE_HOME": str(tmp_path), "FRP_WRAPPER_TOKEN": server.auth_token}
    command = Running("up", "-c", str(tmp_path / "tunnels.toml"), **state)
    command.wait_for("^a  (online)")
    assert command.stop()[0] == 0
    result = frpw("usage", **state)
    assert (result.returncode, "usage.json cannot be read" in result.stderr) == (1, True)
    assert frpw("usage", str(tmp_path / "none.json")).returncode == 1


def test_up_check(tmp_path: Path) -> None:
    """``up --check`` only looks at the file."""
    (tmp_path / "good.toml").write_text('[client]\nserver = "h"\n[tunnels.a]\ntype = "tcp"\nlocal_port = 1\n')
    (tmp_path / "bad.toml").write_text('[client]\nserver = "h"\n[tunnels.a]\ntype = "tcp"\n')
    assert frpw("up", "--check", "-c", str(tmp_path / "good.toml")).returncode == 0
    result = frpw("up", "--check", "-c", str(tmp_path / "bad.toml"))
    assert result.returncode == 1
    assert "tunnel 'a': local_port is missing" in result.stderr


@pytest.mark.integration
def test_server(frps_path: object, frpc_path: object, echo: int) -> None:
    """``server`` runs an frps that a client can use with the token it prints."""
    command = Running("server", "--bind-port", "0")
    port = command.wait_for(r"frps listens at 127\.0\.0\.1:(\d+)")
    token = command.wait_for(r"token: (\S+)")
    client = Running(
        "expose", "tcp", str(echo), "--server", "localhost", "--port", port, FRP_WRAPPER_TOKEN=token
    )
    assert exchange(int(client.wait_for(r"tcp://localhost:(\d+)"))) == b"hello"
    assert client.stop()[0] == 0
    assert command.stop()[0] == 0


@pytest.mark.integration
def test_demo(frps_path: object, frpc_path: object) -> None:
    """``demo`` shows both tunnels with traffic, on the terminal and in the browser, and ends by itself."""
    command = Running("demo", "--seconds", "4", "--dashboard", "0")
    url = command.wait_for(r"or (http://localhost:\d+/hello)")
    dashboard = command.wait_for(r"dashboard: (http://127\.0\.0\.1:\d+/)\?token=")
    eventually(lambda: b"It works" in urllib.request.urlopen(url, timeout=5).read())
    eventually(lambda: b"web-path" in urllib.request.urlopen(f"{dashboard}api/status", timeout=5).read())
    code, output = command.finish()
    assert code == 0, output
    assert "web-tcp  online" in "".join(command.lines) + output
    connections = re.search(r"(\d+) connections, [\d.]+ .?B to visitors", output)
    assert connections
    assert int(connections[1]) > 5


@pytest.mark.integration
def test_the_live_table(frps_path: object, frpc_path: object) -> None:
    """On a terminal the numbers stand in a table, with who is connected; Ctrl-C ends it."""
    pid, terminal = pty.fork()
    if pid == 0:
        hear_ctrl_c()
        os.environ |= {"COLUMNS": "140", "LINES": "40", "TERM": "xterm-256color"}
        os.execv(sys.executable, [sys.executable, "-m", "frp_wrapper", "demo", "--seconds", "0"])
    shown = b""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and not (
        b"127.0.0.1:" in shown and b"visitor" in shown and b"kB/s" in shown
    ):
        if select.select([terminal], [], [], 0.5)[0]:
            shown += os.read(terminal, 65536)
    os.write(terminal, b"\x03")
    while select.select([terminal], [], [], 15)[0]:
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode("utf-8", "replace"))
    assert "web-path" in text
    assert "open connections" in text
    assert "connections," in text.splitlines()[-1] + text.splitlines()[-2]
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.integration
def test_frp_which(frps_path: object, frpc_path: object, tmp_path: Path) -> None:
    """``frp which`` names both programs and installs nothing; without them it says so with exit code 1."""
    result = frpw("frp", "which")
    assert result.returncode == 0
    assert re.search(r"^frpc  0\.\d+\.\d+  /", result.stdout, re.MULTILINE)
    nothing = frpw("frp", "which", "--version", "0.10.0", FRP_WRAPPER_CACHE=str(tmp_path))
    assert nothing.returncode == 1
    assert "there is no frpc 0.10.0 here" in nothing.stderr


def test_frp_versions() -> None:
    """``frp versions`` lists the releases that can be checked."""
    result = frpw("frp", "versions")
    assert result.returncode == 0
    assert "0.65.0" in result.stdout


def test_frp_install_says_why_it_fails(tmp_path: Path) -> None:
    """``frp install`` that cannot work tells what it tried."""
    environment = {
        "FRP_WRAPPER_CACHE": str(tmp_path),
        "FRP_WRAPPER_RELEASE_URL": "http://127.0.0.1:1",
        "FRP_WRAPPER_INSTALL": "release",
    }
    result = frpw("frp", "install", **environment)
    assert result.returncode == 1
    assert "by release: http://127.0.0.1:1/" in result.stderr
    assert "Traceback" not in result.stderr
