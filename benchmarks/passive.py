"""Metering by the kernel's counters: what it costs, and whether it sees all.  ``python -m benchmarks.passive``

*Dumps*: ten thousand idle connections to one service. The meter brings its books to the present, beside a dump that is
received but not read, and ``ss -tin``, whose lines about the same sockets are searched for addresses and counters; CPU
time, that of ss included, in turns, eleven rounds, medians; after the connections of earlier benchmarks have left the
kernel's table, which each of the three walks through.

*Through real frp*: one client with two tunnels to services of their own, one metered, one not; the load is in C, each
sample 0.3 seconds, in turns, the order shuffled in each of 60 rounds. Bulk comes from the service, as frp passes on
no half-close; frp has one core then, load, services and meter the other. It varies by an eighth from sample to sample, so
that a mean of 60 is known to two in a hundred; what the meter takes of the CPU is known far better, and is shown too. *Short connections* are counted by
the load, which knows how many bytes went through each; what the tunnel's numbers have too much or too little is wrong.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import random
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks.compare import Row, show
from benchmarks.machine import compiled, cpu_seconds, family, pin, wait_for_old_sockets, wait_for_quiet
from benchmarks.relay_peers import started, words
from frp_wrapper import FRPClient, FRPServer
from frp_wrapper.metering import sock_request
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.passive import PassiveMeter

SOCKETS = 10_000
DUMPS = 11
ROUNDS = 60
SECONDS = 0.3
TO_VISITOR, FROM_VISITOR = 64, 65
"""Payload bytes of a short connection."""
SS_ADDRESSES = re.compile(rb"ESTAB +\d+ +\d+ +(\S+) +(\S+)")
SS_COUNTERS = re.compile(rb"bytes_acked:(\d+) bytes_received:(\d+)")


def rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        load = compiled("load", Path(folder))
        if load is None:
            return [Row("passive", math.nan, "", "gcc: not installed", times=1)]
        return [*dump_rows(load), *frp_rows(load)]


@contextlib.contextmanager
def service(load: Path) -> Iterator[int]:
    """Run a service; give its port."""
    with started([str(load), "serve"]) as process:
        yield words(process)[0]


def dump_rows(load: Path) -> list[Row]:
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = SOCKETS if limit == resource.RLIM_INFINITY else min(SOCKETS, limit - 100)
    wait_for_old_sockets()
    with service(load) as port, started([str(load), "hold", str(port), str(count)]) as clients:
        words(clients)
        with following(clients.pid, port) as meter:
            ways = {"ours": refreshing(meter), "bare": bare(port), "ss": printing(port, count)}
            taken = in_turns({name: way for name, way in ways.items() if way is not None})
    mine, what = taken["ours"], f"passive: dump of {count:,} sockets"
    theirs = taken.get("ss")
    return [
        Row(what, mine, "ms", "the kernel's part of it", taken["bare"], times=1 / 1.3),
        Row(
            what,
            mine,
            "ms",
            "ss -tin, its lines searched" if theirs else "ss: not installed",
            theirs,
            times=5,
        ),
    ]


@contextlib.contextmanager
def following(clients: int, port: int) -> Iterator[PassiveMeter]:
    """Have a meter follow the connections of a process, as if frpc had named them."""
    meter, ledger = PassiveMeter(), Ledger(measured=True)
    meter.watch(port)
    try:
        for connection in psutil.Process(clients).net_connections("tcp4"):
            meter.opened(ledger, *(f"{end.ip}:{end.port}" for end in (connection.laddr, connection.raddr)))
        meter.refresh()
        assert ledger.totals().bytes_sent == ledger.totals().open * TO_VISITOR
        yield meter
    finally:
        meter.stop()


def refreshing(meter: PassiveMeter) -> Callable[[], float]:
    def run() -> float:
        time.sleep(0.06)  # younger numbers count as the present
        began = time.thread_time()
        meter.refresh()
        return time.thread_time() - began

    return run


def bare(port: int) -> Callable[[], float]:
    """Ask what a meter asks, and throw the answer away."""
    netlink, buffer = sock_request.open_netlink(), bytearray(1 << 17)
    request = sock_request.leading_to([port], socket.AF_INET)
    done = sock_request.DONE.to_bytes(2, "little")

    def run() -> float:
        began = time.thread_time()
        netlink.send(request)
        while True:
            size = netlink.recv_into(buffer)
            if done in (buffer[4:6], buffer[size - 16 : size - 14]):  # by itself, or the last
                return time.thread_time() - began

    return run


def printing(port: int, count: int) -> Callable[[], float] | None:
    if shutil.which("ss") is None:
        return None

    def run() -> float:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.thread_time()
        done = subprocess.run(["ss", "-tinH", "dport", "=", f":{port}"], stdout=subprocess.PIPE, check=True)
        addresses, counters = SS_ADDRESSES.findall(done.stdout), SS_COUNTERS.findall(done.stdout)
        assert len(addresses) == len(counters) == count
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        ss = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
        return ss + time.thread_time() - began

    return run


def in_turns(ways: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Give the median of each in milliseconds."""
    chance, taken = random.Random(1), {name: list[float]() for name in ways}
    for _ in range(DUMPS):
        for name in chance.sample(sorted(ways), len(ways)):
            wait_for_quiet(1.0, look=0.05)
            taken[name].append(ways[name]() * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


def frp_rows(load: Path) -> list[Row]:
    with (
        service(load) as metered_port,
        service(load) as plain_port,
        FRPServer() as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
    ):
        metered = client.expose_tcp(metered_port, meter="passive")
        plain = client.expose_tcp(plain_port, meter="off")
        ports = {"metered": metered.public_port or 0, "plain": plain.public_port or 0}
        pings = through_frp(load, ports, "ping", clients=1)
        frp = give_frp_a_core()
        taken = cpu_seconds(*frp), own_thread_seconds()
        pulls = through_frp(load, ports, "pull", clients=8)
        share = (own_thread_seconds() - taken[1]) / (cpu_seconds(*frp) - taken[0])
        before = metered.metrics
        made = run(load, "connect", ports["metered"], 16, seconds=3.0)["count"]
        time.sleep(1.0)  # frpc closes its side a moment after the visitor
        after = metered.metrics
    sent = (after.bytes_sent or 0) - (before.bytes_sent or 0)
    received = (after.bytes_received or 0) - (before.bytes_received or 0)
    seen = after.connection_count - before.connection_count
    wrong = abs(sent - made * TO_VISITOR) + abs(received - made * FROM_VISITOR)
    return [
        compared("passive: bulk through frp, 8 at once", "GB/s", pulls, rate, statistics.fmean),
        Row("passive: CPU of meter and client meanwhile, of frp's", share * 100, "%", at_most=1),
        compared(
            "passive: ping through frp, p50", "µs", pings, lambda sample: sample["p50"], statistics.median
        ),
        Row(
            "passive: short connections seen",
            seen,
            "",
            "those that were made",
            made,
            times=1,
            more_is_better=True,
        ),
        Row("passive: bytes wrong in short connections", wrong, "B", at_most=0),
    ]


def give_frp_a_core() -> list[int]:
    """Keep frps and frpc on a core of their own, and load, services and meter on the other; give the pids of frp."""
    pin(0)
    frp = [process.pid for process in family(os.getpid()) if process.name() in ("frpc", "frps")]
    for pid in frp:
        pin(1, pid)
    return frp


def own_thread_seconds() -> float:
    """Give what the threads of the package have taken in this process."""
    ours = {thread.native_id for thread in threading.enumerate() if thread.name.startswith("frp-wrapper-")}
    return sum(each.user_time + each.system_time for each in psutil.Process().threads() if each.id in ours)


Results = dict[str, list[dict[str, float]]]
Middle = Callable[[list[float]], float]


def rate(sample: dict[str, float]) -> float:
    return sample["bytes"] / sample["seconds"] / 1e9


def through_frp(load: Path, ports: dict[str, int], kind: str, clients: int) -> Results:
    chance, results = random.Random(1), Results()
    for _ in range(ROUNDS):
        for name in chance.sample(sorted(ports), len(ports)):
            wait_for_quiet(0.5, look=0.05)
            results.setdefault(name, []).append(run(load, kind, ports[name], clients))
    return results


def run(load: Path, kind: str, port: int, clients: int, seconds: float = SECONDS) -> dict[str, float]:
    command = [str(part) for part in (load, kind, port, clients, seconds)]
    return json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def compared(
    what: str, unit: str, results: Results, value: Callable[[dict[str, float]], float], middle: Middle
) -> Row:
    mine, theirs = (middle([value(sample) for sample in results[name]]) for name in ("metered", "plain"))
    return Row(
        what, mine, unit, "a tunnel that is not metered", theirs, times=0.99, more_is_better=unit == "GB/s"
    )


if __name__ == "__main__":
    show(rows())
