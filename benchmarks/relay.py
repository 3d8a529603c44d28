"""The relay beside a splice relay in C, haproxy and asyncio's streams.  ``python -m benchmarks.relay``

Load, service and relays are processes of their own on loopback; the load is in C (`native/load.c`), touches no payload,
and fails when a byte is lost. All relays run all the time and are measured in turns: nine rounds of half a second, the
order shuffled in each, each sample after the machine has become quiet, and again when others took part of it. Numbers are
medians, of samples that nobody disturbed where there are three. In bulk and for connections the relay has a core, load
and service the other; pings share one, where a round trip takes what the path costs and not what it takes to wake a core.

Ours is measured as users have it, in the sidecar of a host process, with its counters in shared memory. The least that
is possible is `native/relay.c`, which counts nothing.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.compare import Row, show
from benchmarks.machine import compiled, cpu_seconds, machine_seconds, own_seconds, pin, wait_for_quiet
from benchmarks.relay_peers import Peer, haproxy, in_c, ours, started, streams, words

ROUNDS = 9
SECONDS = 0.5
FOREIGN = 0.1
"""Seconds of CPU time: others may not take more during a sample."""
TRIES, ENOUGH = 2, 3
PATIENCE = 2.0
"""Seconds to wait for the machine to be quiet."""
C, HAPROXY, STREAMS = "splice relay in C", "haproxy, splice", "asyncio streams"
PEERS = {"c": C, "haproxy": HAPROXY, "streams": STREAMS}
IDLE = 4000
"""Connections that are held to see what one takes."""


class Load(NamedTuple):
    """What clients do, how many they are, the core of the relay, and whether its host computes meanwhile.

    Load and service are on core 0.
    """

    kind: str
    clients: int
    core: int
    busy: bool = False


class Sample(NamedTuple):
    """What one load through one relay gave; delays are microseconds, ``cpu`` is the relay's, in seconds."""

    bytes: int
    count: int
    seconds: float
    p50: float
    p99: float
    cpu: float
    clean: bool = True
    """Nobody else was at work meanwhile."""


BULK, PING, CONNECT = Load("bulk", 8, 1), Load("ping", 1, 0), Load("connect", 16, 1)
PING_BUSY = PING._replace(busy=True)
LOADS = {
    BULK: ("ours", C, HAPROXY, STREAMS),
    PING: ("ours", C, HAPROXY),
    PING_BUSY: ("ours",),
    CONNECT: ("ours", C, HAPROXY, STREAMS),
}
Samples = dict[tuple[Load, str], list[Sample]]
Value = Callable[[Sample], float]


class Lane:
    """The load, its service, and the relays between them.

    Args:
        load: The compiled load.
        service: The process of the service.
        target: Its port.
        relays: Those that run.
    """

    def __init__(self, load: Path, service: int, target: int, relays: dict[str, Peer]) -> None:
        self.load = load
        self.service = service
        self.target = target
        self.relays = relays

    def sample(self, name: str, load: Load) -> Sample:
        """Measure one relay once; again when others were at work meanwhile."""
        peer = self.relays[name]
        pin(1, peer.process.pid)
        pin(load.core, peer.pid)
        for _ in range(TRIES):
            wait_for_quiet(PATIENCE, look=0.1)
            before = machine_seconds() - own_seconds()
            sample = self._run(peer, load)
            if machine_seconds() - own_seconds() - before <= FOREIGN:
                return sample
        return sample._replace(clean=False)

    def _run(self, peer: Peer, load: Load) -> Sample:
        command = [str(part) for part in (self.load, load.kind, peer.port, load.clients, SECONDS)]
        if load.busy:
            peer.tell("busy")
        taken = cpu_seconds(peer.pid)
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        taken = cpu_seconds(peer.pid) - taken
        if load.busy:
            peer.tell("idle")
        return Sample(**json.loads(done.stdout), cpu=taken)

    def idle(self) -> tuple[float, float]:
        """Give kilobytes and descriptors that a connection of a relay without a past takes while nothing moves."""
        with ours(self.target) as peer, started([str(self.load), "hold", str(peer.port), "1"]) as first:
            words(first)
            process = psutil.Process(peer.pid)
            memory, descriptors = process.memory_full_info().uss, process.num_fds()
            with started([str(self.load), "hold", str(peer.port), str(IDLE)]) as held:
                words(held)
                more = process.memory_full_info().uss - memory, process.num_fds() - descriptors
        return more[0] / IDLE / 1000, more[1] / IDLE


@contextlib.contextmanager
def lane() -> Iterator[Lane | None]:
    """Start service and relays; None: there is no compiler for the load."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        load, relay = (compiled(name, Path(folder)) for name in ("load", "relay"))
        if load is None or relay is None:
            yield None
            return
        pin(0)
        service = stack.enter_context(started([str(load), "serve"]))
        (target,) = words(service)
        found = {
            "ours": stack.enter_context(ours(target)),
            C: stack.enter_context(in_c(relay, target)),
            HAPROXY: stack.enter_context(haproxy(target)),
            STREAMS: stack.enter_context(streams(target)),
        }
        yield Lane(
            load, service.pid, target, {name: peer for name, peer in found.items() if peer is not None}
        )


def measure(lane: Lane) -> Samples:
    """Take all samples, in turns."""
    chance = random.Random(1)
    samples: Samples = {}
    pairs = [(load, name) for load, names in LOADS.items() for name in names if name in lane.relays]
    for _ in range(ROUNDS):
        chance.shuffle(pairs)
        for load, name in pairs:
            samples.setdefault((load, name), []).append(lane.sample(name, load))
    return samples


def gigabytes(sample: Sample) -> float:
    return sample.bytes / sample.seconds / 1e9


def cpu(sample: Sample) -> float:
    return sample.cpu / sample.bytes * 1e9


def rate(sample: Sample) -> float:
    return sample.count / sample.seconds


def against(
    samples: Samples, load: Load, what: str, unit: str, value: Value, **aims: float | None
) -> Iterator[Row]:
    """Give a row for each peer; None: there is no aim against it."""
    mine = middle(samples, load, "ours", value)
    assert mine is not None
    for key, times in aims.items():
        peer = PEERS[key]
        theirs = middle(samples, load, peer, value)
        shown = peer if theirs is not None else f"{peer}: not installed"
        yield Row(what, mine, unit, shown, theirs, times=times, more_is_better=unit.endswith("/s"))


def middle(samples: Samples, load: Load, name: str, value: Value) -> float | None:
    """Give the median of what was measured, without samples that others disturbed where enough are left."""
    found = samples.get((load, name), [])
    clean = [sample for sample in found if sample.clean]
    chosen = clean if len(clean) >= ENOUGH else found
    return statistics.median(map(value, chosen)) if chosen else None


def busy_host(samples: Samples) -> Row:
    busy, idle = (middle(samples, load, "ours", lambda sample: sample.p99) for load in (PING_BUSY, PING))
    assert busy is not None
    return Row("relay: ping, p99, host computes", busy, "µs", "host does not", idle, times=1 / 1.2)


def rows() -> list[Row]:
    with lane() as found:
        if found is None:
            return [Row("relay", math.nan, "", "gcc: not installed", times=1)]
        samples, (kilobytes, descriptors) = measure(found), found.idle()
    disturbed = [sample for taken in samples.values() for sample in taken if not sample.clean]
    if disturbed:
        print(f"(others were at work during {len(disturbed)} samples)", file=sys.stderr)
    return [
        *against(
            samples, BULK, "relay: bulk, 8 connections", "GB/s", gigabytes, c=0.85, haproxy=1.3, streams=3
        ),
        *against(samples, BULK, "relay: CPU of bulk", "s/GB", cpu, c=1 / 1.2, haproxy=None),
        *against(samples, PING, "relay: ping, p50", "µs", lambda sample: sample.p50, c=None, haproxy=1),
        busy_host(samples),
        *against(
            samples, CONNECT, "relay: connections, 16 at once", "1/s", rate, c=None, haproxy=0.9, streams=None
        ),
        Row("relay: memory of an idle connection", kilobytes, "KB", at_most=1.5),
        Row("relay: descriptors of an idle connection", descriptors, "", at_most=2),
    ]


if __name__ == "__main__":
    show(rows())
