"""The passive meter on real sockets: the traps of reading the kernel's counters."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from frp_wrapper.metering import passive
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.passive import PassiveMeter
from tests.integration.conftest import eventually
from tests.metering.sockets import RECEIVED, SENT, exchange, pair, reset

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has sock_diag")


@pytest.fixture
def meter() -> Iterator[PassiveMeter]:
    """Give a meter of one's own."""
    meter = PassiveMeter()
    yield meter
    meter.stop()


@pytest.fixture
def ledger() -> Ledger:
    """Give the books of a tunnel."""
    return Ledger(measured=True)


def name(end: socket.socket, meter: PassiveMeter, ledger: Ledger) -> None:
    """Tell the meter of a connection, as a line of frpc does."""
    local, remote = (f"[{host}]:{port}" for host, port, *_ in (end.getsockname(), end.getpeername()))
    meter.opened(ledger, local, remote)


def moved(ledger: Ledger) -> tuple[int, int, int]:
    """Give bytes to the visitor, bytes from the visitor, connections."""
    return ledger.counts()[:3]


def test_a_socket_older_than_the_meter(meter: PassiveMeter, ledger: Ledger) -> None:
    """What a connection had carried before it was named is counted too, while it is open and when it closes."""
    ours, theirs = pair("127.0.0.1")
    exchange(ours, theirs)
    meter.watch(ours.getpeername()[1])
    name(ours, meter, ledger)
    meter.refresh()
    assert moved(ledger) == (RECEIVED, SENT, 1)
    exchange(ours, theirs)
    ours.close()
    theirs.close()
    eventually(lambda: not ledger.connections())
    assert moved(ledger) == (2 * RECEIVED, 2 * SENT, 1)


def test_a_socket_that_closed_before_it_was_named(meter: PassiveMeter, ledger: Ledger) -> None:
    """A connection shorter than frpc's line takes to be read is held until the line comes."""
    ours, theirs = pair("127.0.0.1")
    meter.watch(ours.getpeername()[1])
    exchange(ours, theirs)
    ends = [f"{host}:{port}" for host, port in (ours.getsockname(), ours.getpeername())]
    ours.close()
    theirs.close()
    eventually(lambda: meter._unnamed)
    meter.opened(ledger, *ends)
    assert moved(ledger) == (RECEIVED, SENT, 1)
    assert not ledger.connections()


@pytest.mark.parametrize("host", ["127.0.0.1", "127.7.7.7", "::1"])
def test_services_at_any_address(meter: PassiveMeter, ledger: Ledger, host: str) -> None:
    """IPv4, IPv6, and services that are not at 127.0.0.1 are followed alike."""
    try:
        ours, theirs = pair(host)
    except OSError:
        pytest.skip("this machine has no IPv6")
    meter.watch(ours.getpeername()[1])
    name(ours, meter, ledger)
    exchange(ours, theirs)
    meter.refresh()
    assert moved(ledger) == (RECEIVED, SENT, 1)
    ours.close()
    theirs.close()
    eventually(lambda: not ledger.connections())
    assert moved(ledger) == (RECEIVED, SENT, 1)


def test_a_service_that_resets(meter: PassiveMeter, ledger: Ledger) -> None:
    """A reset ends a connection without taking anything off what it has carried."""
    ours, theirs = pair("127.0.0.1")
    meter.watch(ours.getpeername()[1])
    name(ours, meter, ledger)
    exchange(ours, theirs)
    reset(theirs)
    ours.close()
    eventually(lambda: not ledger.connections())
    assert moved(ledger) == (RECEIVED, SENT, 1)


def test_thousands_of_closes(meter: PassiveMeter, ledger: Ledger) -> None:
    """Four thousand connections that close as fast as they can are counted to the byte."""
    count = 4000
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
        port = listener.getsockname()[1]
        meter.watch(port)

        def serve() -> None:
            for _ in range(count):
                theirs, _ = listener.accept()
                with theirs:
                    theirs.sendall(theirs.recv(100) * 2)

        def visit(number: int) -> None:
            with socket.create_connection(("127.0.0.1", port)) as ours:
                name(ours, meter, ledger)
                ours.sendall(b"x" * (number % 100 + 1))
                while ours.recv(1000):
                    pass

        with ThreadPoolExecutor(5) as pool:
            served = pool.submit(serve)
            list(pool.map(visit, range(count)))
            served.result()
    sent = sum(number % 100 + 1 for number in range(count))
    eventually(lambda: not ledger.connections())
    assert (meter.lost_events, meter.unnamed_dropped) == (0, 0)
    assert moved(ledger) == (2 * sent, sent, count)


def test_news_that_come_late(meter: PassiveMeter, ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last numbers of a socket that already counts as closed, for want of news, are counted when they come."""
    monkeypatch.setattr(passive, "_LATE", 0.0)
    ours, theirs = pair("127.0.0.1")
    meter.watch(ours.getpeername()[1])
    name(ours, meter, ledger)
    with meter._lock:
        exchange(ours, theirs)
        ours.close()
        theirs.close()
        time.sleep(0.1)
        for _ in range(2):
            meter._dump()
            time.sleep(0.01)
        assert not ledger.connections()
        assert moved(ledger) == (0, 0, 1)
    eventually(lambda: moved(ledger) == (RECEIVED, SENT, 1))


def test_a_port_that_is_used_again(meter: PassiveMeter, ledger: Ledger) -> None:
    """A connection from the port of one before, whose end has not been read yet, takes nothing from it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        meter.watch(listener.getsockname()[1])
        port = 0
        with meter._lock:  # so that the news of the first are not read before the second has been named
            for _ in range(2):
                ours = socket.socket()
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                ours.bind(("127.0.0.1", port))
                port = ours.getsockname()[1]
                ours.connect(listener.getsockname())
                theirs, _ = listener.accept()
                name(ours, meter, ledger)
                exchange(ours, theirs)
                reset(theirs)  # which leaves the port free at once
                ours.close()
                time.sleep(0.05)
    eventually(lambda: not ledger.connections())
    assert moved(ledger) == (2 * RECEIVED, 2 * SENT, 2)


def test_the_kernel_drops_news(meter: PassiveMeter, ledger: Ledger) -> None:
    """When the kernel had no room for the news of sockets that closed it is counted, and a look finds out what is gone.

    What those had carried up to the look before is not lost.
    """
    ours, theirs = pair("127.0.0.1")
    port = ours.getpeername()[1]
    meter.watch(port)
    name(ours, meter, ledger)
    exchange(ours, theirs)
    meter.refresh()
    meter._events._socket.setsockopt(socket.SOL_SOCKET, 33, 0)  # SO_RCVBUFFORCE: room for one or two
    meter._events._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 0)
    with meter._lock:  # so that the news are not read meanwhile
        others = []
        for _ in range(200):
            mine, other = pair("127.0.0.1")
            meter._ports[mine.getpeername()[1]] += 1
            others += [mine, other]
        meter._events.only(meter._ports.keys())
        for end in others:
            end.close()
        ours.close()
        theirs.close()
        time.sleep(0.1)
    eventually(lambda: meter.lost_events > 0)
    eventually(lambda: not ledger.connections(), timeout=15)
    assert moved(ledger) == (RECEIVED, SENT, 1)
