"""A hundred thousand connections through real frp, to the byte.  ``python -m benchmarks.soak [CONNECTIONS] [passive|relay]``

Visitors open connections of random size through a tunnel, sixteen at a time; some are ended by the visitor, some by the
service. The service counts what it reads and writes, in a process of its own. At the end its numbers must be ours.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import random
import socket
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Literal, cast

from frp_wrapper import FRPClient, FRPServer, Tunnel

CONNECTIONS = 100_000
AT_ONCE = 16
MOST = 20_000
ORDER = struct.Struct("!?II")
"""What a visitor begins with: whether the service ends the connection, what it shall read besides, what it shall answer."""
CONTENT = bytes(range(256)) * (MOST // 256 + 1)


class Service:
    """Does what visitors order, and counts."""

    def __init__(self) -> None:
        self.connections = self.read = self.written = 0
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)

    def run(self) -> None:
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.answer, args=(connection,), daemon=True).start()

    def answer(self, connection: socket.socket) -> None:
        read = written = 0
        with connection, contextlib.suppress(OSError):
            order = connection.recv(ORDER.size, socket.MSG_WAITALL)
            ends, upload, download = ORDER.unpack(order)
            read = len(order) + len(connection.recv(upload, socket.MSG_WAITALL) if upload else b"")
            connection.sendall(CONTENT[:download])
            written = download
            if not ends:
                read += len(connection.recv(1))
        with self.lock:
            self.connections += 1
            self.read += read
            self.written += written


def serve(control: Connection) -> None:
    """Run the service; whatever is sent is answered with its numbers."""
    service = Service()
    threading.Thread(target=service.run, daemon=True).start()
    control.send(service.listener.getsockname()[1])
    while control.recv():
        control.send((service.connections, service.read, service.written))


def visit(port: int, chance: random.Random) -> None:
    """Make one connection, and end it if that is the visitor's turn."""
    ends, upload, download = chance.random() < 0.5, chance.randrange(MOST), chance.randrange(MOST)
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(ORDER.pack(ends, upload, download) + CONTENT[:upload])
        if download and connection.recv(download, socket.MSG_WAITALL) != CONTENT[:download]:
            raise AssertionError("what has come is not what was sent")
        if ends:
            assert connection.recv(1) == b""


def visit_many(port: int, connections: int) -> None:
    """Make all connections."""

    def work(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(connections // AT_ONCE):
            visit(port, chance)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(work, range(AT_ONCE)))


def watch(tunnel: Tunnel, visitors: multiprocessing.Process) -> None:
    """Print once in a while how far it is."""
    while visitors.is_alive():
        visitors.join(10)
        metrics = tunnel.metrics
        print(f"  {metrics.connection_count} connections, {metrics.open_connections} open", flush=True)


def soak(connections: int, meter: Literal["passive", "relay"]) -> bool:
    """Run it all; True: both have counted the same."""
    control, other = multiprocessing.Pipe()
    service = multiprocessing.Process(target=serve, args=(other,), daemon=True)
    service.start()
    with (
        FRPServer(bind_port=0) as server,
        FRPClient("localhost", server.bind_port, server.auth_token) as client,
    ):
        tunnel = client.expose_tcp(control.recv(), meter=meter)
        visitors = multiprocessing.Process(target=visit_many, args=(tunnel.public_port, connections))
        began = time.perf_counter()
        visitors.start()
        watch(tunnel, visitors)
        taken = time.perf_counter() - began
        theirs, ours = compare(control, tunnel)
    control.send(False)
    service.join()
    print(f"{meter}: {connections} connections in {taken:.0f} s, {visitors.exitcode=}")
    for name, one, other_ in zip(("connections", "bytes received", "bytes sent"), theirs, ours, strict=True):
        print(
            f"  {name:15} by the service {one:14,}   by us {other_:14,}   {'same' if one == other_ else 'NOT THE SAME'}"
        )
    return theirs == ours and visitors.exitcode == 0


def compare(control: Connection, tunnel: Tunnel) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Give the numbers of both sides, once they rest."""
    theirs: tuple[int, ...] = ()
    ours: tuple[int, ...] = ()
    for _ in range(100):
        time.sleep(0.1)
        control.send(True)
        theirs = cast(tuple[int, ...], control.recv())
        metrics = tunnel.metrics
        ours = (metrics.connection_count or 0, metrics.bytes_received or 0, metrics.bytes_sent or 0)
        if theirs == ours and metrics.open_connections == 0:
            break
    return theirs, ours


if __name__ == "__main__":
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else CONNECTIONS
    meters = cast(list[Literal["passive", "relay"]], sys.argv[2:] or ["passive", "relay"])
    same = [soak(wanted // AT_ONCE * AT_ONCE, meter) for meter in meters]
    sys.exit(not all(same))
