"""Sockets are attributed by the process that has them; here this very process stands in the place of frpc."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from frp_wrapper.frp.processes import FrpcProcess
from frp_wrapper.metering import foreign, foreign_books, foreign_held
from frp_wrapper.metering.foreign import ForeignMeter, Routes
from frp_wrapper.metering.ledger import Ledger
from tests.integration.conftest import Echo, EchoServer, eventually, exchange, serving
from tests.metering.sockets import reset

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sock_diag is Linux's")
LONG_AGO, NEVER = 0, 1 << 60


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a service."""
    yield from serving(EchoServer(("127.0.0.1", 0), Echo))


class Bench:
    """A meter that lets connections to one service count in a ledger of two tunnels together, or in each one's own."""

    def __init__(self, port: int) -> None:
        self.meter = ForeignMeter("test", errors_are_logged=False)
        self.port = port
        self.together, self.a, self.b = (Ledger(measured=True) for _ in range(3))
        at = {(b"\x7f\0\0\1".ljust(16, b"\0"), port): self.together}
        self.meter.route(Routes(at, {"a": self.a, "b": self.b}))
        self.meter.start()

    def follow(self, started: int = LONG_AGO) -> None:
        """Take this process for frpc."""
        self.meter.follow(FrpcProcess(os.getpid(), started, (), None, None))

    def connect(self) -> tuple[socket.socket, str, str]:
        """Give a connection and its two ends."""
        one = socket.create_connection(("127.0.0.1", self.port))
        return one, f"127.0.0.1:{one.getsockname()[1]}", f"127.0.0.1:{self.port}"

    def close(self) -> None:
        """End the meter."""
        self.meter.stop()


@pytest.fixture
def bench(echo: int) -> Iterator[Bench]:
    """Give a meter that knows of no process yet."""
    with closing(Bench(echo)) as made:
        yield made


def count(ledger: Ledger) -> tuple[int, int]:
    """Give connections and bytes from visitors."""
    totals = ledger.totals()
    return totals.connections, totals.bytes_received


def test_a_name_that_comes_before_the_end(bench: Bench) -> None:
    """A connection counts for the tunnel that frpc names, from its first byte to its last."""
    bench.follow()
    one, local, remote = bench.connect()
    bench.meter.name(local, remote, "b")
    one.sendall(b"12345")
    eventually(lambda: (bench.meter.refresh(), count(bench.b))[1] == (1, 5))
    one.sendall(b"678")
    one.recv(8, socket.MSG_WAITALL)
    one.close()
    eventually(lambda: bench.b.totals().open == 0)
    assert count(bench.b) == (1, 8)
    assert count(bench.a) == count(bench.together) == (0, 0)


def test_a_name_that_comes_after_the_end(bench: Bench) -> None:
    """A short connection waits for its name, and is not counted for all tunnels meanwhile."""
    bench.follow()
    bench.meter.names_come = True
    one, local, remote = bench.connect()
    one.sendall(b"12345")
    one.recv(5)
    one.close()
    time.sleep(0.3)
    assert count(bench.together) == (0, 0)
    bench.meter.name(local, remote, "a")
    assert count(bench.a) == (1, 5)
    assert bench.a.totals().open == 0


def test_a_name_that_never_comes(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is certainly frpc's counts for all tunnels together in the end, what may be another's for none."""
    monkeypatch.setattr(foreign_held, "_HOLD", 0.5)
    monkeypatch.setattr(foreign, "_NAMELESS_SECONDS", 0.5)
    bench.follow()
    bench.meter.names_come = True
    exchange(bench.port, b"gone before it was seen")
    eventually(lambda: bench.meter.unnamed_dropped == 1)
    one, *_ = bench.connect()
    with one:
        one.sendall(b"12345")
        eventually(lambda: (bench.meter.refresh(), count(bench.together))[1] == (1, 5))


def test_names_that_come_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When frpc's log is lost, which an open socket without a name proves, connections count by where they lead."""
    monkeypatch.setattr(foreign_held, "_HOLD", 0.5)
    monkeypatch.setattr(foreign, "_NAMELESS_SECONDS", 0.5)
    bench.follow()
    bench.meter.names_come = True
    one, *_ = bench.connect()
    with one:
        eventually(lambda: (bench.meter.refresh(), bench.meter._nameless)[1])
        exchange(bench.port, b"abc")
        eventually(lambda: not bench.meter.names_come)
        exchange(bench.port, b"defg")
        eventually(lambda: count(bench.together)[0] == 3)


@pytest.mark.parametrize(("started", "expected"), [(LONG_AGO, (1, 3)), (NEVER, (0, 0))])
def test_what_ends_before_frpc_is_found_again(bench: Bench, started: int, expected: tuple[int, int]) -> None:
    """A connection that ended while nobody knew frpc's new pid counts, if the process was there by then."""
    exchange(bench.port, b"abc")
    time.sleep(0.3)
    assert count(bench.together) == (0, 0)
    bench.follow(started)
    assert count(bench.together) == expected


def test_what_an_ended_process_leaves_behind() -> None:
    """A connection that no dump has shown, and that the kernel is still closing when its process has ended, counts."""
    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        closing(Bench(service.getsockname()[1])) as bench,
    ):
        bench.follow()
        one, *_ = bench.connect()
        there, _ = service.accept()
        with there:
            one.sendall(b"abc")
            one.close()
            bench.meter.follow(None)
        eventually(lambda: count(bench.together) == (1, 3) and not bench.together.totals().open)


def test_a_socket_of_ones_own_that_is_passed_over(bench: Bench) -> None:
    """A socket that was handed over is never counted, whatever becomes of it."""
    bench.follow()
    with socket.socket() as one:
        bench.meter.pass_over(one)
        one.connect(("127.0.0.1", bench.port))
    exchange(bench.port, b"abc")
    eventually(lambda: count(bench.together)[0])
    time.sleep(0.2)
    assert count(bench.together) == (1, 3)


def test_lost_events(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kernel has dropped news, what is not open any more is found out by dumps, and that is counted."""
    monkeypatch.setattr(foreign_books, "_VERY_LATE", 6.0)
    bench.follow()
    one, *_ = bench.connect()
    one.sendall(b"12345")
    eventually(lambda: (bench.meter.refresh(), count(bench.together))[1] == (1, 5))
    events: Callable[[], object] = bench.meter._events.read
    bench.meter._events.read = lambda: (events(), None)[1]  # type: ignore[method-assign] # the kernel drops at random only
    one.close()
    eventually(lambda: bench.together.totals().open == 0)
    assert count(bench.together) == (1, 5)
    eventually(lambda: bench.meter.untold_ends == 1)


def test_connections_to_a_server(bench: Bench) -> None:
    """A connection of this process to some port of any machine is seen, and its end too."""
    process = FrpcProcess(os.getpid(), LONG_AGO, (), None, None)
    one, *_ = bench.connect()
    with one:
        assert bench.meter.has_connection_to(bench.port, process)
    eventually(lambda: not bench.meter.has_connection_to(bench.port, process))


def test_a_name_is_of_one_connection() -> None:
    """A later connection from the port of one that frpc had named counts where its own name says, not where that did."""
    with (
        socket.create_server(("127.0.0.1", 0)) as service,
        closing(Bench(service.getsockname()[1])) as bench,
    ):
        bench.follow()
        bench.meter.names_come = True
        port = 0
        for tunnel, books in (("a", bench.a), ("b", bench.b)):
            with socket.socket() as visitor:
                visitor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                visitor.bind(("127.0.0.1", port))
                port = visitor.getsockname()[1]
                visitor.connect(("127.0.0.1", bench.port))
                visitor.sendall(b"hello")
                with bench.meter._lock:
                    bench.meter._dump()  # it is seen before it is named
                bench.meter.name(f"127.0.0.1:{port}", f"127.0.0.1:{bench.port}", tunnel)
                assert books.totals().open == 1
                with service.accept()[0] as taken:
                    assert taken.recv(5, socket.MSG_WAITALL) == b"hello"
                # the service ends first, which leaves the visitor's port free at once
                assert visitor.recv(1) == b""
            eventually(lambda books=books: books.totals().open == 0)
        assert (count(bench.a), count(bench.b)) == ((1, 5), (1, 5))


def test_a_port_that_is_used_again(bench: Bench) -> None:
    """A connection from the port of one before, whose end has not been read yet, is a second one and no third."""
    bench.follow()
    port = 0
    with bench.meter._lock:  # so that the news of the first are not read before the second has been seen
        for _ in range(2):
            visitor = socket.socket()
            visitor.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            visitor.bind(("127.0.0.1", port))
            port = visitor.getsockname()[1]
            visitor.connect(("127.0.0.1", bench.port))
            visitor.sendall(b"hello")
            assert visitor.recv(5, socket.MSG_WAITALL) == b"hello"
            bench.meter._dump()
            reset(visitor)  # which leaves the port free at once
    eventually(lambda: bench.together.counts()[:3] == (10, 10, 2) and not bench.together.connections())
