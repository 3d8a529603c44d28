"""Relays to compare, each in processes of its own.  ``python -m benchmarks.relay_peers ours|streams TARGET_PORT``

Each relays from a loopback port that the kernel chose to a service on loopback.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from frp_wrapper.frp.sidecar_process import SidecarProcess
from frp_wrapper.metering.relay_meter import MAX_RELAYED, Counters

HAPROXY = """\
global
    maxconn 4000
defaults
    mode tcp
    timeout connect 10s
    timeout client 10m
    timeout server 10m
    option splice-auto
    option splice-request
    option splice-response
frontend relay
    bind fd@{descriptor}
    default_backend service
backend service
    server service 127.0.0.1:{target}
"""


class Peer(NamedTuple):
    """A relay that runs."""

    port: int
    pid: int
    """Of the process that relays."""
    process: subprocess.Popen[str]
    """What was started; it may be the host of that process."""

    def tell(self, word: str) -> None:
        """Have the host of ours be ``busy`` or ``idle``."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        self.process.stdout.readline()


@contextlib.contextmanager
def ours(target: int) -> Iterator[Peer]:
    """The relay as users have it: in the sidecar of a host process, which is `Peer.process`."""
    with started([sys.executable, "-m", "benchmarks.relay_peers", "ours", str(target)]) as process:
        port, pid = words(process)
        yield Peer(port, pid, process)


@contextlib.contextmanager
def streams(target: int) -> Iterator[Peer]:
    """What most would write: asyncio's streams."""
    with started([sys.executable, "-m", "benchmarks.relay_peers", "streams", str(target)]) as process:
        yield Peer(words(process)[0], process.pid, process)


@contextlib.contextmanager
def in_c(program: Path, target: int) -> Iterator[Peer]:
    """The least a relay can do."""
    with started([str(program), str(target)]) as process:
        yield Peer(words(process)[0], process.pid, process)


@contextlib.contextmanager
def haproxy(target: int) -> Iterator[Peer | None]:
    """haproxy on one thread, with splice; None: it is not installed."""
    program = shutil.which("haproxy", path=os.environ["PATH"] + ":/usr/sbin")
    if program is None:
        yield None
        return
    with (
        socket.create_server(("127.0.0.1", 0), backlog=4096) as listener,
        tempfile.TemporaryDirectory() as folder,
    ):
        config = Path(folder) / "haproxy.cfg"
        config.write_text(HAPROXY.format(descriptor=listener.fileno(), target=target))
        port = listener.getsockname()[1]
        with started([program, "-db", "-f", str(config)], pass_fds=[listener.fileno()]) as process:
            wait_until_served(port)
            yield Peer(port, process.pid, process)


@contextlib.contextmanager
def started(command: list[str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """Run a program until the end of the block."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options)  # type: ignore[call-overload]
    try:
        yield process
    finally:
        process.stdin.close()
        process.terminate()
        process.wait()
        process.stdout.close()


def words(process: subprocess.Popen[str]) -> list[int]:
    """Read the numbers of one line that a program has printed."""
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def wait_until_served(port: int) -> None:
    """Wait for the first echo: somebody listens at the port before the program is ready."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"E?")
        connection.recv(1)


def run_ours(target: int) -> None:
    """Be the host of a relay; compute while ``busy`` was the last word on stdin."""
    with tempfile.TemporaryDirectory() as folder:
        counters = Counters(Path(folder))
        sidecar = SidecarProcess(Path(folder))
        port = ask_to_relay(sidecar, counters, target)
        print(port, sidecar.pid, flush=True)
        while word := sys.stdin.readline().strip():
            print(word, flush=True)
            while word == "busy" and not select.select([sys.stdin], [], [], 0)[0]:
                sum(range(10_000))
        sidecar.abort()


def ask_to_relay(sidecar: SidecarProcess, counters: Counters, target: int) -> int:
    sidecar.send(
        {
            "op": "relay_open",
            "id": 1,
            "name": "relayed",
            "target": ["127.0.0.1", target],
            "slot": counters.take(),
            "port": 0,
            "proxy_protocol": "none",
            "counters": str(counters.path),
            "slots": MAX_RELAYED,
        }
    )
    answer = next(sidecar.messages(lambda: 10.0))
    assert isinstance(answer, dict)
    return int(answer["port"])


async def run_streams(target: int) -> None:
    """Relay with asyncio's streams."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", target)
        with contextlib.suppress(OSError):
            await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))
        up_writer.close()
        writer.close()

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(task := asyncio.ensure_future(serve(reader, writer)))
        task.add_done_callback(tasks.discard)

    tasks: set[asyncio.Task[None]] = (
        set()
    )  # the loop holds them weakly: they would be collected while they wait
    server = await asyncio.start_server(take, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    kind, port = sys.argv[1], int(sys.argv[2])
    if kind == "ours":
        run_ours(port)
    else:
        asyncio.run(run_streams(port))
