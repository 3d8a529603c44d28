"""What the kernel tells of sockets, on real ones: to the byte, however a connection ends."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from frp_wrapper.metering.sock_message import Sample, SocketKey, socket_key
from frp_wrapper.metering.sockdiag import DestroyEvents, Dumper
from frp_wrapper.metering.tcp_payload import Counters, payload_of_closed, payload_of_open
from tests.metering.sockets import RECEIVED, SENT, exchange, pair, reset

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has sock_diag")
End = Callable[[socket.socket, socket.socket], None]


@pytest.fixture
def events() -> Iterator[DestroyEvents]:
    """Listen to the sockets that close."""
    events = DestroyEvents()
    yield events
    events.close()


def key_of(end: socket.socket) -> SocketKey:
    """Give the key of a socket."""
    return socket_key(*(f"[{host}]:{port}" for host, port, *_ in (end.getsockname(), end.getpeername())))


def next_of(events: DestroyEvents, key: SocketKey) -> Sample:
    """Wait for the last counters of a socket."""
    end = time.monotonic() + 5
    while time.monotonic() < end:
        sample = events.read()
        if sample is not None and sample.key == key:
            return sample
        if sample is None:
            time.sleep(0.001)
    raise AssertionError("no event")


def settle() -> None:
    """Let the kernel deliver what was sent over loopback."""
    time.sleep(0.02)


def visitor_first(ours: socket.socket, theirs: socket.socket) -> None:
    """We end it; the service is slow to see that."""
    ours.close()


def visitor_first_and_answered(ours: socket.socket, theirs: socket.socket) -> None:
    """We end it, and the service ends its side at once."""
    ours.close()
    theirs.recv(1)
    theirs.close()


def service_first(ours: socket.socket, theirs: socket.socket) -> None:
    """The service ends it, and we when we have read that."""
    theirs.close()
    assert ours.recv(1) == b""
    ours.close()


def service_first_unread(ours: socket.socket, theirs: socket.socket) -> None:
    """The service ends it, and we without having read that."""
    theirs.close()
    settle()
    ours.close()


def both_at_once(ours: socket.socket, theirs: socket.socket) -> None:
    """Neither has read the other's end."""
    theirs.shutdown(socket.SHUT_WR)
    ours.close()


def reset_by_service(ours: socket.socket, theirs: socket.socket) -> None:
    """The service aborts it."""
    reset(theirs)
    settle()
    ours.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize(
    "end",
    [
        visitor_first,
        visitor_first_and_answered,
        service_first,
        service_first_unread,
        both_at_once,
        reset_by_service,
    ],
)
def test_every_ending_is_exact(events: DestroyEvents, end: End, host: str) -> None:
    """Of a socket that has closed payload is told to the byte, whoever ended the connection and however."""
    try:
        ours, theirs = pair(host)
    except OSError:
        pytest.skip("this machine has no IPv6")
    events.only([ours.getpeername()[1]])
    key = key_of(ours)
    exchange(ours, theirs)
    end(ours, theirs)
    sample = next_of(events, key)
    theirs.close()
    assert (sample.sent, sample.received) == (SENT, RECEIVED)


def test_what_was_not_read_is_counted(events: DestroyEvents) -> None:
    """An abort because of unread data loses none of it in the counters, and adds nothing."""
    ours, theirs = pair("127.0.0.1")
    events.only([ours.getpeername()[1]])
    key = key_of(ours)
    exchange(ours, theirs)
    theirs.sendall(b"z" * 7)
    settle()
    ours.close()
    sample = next_of(events, key)
    theirs.close()
    assert (sample.sent, sample.received) == (SENT, RECEIVED + 7)


def test_the_end_of_one_side_is_no_payload() -> None:
    """Of an open socket payload is exact too, also while one side has ended it."""
    dumper = Dumper()
    for ends in ((), (0,), (1,)):
        pair_ = pair("127.0.0.1")
        exchange(*pair_)
        for index in ends:
            pair_[index].shutdown(socket.SHUT_WR)
        settle()
        ours, theirs = pair_
        samples = {sample.key: sample for sample in dumper.samples([ours.getpeername()[1]], ipv6=False)}
        sample = samples[key_of(ours)]
        assert (sample.sent, sample.received) == (SENT, RECEIVED), ends
        ours.close()
        theirs.close()
    dumper.close()


def test_a_kernel_that_tells_less() -> None:
    """Before Linux 4.19 bytes sent are not told: of a closed socket one FIN each way is taken off, as is usual."""
    closed = Counters(state=7, unread=1, unacked=0, acked=SENT + 2, received=RECEIVED + 1, sent=None)
    assert payload_of_closed(closed, lambda: False) == (SENT, RECEIVED)
    is_open = Counters(state=1, unread=0, unacked=0, acked=SENT + 1, received=RECEIVED, sent=None)
    assert payload_of_open(is_open) == (SENT, RECEIVED)
