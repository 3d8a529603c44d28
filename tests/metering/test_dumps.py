"""A look at open sockets tells what has changed since the last, and misses none."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
import time
from collections.abc import Iterator

import pytest

from frp_wrapper.metering import passive
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.passive import PassiveMeter
from frp_wrapper.metering.sock_message import SocketKey, socket_key
from frp_wrapper.metering.sock_request import MAX_FILTERED_PORTS
from frp_wrapper.metering.sockdiag import Dumper

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux has sock_diag")
DONE = b"\3\0"
"""How the kind of the last message of an answer is written."""


class Pairs:
    """Connections of which both ends are ours."""

    def __init__(self, count: int, host: str = "127.0.0.1") -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.service = socket.create_server((host, 0), family=family, backlog=count)
        self.port: int = self.service.getsockname()[1]
        self.clients = []
        self.ends = []
        for _ in range(count):
            self.clients.append(socket.create_connection(self.service.getsockname()[:2], timeout=10))
            self.ends.append(self.service.accept()[0])
        self.keys = [socket_key(*names(client)) for client in self.clients]

    def told(self) -> dict[SocketKey, bytes]:
        """Give all, not looked at yet."""
        return dict.fromkeys(self.keys, b"")

    def close(self) -> None:
        """Close all."""
        for end in (*self.clients, *self.ends, self.service):
            end.close()


def names(connection: socket.socket) -> tuple[str, str]:
    """Give both ends as Go writes them."""
    local, remote = (
        f"[{end[0]}]:{end[1]}" if ":" in end[0] else f"{end[0]}:{end[1]}"
        for end in (connection.getsockname(), connection.getpeername())
    )
    return local, remote


class Joined:
    """A stand-in for the netlink socket of a kernel that puts the end of an answer behind its last sockets."""

    def __init__(self, netlink: socket.socket) -> None:
        self._netlink = netlink
        self._pieces: list[bytes] = []

    def send(self, request: bytes) -> None:
        """Ask the real kernel, and join its answer."""
        self._netlink.send(request)
        pieces = [self._netlink.recv(1 << 17)]
        while pieces[-1][4:6] != DONE:
            pieces.append(self._netlink.recv(1 << 17))
        self._pieces = [*pieces[:-2], b"".join(pieces[-2:])]

    def recv_into(self, buffer: bytearray) -> int:
        """Give the next piece."""
        piece = self._pieces.pop(0)
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Close the real one."""
        self._netlink.close()


@pytest.fixture
def dumper() -> Iterator[Dumper]:
    """Give a dumper."""
    with contextlib.closing(Dumper()) as made:
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_change_is_told_once(dumper: Dumper, host: str) -> None:
    """The first look tells all sockets, later ones those that have moved bytes, with their payload."""
    with contextlib.closing(Pairs(200, host)) as pairs:
        told, ipv6 = pairs.told(), ":" in host
        first = dumper.dump([pairs.port], told, ipv6=ipv6)
        assert (first.found, len(first.moved)) == (200, 200)
        assert {(sample.sent, sample.received) for sample in first.moved} == {(0, 0)}
        pairs.clients[7].sendall(b"abc")
        assert pairs.ends[7].recv(3) == b"abc"
        pairs.ends[7].sendall(b"x")
        assert pairs.clients[7].recv(1) == b"x"
        second = dumper.dump([pairs.port], told, ipv6=ipv6)
        assert (second.found, [sample[:3] for sample in second.moved]) == (200, [(pairs.keys[7], 3, 1)])
        assert dumper.dump([pairs.port], told, ipv6=ipv6).moved == []


@pytest.mark.parametrize("seed", range(5))
def test_looks_tell_what_a_full_look_tells(dumper: Dumper, seed: int) -> None:
    """Whatever moves, closes or becomes of interest between two looks, what they have told is what a full look tells."""
    chance = random.Random(seed)
    with contextlib.closing(Pairs(150)) as pairs:
        told = dict.fromkeys(pairs.keys[:100], b"")
        known: dict[SocketKey, tuple[int, int]] = {}
        for _ in range(30):
            for number in chance.sample(range(len(pairs.keys)), chance.choice((0, 0, 1, 5))):
                with contextlib.suppress(OSError):  # closed before
                    pairs.clients[number].sendall(b"x" * chance.randrange(1, 9))
            if chance.random() < 0.2:
                number = chance.randrange(len(pairs.keys))
                told.pop(pairs.keys[number], None)
                known.pop(pairs.keys[number], None)
                dumper.look_anew()
                pairs.clients[number].close()
            elif chance.random() < 0.2:
                number = chance.randrange(100, 150)
                if pairs.clients[number].fileno() != -1:
                    told[pairs.keys[number]] = b""
            dump = dumper.dump([pairs.port], told, ipv6=False)
            known |= {sample.key: (sample.sent, sample.received) for sample in dump.moved}
            full = {
                sample.key: (sample.sent, sample.received)
                for sample in dumper.samples([pairs.port], ipv6=False)
            }
            assert known == {key: full[key] for key in told}
            assert dump.found == len(told)


def test_an_end_behind_the_last_sockets(dumper: Dumper) -> None:
    """Newer kernels may end an answer in the piece of its last sockets: none of them is lost, and nothing is waited for."""
    dumper._socket = Joined(dumper._socket)  # type: ignore[assignment]
    with contextlib.closing(Pairs(150)) as pairs:
        told = pairs.told()
        assert len(dumper.samples([pairs.port], ipv6=False)) == 150
        assert [dumper.dump([pairs.port], told, ipv6=False).found for _ in range(2)] == [150, 150]
        pairs.clients[149].sendall(b"abc")
        assert pairs.ends[149].recv(3) == b"abc"
        assert [sample.sent for sample in dumper.dump([pairs.port], told, ipv6=True).moved] == [3]


def test_a_look_that_was_given_up(dumper: Dumper) -> None:
    """What is left of the answer to a look that ended early is not taken for that to the next."""
    with contextlib.closing(Pairs(150)) as pairs:
        next(iter(dumper._leading_to([pairs.port], ipv6=False)))
        assert len(dumper.samples([pairs.port], ipv6=False)) == 150
        assert len(dumper.samples([pairs.port], ipv6=False)) == 150


def test_sockets_of_no_interest_are_passed_over(dumper: Dumper) -> None:
    """Others' sockets to the same port are neither told nor counted, and what is gone is not found."""
    with contextlib.closing(Pairs(20)) as pairs:
        told = dict.fromkeys(pairs.keys[::2], b"")
        pairs.clients[0].close()
        pairs.ends[0].close()
        dump = dumper.dump([pairs.port], told, ipv6=False)
        assert dump.found == 9
        assert {sample.key for sample in dump.moved} == set(pairs.keys[2::2])
        assert dumper.present([pairs.port], ipv6=False) == set(pairs.keys[1:])


def test_more_ports_than_the_kernel_sorts_out(dumper: Dumper) -> None:
    """With many ports all sockets of the machine are looked at; those of interest are found among them."""
    with contextlib.closing(Pairs(5)) as pairs:
        ports = [pairs.port, *range(1, MAX_FILTERED_PORTS + 1)]
        assert dumper.dump(ports, pairs.told(), ipv6=True).found == 5


def test_who_listens_is_told(dumper: Dumper) -> None:
    """A listening socket is told with its port and address."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        assert (service.getsockname()[1], socket.inet_aton("127.0.0.1") + bytes(12)) in dumper.listening()


def test_a_socket_whose_end_was_lost_is_closed_in_the_books(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernel's word on the end of a socket was lost, two looks that do not find it close it."""
    monkeypatch.setattr(passive, "_LATE", 0.1)
    meter, ledger = PassiveMeter(), Ledger(measured=True)
    try:
        with contextlib.closing(Pairs(3)) as pairs:
            meter.watch(pairs.port)
            for client in pairs.clients:
                meter.opened(ledger, *names(client))
            meter.opened(ledger, "127.0.0.1:1", f"127.0.0.1:{pairs.port}")  # there is no such socket any more
            deadline = time.monotonic() + 10
            while ledger.totals().open == 4 and time.monotonic() < deadline:
                meter.refresh()
                time.sleep(0.06)
            assert (ledger.totals().open, ledger.totals().connections) == (3, 4)
    finally:
        meter.stop()
