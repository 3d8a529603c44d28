"""The relay passes on what it gets, in whatever way it comes and ends, and counts it."""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from frp_wrapper.sidecar.health_checks import CONNECT_PATH
from frp_wrapper.sidecar.news import row
from frp_wrapper.sidecar.proxy_protocol import SIGNATURE_V2, read_header
from frp_wrapper.sidecar.relay import Relay
from frp_wrapper.sidecar.slots import Field, Slots, size_of

V2 = SIGNATURE_V2 + bytes([0x21, 0x11, 0, 12, 203, 0, 113, 9, 10, 0, 0, 1]) + struct.pack(">HH", 51234, 443)


class Bench:
    """A relay before one service, which runs in a thread of its own."""

    def __init__(self, folder: Path) -> None:
        path = folder / "counters"
        path.write_bytes(bytes(size_of(4)))
        self.slots = Slots(path, 4)
        self.failed = threading.Event()
        self.relay = Relay(self.slots, self.failed.set)
        self._news: list[dict[str, Any]] = []
        self._threads: list[threading.Thread] = []

    def serve(self, answer: Callable[[socket.socket], None], header: str = "none", **options: Any) -> int:
        """Run a service for one connection behind the relay; give the relay's port."""
        service = socket.create_server(("127.0.0.1", 0))

        def run() -> None:
            with service:
                connection, _ = service.accept()
                with connection:
                    connection.settimeout(10)
                    answer(connection)

        thread = threading.Thread(target=run)
        thread.start()
        self._threads.append(thread)
        target = ("127.0.0.1", service.getsockname()[1])
        return self.relay.open("a", target, slot=0, port=0, proxy_protocol=header, **options)

    def news(self, kind: str) -> list[dict[str, Any]]:
        """Give the connections of which this has been told so far."""
        self._news += self.relay.news.take(opened=False)["rows"]
        return [row["connection"] for row in self._news if row["kind"] == kind]

    def count(self, field: Field) -> int:
        """Give a counter, once what has happened by now is written: that is at the end of a round of the relay."""
        for _ in range(2):
            self.relay._loop.call(lambda: None)
        return self.slots.read(0, field)

    def stop(self) -> None:
        """End all."""
        for thread in self._threads:
            thread.join(10)
        self.relay.stop()
        self.slots.close()


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """Give a running relay."""
    running = Bench(tmp_path)
    yield running
    running.stop()


def connect(port: int) -> socket.socket:
    """Connect to the relay as frpc does."""
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def read_all(connection: socket.socket) -> bytes:
    """Read to the end."""
    data = b""
    while piece := connection.recv(65536):
        data += piece
    return data


def eventually(condition: Callable[[], object]) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_half_close_is_passed_on(bench: Bench) -> None:
    """A visitor who has sent all may still read the answer, which comes after it."""
    port = bench.serve(lambda c: c.sendall(read_all(c)[::-1]))
    with connect(port) as visitor:
        visitor.sendall(b"abc")
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b"cba"
    eventually(lambda: bench.count(Field.OPEN) == 0)
    assert (bench.count(Field.BYTES_RECEIVED), bench.count(Field.BYTES_SENT)) == (3, 3)
    assert bench.count(Field.ERRORS) == 0


def test_data_and_end_before_the_service_has_accepted(bench: Bench) -> None:
    """What comes before the service is connected is not lost, nor its end."""
    seen: list[bytes] = []
    port = bench.serve(lambda c: seen.append(read_all(c)))
    with connect(port) as visitor:
        visitor.sendall(b"early")
    eventually(lambda: seen == [b"early"])


def test_a_reset_by_the_visitor_reaches_the_service(bench: Bench) -> None:
    """An abort of the visitor is an abort for the service, not a clean end."""
    ends: list[object] = []

    def service(connection: socket.socket) -> None:
        try:
            ends.append(read_all(connection))
        except ConnectionResetError:
            ends.append("reset")

    port = bench.serve(service)
    visitor = connect(port)
    visitor.sendall(b"x")
    eventually(lambda: bench.count(Field.BYTES_RECEIVED) == 1)
    visitor.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    visitor.close()
    eventually(lambda: ends == ["reset"])
    assert bench.count(Field.ERRORS) == 0  # the service did nothing wrong


def test_a_reset_by_the_service_reaches_the_visitor(bench: Bench) -> None:
    """An abort of the service is an abort for the visitor, and an error of the tunnel."""

    def service(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    port = bench.serve(service)
    with connect(port) as visitor:
        visitor.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            read_all(visitor)
    eventually(lambda: bench.count(Field.ERRORS) == 1)
    eventually(lambda: bench.news("broken"))
    assert "reset" in bench.news("broken")[0]["error"].lower()


def test_a_slow_reader_loses_nothing(bench: Bench) -> None:
    """When one side does not read, the other is held back, and all arrives in the end."""
    block = bytes(range(256)) * 256
    port = bench.serve(lambda c: c.sendall(block * 200))
    with connect(port) as visitor:
        time.sleep(0.5)
        received = read_all(visitor)
    assert received == block * 200
    eventually(lambda: bench.count(Field.BYTES_SENT) == len(block) * 200)


def test_both_ways_at_once(bench: Bench) -> None:
    """Eight megabytes each way at the same time arrive whole."""
    data = bytes(range(251)) * 33_000

    def service(connection: socket.socket) -> None:
        writer = threading.Thread(target=connection.sendall, args=(data,))
        writer.start()
        got = b""
        while len(got) < len(data):
            got += connection.recv(1 << 20)
        writer.join()
        assert got == data

    port = bench.serve(service)
    with connect(port) as visitor:
        writer = threading.Thread(target=visitor.sendall, args=(data,))
        writer.start()
        received = b""
        while len(received) < len(data):
            received += visitor.recv(1 << 20)
        writer.join()
    assert received == data


def test_the_header_is_read_and_stripped(bench: Bench) -> None:
    """The visitor's address is learned from the header; the service does not see it."""
    port = bench.serve(lambda c: c.sendall(c.recv(100)), header="strip")
    with connect(port) as visitor:
        for piece in (V2[:5], V2[5:20], V2[20:] + b"hello"):
            visitor.sendall(piece)
            time.sleep(0.05)
        assert visitor.recv(100) == b"hello"
        (connection,) = bench.relay.connections("a")
        assert (connection["visitor"], connection["bytes_received"]) == ("203.0.113.9:51234", 5)


def test_the_header_is_kept_for_a_service_that_wants_it(bench: Bench) -> None:
    """With ``keep`` the header goes on to the service, and is not counted as the visitor's bytes."""
    port = bench.serve(lambda c: c.sendall(c.recv(100)), header="keep")
    with connect(port) as visitor:
        visitor.sendall(V2 + b"hi")
        assert visitor.recv(100) == V2 + b"hi"
    eventually(lambda: bench.count(Field.BYTES_RECEIVED) == 2)


def test_a_look_whether_somebody_listens_is_no_visitor(bench: Bench) -> None:
    """Where frpc sends a header, a connection without one and without a byte is a check, not a visitor."""
    port = bench.relay.open("a", ("127.0.0.1", 1), slot=0, port=0, proxy_protocol="strip")
    connect(port).close()
    eventually(lambda: bench.count(Field.HEALTH_CHECKS) == 1)
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.ERRORS)) == (0, 0)


def test_a_service_that_speaks_first(bench: Bench) -> None:
    """A greeting reaches the visitor before the visitor has sent anything but the header."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 hello")
        read_all(connection)

    port = bench.serve(greet, header="strip")
    with connect(port) as visitor:
        visitor.sendall(V2)
        assert visitor.recv(100) == b"220 hello"


def test_nobody_listens(bench: Bench) -> None:
    """A service that is down resets the visitor and counts as an error."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = bench.relay.open("a", probe.getsockname(), slot=0, port=0, proxy_protocol="none")
        with pytest.raises(ConnectionResetError), connect(port) as visitor:  # the reset may come that early
            visitor.sendall(b"x")
            read_all(visitor)
    eventually(lambda: bench.count(Field.ERRORS) == 1)
    eventually(lambda: bench.count(Field.OPEN) == 0)


def test_a_service_that_does_not_answer_at_all(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service whose queue is full is waited for in bounded time; then the visitor is reset, and it is an error."""
    monkeypatch.setattr("frp_wrapper.sidecar.relay._CONNECT_SECONDS", 1.0)
    with socket.create_server(("127.0.0.1", 0), backlog=0) as service, contextlib.ExitStack() as stack:
        for _ in range(2):  # the kernel takes one more than the backlog
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(service.getsockname())
        port = bench.relay.open("a", service.getsockname(), slot=0, port=0, proxy_protocol="none")
        with connect(port) as visitor, pytest.raises(ConnectionResetError):
            read_all(visitor)
    eventually(lambda: bench.slots.read(0, Field.OPEN) == 0)  # written though nothing else happens any more
    assert bench.count(Field.ERRORS) == 1
    eventually(lambda: bench.news("failed"))
    assert bench.news("failed")[0]["error"] == "Connection timed out"


def test_a_name_with_another_address(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a name's first address refuses, the next visitor is led to its second; a name of two is made up here."""
    found = [("127.0.0.2", 0), ("127.0.0.3", 0)]
    with socket.create_server(("127.0.0.3", 0)) as service:
        where = [(host, service.getsockname()[1]) for host, _ in found]
        monkeypatch.setattr("frp_wrapper.sidecar.targets.addresses_of", lambda *_: where)
        monkeypatch.setattr(
            "frp_wrapper.sidecar.targets._accepts", lambda _: True
        )  # it listened at both, then
        port = bench.relay.open("a", ("localhost", 1), slot=0, port=0, proxy_protocol="none")
        with pytest.raises(ConnectionResetError), connect(port) as visitor:
            read_all(visitor)
        with connect(port):
            service.settimeout(10)
            service.accept()[0].close()


def test_closing_leaves_open_connections_alone(bench: Bench) -> None:
    """After `close` no new connection is taken, and an open one goes on."""
    port = bench.serve(lambda c: c.sendall(read_all(c)))
    with connect(port) as visitor:
        eventually(lambda: bench.count(Field.OPEN) == 1)
        bench.relay.close("a")
        with pytest.raises(ConnectionRefusedError):
            connect(port)
        visitor.sendall(b"still here")
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b"still here"


def test_how_long_things_took_is_told(bench: Bench) -> None:
    """What is told of a connection has the times to its acceptance, to the first answer and to its end, in that order."""

    def service(connection: socket.socket) -> None:
        connection.recv(1)
        time.sleep(0.2)
        connection.sendall(b"x")
        time.sleep(0.2)

    port = bench.serve(service)
    with connect(port) as visitor:
        visitor.sendall(b"x")
        read_all(visitor)
    eventually(lambda: bench.news("closed"))
    (row,) = bench.news("closed")
    assert 0 < row["connect_seconds"] < row["first_byte_seconds"]
    assert row["first_byte_seconds"] >= 0.2
    assert row["closed_at"] - row["opened_at"] >= 0.4


def test_a_visitor_who_does_not_read_holds_the_service_back(bench: Bench) -> None:
    """What is under way to a visitor who reads nothing is bounded, however much the service has to send."""
    sent: list[int] = []
    is_over = threading.Event()

    def service(connection: socket.socket) -> None:
        connection.settimeout(1)
        block = bytes(1 << 20)
        with contextlib.suppress(TimeoutError):
            for _ in range(300):
                connection.sendall(block)
                sent.append(len(block))
        is_over.set()

    port = bench.serve(service)
    with connect(port):
        assert is_over.wait(60)
        assert sum(sent) < 64 << 20


RULES: dict[str, Any] = {
    "allow": [],
    "deny": [],
    "max_connections": None,
    "connection_rate": None,
    "visitor_connection_rate": None,
}


@pytest.mark.parametrize(
    ("rules", "reason", "field"),
    [
        ({"deny": ["203.0.113.0/24"]}, "visitor_not_allowed", Field.REFUSED_NOT_ALLOWED),
        ({"allow": ["10.0.0.0/8"]}, "visitor_not_allowed", Field.REFUSED_NOT_ALLOWED),
        ({"max_connections": 0}, "connection_limit", Field.REFUSED_LIMIT),
    ],
)
def test_who_is_refused_gets_a_reset(bench: Bench, rules: dict[str, Any], reason: str, field: Field) -> None:
    """A refused visitor is reset, never reaches the service, is told of, and counts as refused only."""
    with socket.create_server(("127.0.0.1", 0)) as service:
        target = service.getsockname()
        port = bench.relay.open("a", target, slot=0, port=0, proxy_protocol="strip", rules=RULES | rules)
        with connect(port) as visitor, pytest.raises(ConnectionResetError):
            visitor.sendall(V2 + b"hello")
            read_all(visitor)
        service.setblocking(False)
        with pytest.raises(BlockingIOError):
            service.accept()
    (row,) = bench.news("refused")
    assert (row["visitor"], row["reason"]) == ("203.0.113.9:51234", reason)
    assert bench.count(field) == 1
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.ERRORS), bench.count(Field.OPEN)) == (0, 0, 0)


def test_a_limit_holds_for_those_who_come_at_once(bench: Bench) -> None:
    """Of many connections that one look at the sockets brings, only as many come in as the limit allows."""
    with socket.create_server(("127.0.0.1", 0)) as service, contextlib.ExitStack() as stack:
        rules = RULES | {"max_connections": 2}
        port = bench.relay.open(
            "a", service.getsockname(), slot=0, port=0, proxy_protocol="none", rules=rules
        )
        held = threading.Event()
        holder = threading.Thread(target=bench.relay._loop.call, args=(lambda: held.wait(5),))
        holder.start()
        for _ in range(10):
            stack.enter_context(connect(port))
        held.set()
        holder.join()
        eventually(lambda: bench.count(Field.REFUSED_LIMIT) == 8)
        eventually(lambda: (bench.count(Field.CONNECTIONS), bench.count(Field.OPEN)) == (2, 2))
    eventually(lambda: bench.count(Field.OPEN) == 0)


def test_rules_by_address_let_nobody_in_without_one(bench: Bench) -> None:
    """A connection past frpc, which has no header, does not get around the rules."""
    port = bench.relay.open(
        "a", ("127.0.0.1", 1), slot=0, port=0, proxy_protocol="strip", rules=RULES | {"deny": ["10.0.0.0/8"]}
    )
    with connect(port) as visitor, pytest.raises(ConnectionResetError):
        visitor.sendall(b"GET / HTTP/1.1\r\n\r\n")
        read_all(visitor)
    assert bench.count(Field.REFUSED_UNKNOWN) == 1


def test_who_is_let_in_is_served(bench: Bench) -> None:
    """Rules are no hindrance to a visitor whom they allow, also when the header comes in pieces."""
    rules = RULES | {"allow": ["203.0.113.9"], "max_connections": 1}
    port = bench.serve(lambda c: c.sendall(c.recv(100)), header="strip", rules=rules)
    with connect(port) as visitor:
        for piece in (V2[:20], V2[20:] + b"hello"):
            visitor.sendall(piece)
            time.sleep(0.05)
        assert visitor.recv(100) == b"hello"
    assert bench.count(Field.CONNECTIONS) == 1


CHECK = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1:1\r\nUser-Agent: Go-http-client/1.1\r\n\r\n"


def test_a_health_check_goes_to_the_service_and_is_no_visitor(bench: Bench) -> None:
    """A GET of the path without a header passes, whatever the rules, and is counted apart."""
    port = bench.serve(
        lambda c: c.sendall(c.recv(1000)),
        header="strip",
        check_path="/healthz",
        rules=RULES | {"allow": ["10.0.0.1"]},
    )
    with connect(port) as frpc:
        frpc.sendall(CHECK[:10])
        time.sleep(0.05)
        frpc.sendall(CHECK[10:])
        assert frpc.recv(1000) == CHECK
        assert bench.relay.connections("a") == []
    assert bench.count(Field.HEALTH_CHECKS) == 1
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.BYTES_SENT)) == (0, 0)


def test_a_visitor_who_asks_for_the_path_is_a_visitor(bench: Bench) -> None:
    """With a header before it, or for another host where there are no headers, the same request is a visitor's."""
    port = bench.serve(lambda c: c.sendall(c.recv(1000)), header="strip", check_path="/healthz")
    with connect(port) as visitor:
        visitor.sendall(V2 + CHECK)
        assert visitor.recv(1000) == CHECK
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.HEALTH_CHECKS)) == (1, 0)
    bench.relay.close("a")
    port = bench.serve(lambda c: c.sendall(c.recv(1000)), header="none", check_path="/healthz")
    with connect(port) as visitor:
        visitor.sendall(CHECK)
        assert visitor.recv(1000) == CHECK
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.HEALTH_CHECKS)) == (2, 0)


def test_a_health_check_without_headers_is_told_by_its_host(bench: Bench) -> None:
    """Where frpc sends no header, its check is known by the Host, which is the relay's own address."""
    port = bench.serve(lambda c: c.sendall(c.recv(1000)), check_path="/healthz")
    with connect(port) as frpc:
        frpc.sendall(CHECK.replace(b"127.0.0.1:1", b"127.0.0.1:%d" % port))
        assert frpc.recv(1000).startswith(b"GET")
    assert (bench.count(Field.CONNECTIONS), bench.count(Field.HEALTH_CHECKS)) == (0, 1)


def test_a_silent_visitor_is_served_where_checks_are_awaited(bench: Bench) -> None:
    """Where nothing but its first bytes tells a check, a visitor who waits for a greeting gets it all the same."""

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 hello")
        read_all(connection)

    port = bench.serve(greet, check_path="/healthz")
    with connect(port) as visitor:
        assert visitor.recv(100) == b"220 hello"
    assert bench.count(Field.CONNECTIONS) == 1


def test_a_check_of_a_service_that_is_down_is_no_error_of_the_tunnel(bench: Bench) -> None:
    """The check sees the reset, and nobody counts a failed visitor."""
    port = bench.relay.open("a", free_target(), slot=0, port=0, proxy_protocol="strip", check_path="/healthz")
    with connect(port) as frpc, pytest.raises(ConnectionResetError):
        frpc.sendall(CHECK)
        read_all(frpc)
    assert (bench.count(Field.HEALTH_CHECKS), bench.count(Field.ERRORS), bench.count(Field.CONNECTIONS)) == (
        1,
        0,
        0,
    )


def test_the_relay_answers_whether_the_service_takes_connections(bench: Bench) -> None:
    """What stands for frpc's tcp check is answered by the relay: 200 while the service listens, else a reset."""
    question = f"GET {CONNECT_PATH} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
    with socket.create_server(("127.0.0.1", 0)) as service:
        target = service.getsockname()
        port = bench.relay.open("a", target, slot=0, port=0, proxy_protocol="strip", check_path=CONNECT_PATH)
        with connect(port) as frpc:
            frpc.sendall(question)
            assert read_all(frpc).startswith(b"HTTP/1.1 200 OK\r\n")
        taken, _ = service.accept()
        with taken:
            assert taken.recv(100) == b""  # not a byte of frpc's question
    with connect(port) as frpc, pytest.raises(ConnectionResetError):
        frpc.sendall(question)
        read_all(frpc)
    assert (bench.count(Field.HEALTH_CHECKS), bench.count(Field.CONNECTIONS)) == (2, 0)


def test_a_fault_of_the_relay_itself_is_told(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    """A relay whose thread ends by a fault says so, instead of standing there and serving nobody."""

    def fail(_events: int) -> None:
        raise ZeroDivisionError

    ours, frpcs = socket.socketpair()
    with ours, frpcs:
        bench.relay._loop.watch(ours, fail, select.EPOLLIN)
        frpcs.send(b"x")
        assert bench.failed.wait(10)
    assert "ZeroDivisionError" in capsys.readouterr().err


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", V2, V2[:20], SIGNATURE_V2, b"PROXY ", b"GET /healthz HTTP"]),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_hostile_first_bytes(hostile_port: tuple[Bench, int], data: bytes, start: bytes) -> None:
    """Whatever comes first, the relay ends the connection with its visitor and goes on."""
    bench, port = hostile_port
    with connect(port) as visitor, contextlib.suppress(OSError):
        visitor.sendall(start + data)
        visitor.shutdown(socket.SHUT_WR)
        read_all(visitor)
    assert not bench.failed.is_set()


@pytest.fixture
def hostile_port(bench: Bench) -> tuple[Bench, int]:
    """Give a relay that reads headers, knows health checks, and refuses everybody."""
    rules = RULES | {"allow": ["192.0.2.1"], "visitor_connection_rate": 1}
    options = {"proxy_protocol": "strip", "rules": rules, "check_path": "/healthz"}
    return bench, bench.relay.open("a", free_target(), slot=0, port=0, **options)


class LateEvents:
    """An epoll that reports, with each new connection, an event of one that had the same descriptor before."""

    def __init__(self, epoll: select.epoll, listener: int) -> None:
        self._epoll = epoll
        self._listener = listener
        self.reported = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._epoll, name)

    def poll(self, timeout: float | None, most: int) -> list[tuple[int, int]]:
        events = self._epoll.poll(timeout, most)
        if self._listener in dict(events):
            next_descriptor = os.dup(self._listener)
            os.close(next_descriptor)
            events.append((next_descriptor, select.EPOLLERR | select.EPOLLHUP))
            self.reported += 1
        return events


def test_an_event_of_a_closed_connection_is_not_taken_for_a_new_one(bench: Bench) -> None:
    """What the kernel reported of a descriptor before it was closed does not break who has it in the same moment.

    Such a moment cannot be had at will, so the late event is added to what the real epoll reports.
    """
    port = bench.serve(lambda c: c.sendall(read_all(c)))
    late = LateEvents(bench.relay._loop.epoll, bench.relay._gates["a"].listener.fileno())
    bench.relay._loop.epoll = late  # type: ignore[assignment]
    bench.relay._loop.call(lambda: None)  # the relay's thread has come around since
    with connect(port) as visitor:
        visitor.sendall(b"hello")
        visitor.shutdown(socket.SHUT_WR)
        assert read_all(visitor) == b"hello"
    assert late.reported


def test_who_is_closed_has_no_turn_any_more(bench: Bench) -> None:
    """A connection that had more to do than fits in a turn, and is closed, is not served by its descriptor later."""
    port = bench.serve(read_all)
    with connect(port):
        eventually(lambda: bench.count(Field.OPEN) == 1)
        relay, left = bench.relay, list[int]()

        def close_a_busy_one() -> None:
            (link,) = set(relay._links.values())
            relay._busy.add(link)
            relay._close(link, None)
            left.append(len(relay._busy))

        relay._loop.call(close_a_busy_one)
        assert left == [0]


def test_news_come_in_parts(bench: Bench) -> None:
    """An answer has a bound; what does not fit into it comes with the next."""
    for number in range(5000):
        bench.relay.news.add("a", "closed", row(None, "127.0.0.1:1", number, number))
    first = bench.relay.news.take(opened=False)
    second = bench.relay.news.take(opened=False)
    assert (len(first["rows"]), first["more"]) == (4096, True)
    assert (len(second["rows"]), second["more"], second["lost"]) == (904, False, 0)


def free_target() -> tuple[str, int]:
    """Give an address where nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address: tuple[str, int] = probe.getsockname()
        return address


def test_a_low_limit_of_descriptors_is_raised(tmp_path: Path) -> None:
    """The process of the relay takes all descriptors that the system grants, whatever its host was content with."""
    (tmp_path / "counters").write_bytes(bytes(size_of(4)))
    program = """
import resource, sys
from frp_wrapper.sidecar.relay_commands import execute
most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
resource.setrlimit(resource.RLIMIT_NOFILE, (64, most))
relay, _ = execute(None, {
    "op": "relay_open", "name": "a", "target": ["127.0.0.1", 1], "slot": 0, "port": 0, "proxy_protocol": "none",
    "counters": sys.argv[1], "slots": 4,
})
relay.stop()
assert resource.getrlimit(resource.RLIMIT_NOFILE) == (most, most)
"""
    subprocess.run([sys.executable, "-c", program, tmp_path / "counters"], check=True, timeout=60)


def test_headers() -> None:
    """Both versions of the PROXY protocol, IPv4 and IPv6, LOCAL, and no header at all."""
    v6 = (
        SIGNATURE_V2 + bytes([0x21, 0x21, 0, 36]) + bytes(15) + b"\x01" + bytes(16) + struct.pack(">HH", 5, 6)
    )
    assert (read_header(V2).size, read_header(V2).visitor) == (28, "203.0.113.9:51234")  # type: ignore[union-attr]
    assert (read_header(v6).size, read_header(v6).visitor) == (52, "[::1]:5")  # type: ignore[union-attr]
    local = SIGNATURE_V2 + bytes([0x20, 0, 0, 0])
    assert (read_header(local).size, read_header(local).visitor) == (16, None)  # type: ignore[union-attr]
    v1 = b"PROXY TCP4 203.0.113.9 10.0.0.1 51234 443\r\nhello"
    assert (read_header(v1).size, read_header(v1).visitor) == (43, "203.0.113.9:51234")  # type: ignore[union-attr]
    assert read_header(b"GET / HTTP/1.1").size == 0  # type: ignore[union-attr]
    assert read_header(V2[:20]) is None
    assert read_header(b"PROXY TCP4 203") is None
    assert read_header(b"") is None


@given(st.binary(max_size=200), st.sampled_from([b"", SIGNATURE_V2, b"PROXY "]))
def test_hostile_headers(data: bytes, start: bytes) -> None:
    """Whatever comes, the reader does not raise and never claims more than there is."""
    header = read_header(start + data)
    assert header is None or header.size <= len(start + data)
