"""The relay passes on what it gets, in whatever way it comes and ends, and counts it."""

from __future__ import annotations

import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
        self.relay = Relay(self.slots)
        self._threads: list[threading.Thread] = []

    def serve(self, answer: Callable[[socket.socket], None], header: str = "none") -> int:
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
        return self.relay.open("a", target, slot=0, port=0, proxy_protocol=header)

    def count(self, field: Field) -> int:
        """Give a counter."""
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
    eventually(lambda: bench.relay.recent("a"))
    assert "reset" in bench.relay.recent("a")[0]["error"].lower()


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


def test_a_health_check_is_no_visitor(bench: Bench) -> None:
    """Frpc's health check connects without a header; it passes, but is not counted."""
    port = bench.serve(lambda c: c.sendall(read_all(c) or b"none"), header="strip")
    connect(port).close()
    time.sleep(0.2)
    assert bench.count(Field.CONNECTIONS) == 0
    assert bench.relay.connections("a") == []


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
