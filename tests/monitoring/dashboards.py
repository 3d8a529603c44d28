"""What the tests of the dashboard share: a client without frpc, a dashboard on a free port, and ways to talk to it."""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, Self

from frp_wrapper import refused_ports
from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.errors import FRPError, ProcessError
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.server_counters import ServerCounters
from frp_wrapper.metering.usage import Traffic, Usage
from frp_wrapper.metering.visitors import Visitors, VisitorTotals
from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from frp_wrapper.monitoring.events import EventEmitter, EventType
from frp_wrapper.monitoring.log_ring import LogRing
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.session import Session
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus

TOKEN = "a-token-for-the-tests"


class Meter:
    """Numbers that a test sets."""

    def __init__(self, name: str) -> None:
        self.metrics = TunnelMetrics(name, open_connections=0, source="relay")
        self.open: list[Connection] = []
        self.closed: list[Connection] = []
        self.reads = 0

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give a copy, as of now."""
        self.reads += 1
        return replace(self.metrics, as_of=datetime.now(UTC))

    def connections(self) -> list[Connection]:
        """Give the open ones."""
        return self.open

    def recent(self) -> list[Connection]:
        """Give the closed ones."""
        return self.closed

    def visitors(self, limit: int) -> list[VisitorTotals]:
        """Give what the connections come to."""
        visitors = Visitors()
        for connection in self.closed:
            visitors.add(connection)
        return visitors.top(limit, self.open)

    def usage(self) -> Usage:
        """Give one day with all of it."""
        metrics = self.metrics
        moved = Traffic(metrics.bytes_sent or 0, metrics.bytes_received or 0, metrics.connection_count or 0)
        return Usage(moved, moved, {date(2026, 1, 31): moved})

    def close(self) -> None:
        """Do nothing."""


@dataclass
class Status:
    """A proxy in an answer of frpc's admin API."""

    remote_addr: str
    status: str = "running"
    error: str = ""


class StandIn:
    """A client without frpc: a real session, with real tunnels and events, and numbers that a test sets.

    It stands where the numbers must be exact; `tests/test_dashboard.py` runs the dashboard with real frp.
    """

    server = "localhost"
    pid = 4711
    frp_version = "0.71.0"
    login_error: FRPError | None = None
    server_latency: float | None = None
    server_api: object | None = None
    server_counters_error: FRPError | None = None
    dropped_events = 0
    dropped_output = 0

    def __init__(self, *names: str, connected: bool = True) -> None:
        self.config = ClientConfig(server="localhost")
        self.events = EventEmitter()
        self.log_lines = LogRing()
        self.meters: dict[str, Meter] = {}
        self.counted_by_frps: dict[str, ServerCounters] = {}
        self.restarted: list[str] = []
        self.changes = 0
        self.session = Session("localhost", "", self._changed, lambda _: True)
        if connected:
            self.log_in()
        for number, name in enumerate(names):
            self.add(name, 3000 + number)

    @property
    def state_version(self) -> object:
        """As the client."""
        return self.changes

    def log_in(self) -> None:
        """Have frpc logged in."""
        self.session.apply(record("client_connected"))

    def add(self, name: str, port: int | None = 3000, **options: Any) -> Tunnel:
        """Open a tunnel that is online."""
        tunnel = self.expose(TunnelConfig(name=name, tunnel_type="tcp", local_port=port, **options))
        self.session.apply_status({name: Status(f":{40000 + len(self.meters)}")})
        return tunnel

    def expose(self, config: TunnelConfig, *, wait: bool = True) -> Tunnel:
        """Open a tunnel that frps has not answered for."""
        if not self.is_connected():
            raise ProcessError("the client is not connected", reason="not_connected")
        refused_ports.check(config)
        self.session.require_free(config.name)
        meter = self.meters[config.name] = Meter(config.name)
        tunnel = Tunnel(config, self, meter)
        self.session.add(tunnel)
        return tunnel

    def restart(self, tunnel: Tunnel) -> None:
        """Note that it shall be restarted."""
        self.restarted.append(tunnel.id)

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Close a tunnel."""
        self.session.remove(endpoint)

    def wait_for(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
        """Nothing here takes time."""

    def server_counters(self, tunnel: Tunnel, timeout: float) -> ServerCounters | None:
        """Give what a test has set."""
        return self.counted_by_frps.get(tunnel.id)

    def list_tunnels(self) -> list[Tunnel]:
        """As the client."""
        return self.session.endpoints(Tunnel)

    def is_connected(self) -> bool:
        """As the client."""
        return self.session.connected

    def get_uptime(self) -> float:
        """As the client."""
        return self.session.uptime

    def notify(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Emit at once."""
        self.events.emit(event_type, dict(data))

    def _changed(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        self.changes += 1
        self.notify(event_type, data)


def record(kind: str, message: str = "", level: str = "info", tunnel_id: str | None = None) -> dict[str, Any]:
    """Give a parsed line of frpc."""
    return {"type": kind, "level": level, "tunnel_id": tunnel_id, "message": message}


@contextmanager
def running(client: Any, **options: Any) -> Iterator[MonitoringDashboard]:
    """Run a dashboard on a free port."""
    dashboard = MonitoringDashboard(client, **{"token": TOKEN, **options})
    dashboard.start(0)
    try:
        yield dashboard
    finally:
        dashboard.stop()


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.json["error"]["code"])


def ask(
    port: int | None,
    path: str,
    method: str = "GET",
    *,
    token: str | None = TOKEN,
    body: Any = None,
    headers: Mapping[str, str | None] | None = None,
) -> Answer:
    """Send one request over a real socket; a header of None is not sent."""
    assert port is not None
    sent: dict[str, str | None] = {"Host": f"localhost:{port}"}
    if token is not None:
        sent["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        sent["Content-Type"] = "application/json"
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in {**sent, **(headers or {})}.items():
            if value is not None:
                connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        is_stream = response.headers.get("content-type") == "text/event-stream"
        content = b"" if is_stream else response.read()
        return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)
    finally:
        connection.close()


@dataclass
class Frame:
    """A server-sent event."""

    id: str
    event: str
    data: Any


class Stream:
    """A viewer of the live stream, on a real socket."""

    def __init__(self, port: int | None, query: str = "", last_id: str | None = None) -> None:
        assert port is not None
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=10)
        more = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        self._socket.sendall(
            f"GET /api/stream{query} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n{more}\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass
        self._text = b""

    def next(self, event: str | None = None) -> Frame:
        """Wait for the next frame, or the next of a kind."""
        while True:
            frame = self._next()
            if event in (None, frame.event):
                return frame

    def until(self, condition: Callable[[Frame], object]) -> Frame:
        """Wait for a frame."""
        deadline = time.monotonic() + 15
        while not condition(frame := self._next()):
            assert time.monotonic() < deadline, "no such frame"
        return frame

    def ends(self) -> bool:
        """Read on until the stream ends."""
        while self._chunk():
            pass
        return True

    def _next(self) -> Frame:
        while b"\n\n" not in self._text:
            piece = self._chunk()
            assert piece, "the stream has ended"
            self._text += piece
        head, _, self._text = self._text.partition(b"\n\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        return Frame(fields["id"], fields["event"], json.loads(fields["data"]))

    def _chunk(self) -> bytes:
        size = int(self._file.readline() or b"0", 16)
        piece = self._file.read(size)
        self._file.readline()
        return piece

    def close(self) -> None:
        """Go away."""
        self._file.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
