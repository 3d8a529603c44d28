"""Datagrams go both ways, a session for each visitor, within bounds."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from frp_wrapper.sidecar import udp_session
from frp_wrapper.sidecar.proxy_protocol import SIGNATURE_V2
from frp_wrapper.sidecar.relay import Relay
from frp_wrapper.sidecar.slots import Field, Slots, size_of
from tests.sidecar.test_admission import NO_RULES


def header(address: str, port: int = 5000) -> bytes:
    """Give the header that frpc sends for a visitor of datagrams."""
    return (
        SIGNATURE_V2
        + bytes([0x21, 0x12, 0, 12])
        + socket.inet_aton(address)
        + socket.inet_aton("127.0.0.1")
        + struct.pack(">HH", port, 9)
    )


class UdpBench:
    """A relay before a service of datagrams that this test plays itself."""

    def __init__(self, folder: Path) -> None:
        path = folder / "counters"
        path.write_bytes(bytes(size_of(4)))
        self.slots = Slots(path, 4)
        self.relay = Relay(self.slots, lambda: None)
        self.service = datagram_socket()
        self._sources: list[socket.socket] = [self.service]
        self._news: list[dict[str, Any]] = []
        self.port = 0

    def open(
        self, *, proxy_protocol: str = "strip", rules: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Relay a tunnel to the service."""
        whole = None if rules is None else NO_RULES | rules
        self.port = self.relay.open_udp(
            "a",
            self.service.getsockname(),
            slot=0,
            port=0,
            proxy_protocol=proxy_protocol,
            rules=whole,
            **options,
        )

    def source(self) -> socket.socket:
        """Give a socket as frpc has it for one visitor."""
        made = datagram_socket()
        made.connect(("127.0.0.1", self.port))
        self._sources.append(made)
        return made

    def count(self, field: Field) -> int:
        """Give a counter."""
        return self.slots.read(0, field)

    def news(self, kind: str) -> list[dict[str, Any]]:
        """Give the sessions of which this has been told so far."""
        self._news += self.relay.news.take(opened=False)["rows"]
        return [row["connection"] for row in self._news if row["kind"] == kind]

    def is_quiet(self) -> bool:
        """Say whether nothing comes to the service for a moment."""
        self.service.settimeout(0.2)
        try:
            self.service.recv(100)
        except TimeoutError:
            return True
        finally:
            self.service.settimeout(10)
        return False

    def stop(self) -> None:
        """End all."""
        self.relay.stop()
        self.slots.close()
        for each in self._sources:
            each.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[UdpBench]:
    """Give a running relay."""
    running = UdpBench(tmp_path)
    yield running
    running.stop()


def datagram_socket() -> socket.socket:
    """Give a bound socket that waits for ten seconds."""
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind(("127.0.0.1", 0))
    made.settimeout(10)
    return made


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_datagrams_go_both_ways_and_are_counted(bench: UdpBench) -> None:
    """Each source of frpc is a session with its visitor; bytes are those without the header."""
    bench.open()
    for number in (1, 2):
        source = bench.source()
        for piece in (header(f"203.0.113.{number}") + b"hello", b"again"):
            source.send(piece)
            data, address = bench.service.recvfrom(100)
            assert data == piece[-5:]
            bench.service.sendto(b"answer" * number, address)
            assert source.recv(100) == b"answer" * number
    eventually(lambda: bench.count(Field.DATAGRAMS_SENT) == 4)
    assert bench.count(Field.DATAGRAMS_RECEIVED) == 4
    assert (bench.count(Field.BYTES_RECEIVED), bench.count(Field.BYTES_SENT)) == (20, 36)
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.OPEN)) == (2, 2)
    rows = bench.relay.connections("a")
    assert [row["visitor"] for row in rows] == ["203.0.113.1:5000", "203.0.113.2:5000"]
    assert [(row["bytes_received"], row["bytes_sent"]) for row in rows] == [(10, 12), (10, 24)]


def test_the_header_is_kept_for_a_service_that_wants_it(bench: UdpBench) -> None:
    """With ``keep`` the service gets the header, which is not counted as the visitor's bytes."""
    bench.open(proxy_protocol="keep")
    whole = header("203.0.113.1") + b"hello"
    bench.source().send(whole)
    assert bench.service.recv(100) == whole
    eventually(lambda: bench.count(Field.BYTES_RECEIVED) == 5)


def test_empty_and_large_datagrams(bench: UdpBench) -> None:
    """A datagram without a byte arrives as one, and so does the largest."""
    bench.open(proxy_protocol="none")
    source = bench.source()
    for data in (b"", b"x" * 65_507):
        source.send(data)
        assert bench.service.recv(70_000) == data
    eventually(lambda: bench.count(Field.DATAGRAMS_RECEIVED) == 2)
    assert bench.count(Field.BYTES_RECEIVED) == 65_507


def test_a_header_before_every_datagram(bench: UdpBench) -> None:
    """Some versions of frpc send it with each; a port that another visitor gets is another session."""
    bench.open(every_datagram=True)
    source = bench.source()
    for address, data in (("203.0.113.1", b"one"), ("203.0.113.1", b"two"), ("203.0.113.2", b"six")):
        source.send(header(address) + data)
        assert bench.service.recv(100) == data
    eventually(lambda: bench.count(Field.CONNECTIONS) == 2)
    assert bench.count(Field.OPEN) == 1
    assert [row["bytes_received"] for row in bench.news("closed")] == [6]


def test_a_session_ends_after_idle_time(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session without datagrams ends, its numbers stay, and what comes next from there is a new one."""
    monkeypatch.setattr("frp_wrapper.sidecar.udp.SESSION_SECONDS", 0.3)
    monkeypatch.setattr(udp_session, "SESSION_SECONDS", 0.3)
    bench.open()
    source = bench.source()
    source.send(header("203.0.113.1") + b"hello")
    eventually(lambda: bench.count(Field.CONNECTIONS) == 1)
    eventually(lambda: bench.news("closed"))
    assert bench.count(Field.OPEN) == 0
    (ended,) = bench.news("closed")
    assert (ended["visitor"], ended["bytes_received"], ended.get("error")) == ("203.0.113.1:5000", 5, None)
    assert ended["closed_at"] >= ended["opened_at"] + 0.3
    source.send(header("203.0.113.2") + b"again")
    eventually(lambda: bench.count(Field.CONNECTIONS) == 2)
    assert bench.relay.connections("a")[0]["visitor"] == "203.0.113.2:5000"


def test_the_number_of_sessions_is_bounded(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound the session goes that has been idle longest; that is counted and told."""
    monkeypatch.setattr("frp_wrapper.sidecar.udp._SESSIONS", 2)
    bench.open()
    sources = [bench.source() for _ in range(3)]
    for number, source in enumerate(sources[:2]):
        source.send(header(f"203.0.113.{number}") + b"x")
        bench.service.recv(100)
    sources[0].send(b"still here")
    bench.service.recv(100)
    sources[2].send(header("203.0.113.2") + b"x")
    bench.service.recv(100)
    eventually(lambda: bench.count(Field.SESSIONS_EVICTED) == 1)
    assert [row["visitor"] for row in bench.relay.connections("a")] == [
        "203.0.113.0:5000",
        "203.0.113.2:5000",
    ]
    (ended,) = bench.news("closed")
    assert (ended["visitor"], ended["error"]) == ("203.0.113.1:5000", "ended: too many sessions")


def test_nobody_listens(bench: UdpBench) -> None:
    """That the service is not there is one error a session; when it comes, the session goes on."""
    bench.open()
    port = bench.service.getsockname()[1]
    bench.service.close()
    source = bench.source()
    source.send(header("203.0.113.1") + b"hello")
    eventually(lambda: bench.count(Field.ERRORS) == 1)
    for _ in range(3):
        source.send(b"hello")
        time.sleep(0.05)
    assert bench.count(Field.ERRORS) == 1
    (failed,) = bench.news("failed")
    assert (failed["visitor"], failed["error"]) == ("203.0.113.1:5000", "Connection refused")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", port))
        service.settimeout(10)
        source.send(b"there?")
        assert service.recv(100) == b"there?"


def test_who_may_not_come_in(bench: UdpBench) -> None:
    """Nothing of a visitor who is denied reaches the service; it is counted once for a session, and told."""
    bench.open(rules={"deny": ["203.0.113.0/24"]})
    source = bench.source()
    for piece in (header("203.0.113.9") + b"hello", b"hello", header("198.51.100.1") + b"a lie"):
        source.send(piece)
    assert bench.is_quiet()
    assert bench.count(Field.REFUSED_NOT_ALLOWED) == 1
    (refused,) = bench.news("refused")
    assert (refused["visitor"], refused["reason"]) == ("203.0.113.9:5000", "visitor_not_allowed")
    allowed = bench.source()
    allowed.send(header("198.51.100.1") + b"hello")
    assert bench.service.recv(100) == b"hello"
    assert bench.count(Field.CONNECTIONS) == 1


def test_a_forged_header_lets_nobody_in(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is no longer remembered may not give himself another address: only frpc's first datagram has a header."""
    monkeypatch.setattr("frp_wrapper.sidecar.udp._REFUSED", 1)
    bench.open(rules={"allow": ["198.51.100.1"]})
    source, other = bench.source(), bench.source()
    source.send(header("203.0.113.9") + b"hello")
    other.send(header("203.0.113.8") + b"hello")  # pushes the first one out of the memory
    eventually(lambda: bench.count(Field.REFUSED_NOT_ALLOWED) == 2)
    source.send(header("198.51.100.1") + b"a lie")
    eventually(lambda: bench.count(Field.REFUSED_UNKNOWN) == 1)
    assert bench.is_quiet()


def test_a_limit_of_sessions(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit refuses further visitors; one who goes on to send comes in when there is room."""
    monkeypatch.setattr("frp_wrapper.sidecar.udp.SESSION_SECONDS", 0.6)
    monkeypatch.setattr(udp_session, "SESSION_SECONDS", 0.6)
    monkeypatch.setattr(udp_session, "_TRY_AGAIN", 0.1)
    bench.open(rules={"max_connections": 1})
    first, second = bench.source(), bench.source()
    first.send(header("203.0.113.1") + b"one")
    assert bench.service.recv(100) == b"one"
    second.send(header("203.0.113.2") + b"two")
    eventually(lambda: bench.count(Field.REFUSED_LIMIT) == 1)

    def is_in() -> bool:
        second.send(b"again")
        return not bench.is_quiet()

    eventually(is_in)
    assert bench.relay.connections("a")[0]["visitor"] == "203.0.113.2:5000"


def test_closing_ends_the_sessions(bench: UdpBench) -> None:
    """After `close` the port is free and the sessions have been told of as ended."""
    bench.open()
    bench.source().send(header("203.0.113.1") + b"hello")
    bench.service.recv(100)
    bench.relay.close("a")
    assert len(bench.news("closed")) == 1
    assert bench.count(Field.OPEN) == 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", bench.port))


def test_what_does_not_fit_is_counted(bench: UdpBench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datagrams that the kernel had no room for, because they came too fast, are counted as dropped."""
    monkeypatch.setattr("frp_wrapper.sidecar.udp._RECEIVE_BUFFER", 4096)
    bench.open(proxy_protocol="none")
    source = bench.source()
    for _ in range(3000):
        source.send(b"x" * 1000)
    eventually(lambda: bench.count(Field.DATAGRAMS_RECEIVED) + bench.count(Field.DATAGRAMS_DROPPED) == 3000)
    assert bench.count(Field.DATAGRAMS_DROPPED) > 0
