"""Two minutes of random kills: the tunnels come back, and no process is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from frp_wrapper import FRPServer
from tests.integration.conftest import exchange

pytestmark = [pytest.mark.integration, pytest.mark.stress, pytest.mark.timeout(400)]

SECONDS = float(os.environ.get("FRP_WRAPPER_CHAOS_SECONDS", "120"))

HOST = """
import sys, time
sys.path.insert(0, {parent!r})
from frp_wrapper import FRPClient
client = FRPClient("localhost", {port}, auth_token={token!r})
client.connect(timeout=60, retry=True)
for name, remote in (("a", {first}), ("b", {second})):
    while True:
        try:
            client.expose_tcp({echo}, name=name, remote_port=remote, meter="relay" if name == "b" else "passive")
            break
        except Exception as exc:  # killed at this very moment: the next try tells
            print("again:", exc, file=sys.stderr, flush=True)
            time.sleep(0.2)
print("ready", flush=True)
while True:
    print(client.pid or 0, client.sidecar_pid or 0, flush=True)
    time.sleep(0.2)
"""


class Host:
    """A process that holds a client with two tunnels, started again when it was killed."""

    def __init__(self, server: FRPServer, echo: int, ports: tuple[int, int], log: Path) -> None:
        self._source = HOST.format(
            parent=str(Path(__file__).parents[2]),
            port=server.bind_port,
            token=server.auth_token,
            echo=echo,
            first=ports[0],
            second=ports[1],
        )
        self._log = log
        self._output = log.with_suffix(".out")
        self.start()

    def start(self) -> None:
        """Start the process."""
        with self._output.open("w") as output, self._log.open("a") as log:
            self.process = subprocess.Popen([sys.executable, "-c", self._source], stdout=output, stderr=log)

    def pids(self) -> tuple[int, int]:
        """Give frpc and sidecar as the host saw them last; zeros when it has not said."""
        lines = self._output.read_text().split("\n")[1:-1]
        frpc, sidecar = (int(part) for part in lines[-1].split()) if lines else (0, 0)
        return frpc, sidecar

    def kill(self) -> None:
        """Kill the host and start another."""
        self.process.kill()
        self.process.wait()
        self.start()

    def stop(self) -> None:
        """End it for good."""
        self.process.kill()
        self.process.wait()


def kill(pid: int) -> None:
    """Kill one of ours if it still is what we think."""
    try:
        name = psutil.Process(pid).name() if pid else ""
        if "frp" in name or "python" in name:
            os.kill(pid, signal.SIGKILL)
    except (psutil.NoSuchProcess, ProcessLookupError):
        pass


def works(port: int) -> bool:
    """Say whether a tunnel carries data now."""
    try:
        return exchange(port) == b"hello"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], timeout: float) -> bool:
    """Wait until a condition holds; False when it did not."""
    deadline = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def descendants() -> set[int]:
    """Give the frp programs and sidecars of this user that belong to this test's processes."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def test_random_kills(frps_path: object, frpc_path: object, echo: int, tmp_path: Path) -> None:
    """After each kill both tunnels work again, and at the end nothing of what was killed is left."""
    chance = random.Random(7)
    log = tmp_path / "host.log"
    killed: list[str] = []
    before = descendants()
    with FRPServer() as server:
        ports = (free_port(), free_port())
        host = Host(server, echo, ports, log)
        try:
            assert wait_for(lambda: all(map(works, ports)), 30), log.read_text()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end:
                frpc, sidecar = host.pids()
                victims: dict[str, Callable[[], None]] = {
                    "host": host.kill,
                    "frpc": lambda frpc=frpc: kill(frpc),
                    "sidecar": lambda sidecar=sidecar: kill(sidecar),
                    "frps": lambda: kill(server.pid or 0),
                    "frps sidecar": lambda: kill(server.sidecar_pid or 0),
                }
                victim = chance.choice(list(victims))
                killed.append(victim)
                victims[victim]()
                time.sleep(chance.uniform(0.0, 3.0))
            assert wait_for(lambda: all(map(works, ports)), 60), (killed, log.read_text())
        finally:
            host.stop()
    assert len(killed) > SECONDS / 4
    assert wait_for(lambda: not strays(server), 5), strays(server)
    assert descendants() - before == set()


def strays(server: FRPServer) -> list[str]:
    """Give command lines of processes that still name this server's or its clients' folders."""
    found = []
    for process in psutil.process_iter(["cmdline", "status", "username"]):
        line = " ".join(process.info["cmdline"] or [])
        if "frp-wrapper-" in line and process.info["status"] != psutil.STATUS_ZOMBIE and _is_orphan(process):
            found.append(line)
    return found


def _is_orphan(process: psutil.Process) -> bool:
    try:
        return process.ppid() == 1
    except psutil.NoSuchProcess:
        return False


def free_port() -> int:
    """Give a port that is free now."""
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
