"""What does it cost to be watched?  ``python -m benchmarks.overhead``

Sends the same load through three tunnels of one client: not metered, metered by the kernel's counters, and relayed. All
run in one process tree, in turns, several rounds; what is printed are medians and their ratio to the tunnel that is not
metered. frpc prints its debug lines in all three, as they are what a client without options has; the last row shows a
client at log level info, without them.
"""

from __future__ import annotations

import multiprocessing
import socket
import statistics
import sys
import threading
import time
from collections.abc import Callable

from frp_wrapper import FRPClient, FRPServer

ROUNDS = 5
CONNECTIONS = 400
BULK = 128 * 1024 * 1024
PINGS = 2000


def serve(ready: multiprocessing.Queue) -> None:
    """Echo, except that a first byte of ``b`` asks for bulk; in a process of its own."""
    with socket.create_server(("127.0.0.1", 0), backlog=512) as service:
        ready.put(service.getsockname()[1])
        while True:
            connection, _ = service.accept()
            threading.Thread(target=answer, args=(connection,), daemon=True).start()


def answer(connection: socket.socket) -> None:
    block = bytes(1 << 20)
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while data := connection.recv(65536):
                if data == b"b":
                    for _ in range(BULK // len(block)):
                        connection.sendall(block)
                    return
                connection.sendall(data)
        except OSError:
            return


def connect(port: int) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def short(port: int) -> float:
    """Connections a second, one after the other."""
    began = time.perf_counter()
    for _ in range(CONNECTIONS):
        with connect(port) as connection:
            connection.sendall(b"x")
            connection.recv(1)
    return CONNECTIONS / (time.perf_counter() - began)


def bulk(port: int) -> float:
    """Megabytes a second, one connection."""
    buffer = bytearray(1 << 20)
    with connect(port) as connection:
        began = time.perf_counter()
        connection.sendall(b"b")
        left = BULK
        while left:
            left -= connection.recv_into(buffer)
        return BULK / 1e6 / (time.perf_counter() - began)


def ping(port: int) -> float:
    """Round trips a second."""
    with connect(port) as connection:
        began = time.perf_counter()
        for _ in range(PINGS):
            connection.sendall(b"x")
            connection.recv(1)
        return PINGS / (time.perf_counter() - began)


LOADS: dict[str, Callable[[int], float]] = {"connections/s": short, "MB/s": bulk, "pings/s": ping}


def main() -> None:
    ready: multiprocessing.Queue = multiprocessing.Queue()
    service = multiprocessing.Process(target=serve, args=(ready,), daemon=True)
    service.start()
    port = ready.get()
    with (
        FRPServer() as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token, log_level="info") as quiet,
    ):
        tunnels = {
            "off": client.expose_tcp(port, meter="off"),
            "passive": client.expose_tcp(port, meter="passive"),
            "relay": client.expose_tcp(port, meter="relay"),
            "off, log level info": quiet.expose_tcp(port, meter="off"),
        }
        results: dict[tuple[str, str], list[float]] = {}
        for number in range(ROUNDS):
            print(f"round {number + 1} of {ROUNDS}", file=sys.stderr)
            for load, run in LOADS.items():
                for name, tunnel in tunnels.items():
                    results.setdefault((load, name), []).append(run(tunnel.public_port or 0))
    service.terminate()
    print(f"{'load':16}{'meter':24}{'median':>12}{'to off':>10}")
    for (load, name), values in results.items():
        base = statistics.median(results[load, "off"])
        middle = statistics.median(values)
        print(f"{load:16}{name:24}{middle:12.0f}{middle / base:10.2f}")


if __name__ == "__main__":
    main()
