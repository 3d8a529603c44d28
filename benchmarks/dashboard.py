"""The dashboard under load: requests, their delay, and live viewers.  ``python -m benchmarks.dashboard [ROUNDS]``

Server and load run in processes of their own, on a core each where there are two, over real sockets on loopback. Beside
the dashboard stands the least that could answer: a Starlette handler that gives bytes which are at hand, on the same
server and event loop. What is measured is taken in turns, and the median of all rounds is shown. The client behind the
dashboard is a stand-in without frpc, with 1,000 tunnels of which a tenth moves bytes all the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import socket
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from importlib import import_module
from importlib.util import find_spec

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.machine import cpu_seconds, pin, wait_for_quiet
from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from tests.monitoring.dashboards import TOKEN, StandIn

CLIENTS, VIEWERS = 32, 500
SECONDS = 4.0


def serve(kind: str, tunnels: int) -> None:
    """Serve until stdin is closed; prints the port."""
    pin(1)
    client = StandIn(*(f"tunnel-{number}" for number in range(tunnels)))
    threading.Thread(target=move, args=(client,), daemon=True).start()
    dashboard = MonitoringDashboard(client, token=TOKEN)
    if kind == "dashboard":
        dashboard.start(0)
        print(dashboard.port, flush=True)
    else:
        serve_plain(dashboard, kind)
    sys.stdin.read()
    os._exit(0)


def move(client: StandIn) -> None:
    """Let a tenth of the tunnels move bytes."""
    busy = list(client.meters.values())[::10]
    while True:
        time.sleep(0.5)
        for meter in busy:
            meter.metrics.bytes_sent = (meter.metrics.bytes_sent or 0) + 1000


def serve_plain(dashboard: MonitoringDashboard, kind: str) -> None:
    """Serve the bytes of one status with nothing but Starlette and uvicorn."""
    dashboard.start(0)
    with urllib.request.urlopen(f"http://127.0.0.1:{dashboard.port}/api/status") as answer:
        body = answer.read()
    dashboard.stop()

    async def status(_: Request) -> Response:
        return Response(body, media_type="application/json")

    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(512)
    config = uvicorn.Config(
        Starlette(routes=[Route("/api/status", status)]),
        http="httptools",
        log_config=None,
        access_log=False,
        lifespan="off",
    )
    server = uvicorn.Server(config)
    loop_factory = None
    if kind == "plain-uvloop":
        loop_factory = import_module("uvloop").new_event_loop

    def run() -> None:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(server.serve([listener]))

    threading.Thread(target=run, daemon=True).start()
    print(listener.getsockname()[1], flush=True)


@contextlib.contextmanager
def server(kind: str, tunnels: int) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.dashboard", "serve", kind, str(tunnels)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline()), psutil.Process(process.pid)
    finally:
        process.communicate()


class Load:
    """Clients that each send the next request when the answer is there; one thread, and no copy of what comes."""

    def __init__(self, port: int, clients: int, path: str = "/api/status") -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
        )
        self._buffer = bytearray(1 << 20)
        self._epoll = select.epoll()
        self._sockets: dict[int, socket.socket] = {}
        self._left: dict[int, int] = {}
        self._sent: dict[int, float] = {}
        for _ in range(clients):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._sockets[connection.fileno()] = connection
            self._epoll.register(connection.fileno(), select.EPOLLIN)

    def run(self, seconds: float) -> list[float]:
        """Give the seconds that each answer took."""
        delays: list[float] = []
        for number in self._sockets:
            self._send(number)
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for number, _ in self._epoll.poll(1.0):
                if self._read(number):
                    delays.append(time.perf_counter() - self._sent[number])
                    self._send(number)
        for connection in self._sockets.values():
            connection.close()
        return delays

    def _send(self, number: int) -> None:
        self._left[number] = 0
        self._sent[number] = time.perf_counter()
        self._sockets[number].send(self._request)

    def _read(self, number: int) -> bool:
        """Take what has come; True: the answer is complete."""
        got = self._sockets[number].recv_into(self._buffer)
        if not got:
            raise ConnectionError("the server has gone")
        if not self._left[number]:
            head = bytes(self._buffer[: min(got, 2000)])
            assert head.startswith(b"HTTP/1.1 200"), head
            length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
            self._left[number] = length + head.index(b"\r\n\r\n") + 4
        self._left[number] -= got
        return not self._left[number]


def requests(kind: str, tunnels: int, clients: int) -> tuple[float, float, float]:
    """Give answers a second, and the median and the 99th percentile of their delay in ms."""
    with server(kind, tunnels) as (port, _):
        time.sleep(1.0)
        Load(port, clients).run(0.5)
        tell_unless_quiet()
        delays = sorted(Load(port, clients).run(SECONDS))
    return len(delays) / SECONDS, delays[len(delays) // 2] * 1e3, delays[int(len(delays) * 0.99)] * 1e3


def viewers(tunnels: int, count: int) -> tuple[float, float, float]:
    """Give the percentage of a core that the dashboard takes, the frames a second of a viewer, and MB a viewer."""
    with server("dashboard", tunnels) as (port, process):
        time.sleep(1.0)
        before = process.memory_info().rss
        streams = [watch(port) for _ in range(count)]
        epoll = select.epoll()
        for stream in streams:
            epoll.register(stream.fileno(), select.EPOLLIN)
        by_number = {stream.fileno(): stream for stream in streams}
        read(epoll, by_number, 3.0)
        tell_unless_quiet()
        read(epoll, by_number, 2.0)
        used, began = cpu_seconds(process.pid), time.perf_counter()
        frames = read(epoll, by_number, 10.0)
        passed = time.perf_counter() - began
        share = (cpu_seconds(process.pid) - used) / passed * 100
        memory = (process.memory_info().rss - before) / 1e6
    return share, frames / passed / max(count, 1), memory / max(count, 1)


def tell_unless_quiet() -> None:
    if not wait_for_quiet():
        print("(the machine is not quiet)", file=sys.stderr)


def watch(port: int) -> socket.socket:
    """Open a stream."""
    stream = socket.create_connection(("127.0.0.1", port))
    stream.sendall(
        f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    return stream


def read(epoll: select.epoll, streams: dict[int, socket.socket], seconds: float) -> int:
    """Read from all streams and count the deltas."""
    buffer = bytearray(1 << 20)
    deltas = 0
    end = time.perf_counter() + seconds
    while (left := end - time.perf_counter()) > 0:
        for number, _ in epoll.poll(left):
            got = streams[number].recv_into(buffer)
            if not got:
                raise ConnectionError("the stream has ended")
            deltas += buffer.count(b"event: delta", 0, got)
    return deltas


def main(rounds: int) -> None:
    pin(0)
    kinds = ["dashboard", "plain"]
    if find_spec("uvloop"):
        kinds.append("plain-uvloop")
    cases = [(tunnels, clients) for tunnels in (10, 1000) for clients in (1, CLIENTS)]
    results: dict[tuple[str, int, int], list[tuple[float, ...]]] = {}
    watched: dict[tuple[int, int], list[tuple[float, ...]]] = {}
    for _ in range(rounds):
        for tunnels, clients in cases:
            for kind in kinds:
                results.setdefault((kind, tunnels, clients), []).append(requests(kind, tunnels, clients))
        for tunnels, count in ((10, 0), (10, VIEWERS), (1000, 0), (1000, VIEWERS)):
            watched.setdefault((tunnels, count), []).append(viewers(tunnels, count))
    print(f"GET /api/status, median of {rounds} rounds of {SECONDS:g} s")
    for (kind, tunnels, clients), rows in results.items():
        rate, middle, late = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"  {tunnels:5} tunnels, {clients:3} clients, {kind:13}"
            f" {rate:8.0f} req/s   p50 {middle:6.2f} ms   p99 {late:6.2f} ms"
        )
    print("live viewers, one update a second")
    for (tunnels, count), rows in watched.items():
        share, frames, memory = (statistics.median(column) for column in zip(*rows, strict=True))
        print(
            f"  {tunnels:5} tunnels, {count:3} viewers   {share:5.2f} % of a core"
            f"   {frames:4.2f} updates/s each   {memory * 1000:5.1f} KB each"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        serve(sys.argv[2], int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
