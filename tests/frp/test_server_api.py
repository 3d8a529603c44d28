"""The client of frps's API against a stand-in: what a real frps does not do, or only an old one.

Real frps of two versions is asked in `tests/integration/test_server_counters.py`.
"""

from __future__ import annotations

import base64
import http.server
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from frp_wrapper.errors import AuthenticationError, ConnectionFailedError
from frp_wrapper.frp import server_api
from frp_wrapper.frp.server_api import ServerApi, ServerInfo, ServerProxy, ServerTraffic
from frp_wrapper.monitoring.log_mask import masked_text

OLD_INFO = {
    "version": "0.52.0", "bind_port": 53879, "vhost_http_port": 0, "vhost_https_port": 0, "subdomain_host": "",
    "max_pool_count": 5, "max_ports_per_client": 0, "heart_beat_timeout": 90, "total_traffic_in": 1000,
    "total_traffic_out": 2000, "cur_conns": 3, "client_counts": 1, "proxy_type_count": {"tcp": 1},
}  # fmt: skip
"""As frps 0.52.0 answers."""
OLD_PROXY = {
    "name": "bob.ssh", "conf": {"remote_port": 0}, "client_version": "0.52.3", "today_traffic_in": 1000,
    "today_traffic_out": 2000, "cur_conns": 3, "last_start_time": "11-25 15:41:15", "last_close_time": "",
    "status": "online",
}  # fmt: skip
"""As frps 0.51.3 answers; 0.52.0 has the same keys."""


class StandIn(http.server.ThreadingHTTPServer):
    """Answers whatever a test wants, and notes what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer: tuple[int, bytes] = (200, b"{}")
        self.asked: list[tuple[str, str | None]] = []

    def api(self, access: str = "", path: str = "", **options: Any) -> ServerApi:
        """Give a client of it."""
        return ServerApi(f"http://{access}127.0.0.1:{self.server_port}{path}", **options)


class Handler(http.server.BaseHTTPRequestHandler):
    """Writes the answer of the test."""

    server: StandIn

    def do_GET(self) -> None:
        self.server.asked.append((self.path, self.headers["Authorization"]))
        status, body = self.server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def frps() -> Iterator[StandIn]:
    """Give a running stand-in."""
    server = StandIn()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_keys_of_old_versions(frps: StandIn) -> None:
    """Keys with underscores, as frps wrote them up to 0.52.0, are read too; in is received, out is sent."""
    frps.answer = 200, json.dumps(OLD_INFO).encode()
    assert frps.api().info() == ServerInfo("0.52.0", 1, 3, 2000, 1000, {"tcp": 1})
    frps.answer = 200, json.dumps({"proxies": [OLD_PROXY]}).encode()
    assert frps.api().proxies("tcp") == (
        ServerProxy("bob.ssh", "online", 3, 2000, 1000, "11-25 15:41:15", None),
    )
    frps.answer = 200, json.dumps({"name": "bob.ssh", "traffic_in": [1, 2], "traffic_out": [3, 4]}).encode()
    assert frps.api().traffic("bob.ssh") == (ServerTraffic(3, 1), ServerTraffic(4, 2))


def test_user_and_password(frps: StandIn) -> None:
    """Special characters are written as ``%XX``; the password is masked in logs from then on, and in no repr."""
    frps.answer = 200, b'{"proxies":[]}'
    api = frps.api("%C3%BCser:p%40ss%3Aw%2Ford@", "/behind/")
    assert api.proxies("a/b") == ()
    expected = "Basic " + base64.b64encode("üser:p@ss:w/ord".encode()).decode()
    assert frps.asked == [("/behind/api/proxy/a%2Fb", expected)]
    assert repr(api) == f"<ServerApi http://127.0.0.1:{frps.server_port}/behind>"
    assert masked_text("x p@ss:w/ord y p%40ss%3Aw%2Ford z") == "x *** y *** z"


def test_without_access(frps: StandIn) -> None:
    """A dashboard that asks for no password gets none."""
    frps.answer = 200, b'{"proxies":null}'
    assert frps.api().proxies("tcp") == ()
    assert frps.asked == [("/api/proxy/tcp", None)]


@pytest.mark.parametrize(
    "ask", [ServerApi.info, lambda api: api.proxies("tcp"), lambda api: api.traffic("a")]
)
@pytest.mark.parametrize(
    "body",
    [
        b"", b"hello", b"[]", b"null", b"{}", b"[" * 100_000, b"\xff",
        b'{"proxies":5,"version":5}',
        b'{"proxies":[5],"trafficIn":[1],"trafficOut":[]}',
        json.dumps({"proxies": [OLD_PROXY | {"today_traffic_in": -1}]}).encode(),
        json.dumps({"proxies": [OLD_PROXY | {"cur_conns": "3"}]}).encode(),
        json.dumps({"proxies": [OLD_PROXY | {"cur_conns": True}]}).encode(),
        json.dumps({"proxies": [OLD_PROXY | {"name": None}]}).encode(),
        json.dumps(OLD_INFO | {"total_traffic_in": 1.5}).encode(),
        json.dumps(OLD_INFO | {"proxy_type_count": ["tcp"]}).encode(),
    ],
)  # fmt: skip
def test_another_kind_of_answer(frps: StandIn, ask: Callable[[ServerApi], object], body: bytes) -> None:
    """What is no answer of frps is said to be none, whatever it is."""
    frps.answer = 200, body
    with pytest.raises(ConnectionFailedError) as caught:
        ask(frps.api())
    assert caught.value.reason == "server_dashboard_not_frps"


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (401, "server_dashboard_auth"),
        (403, "server_dashboard_auth"),
        (302, "server_dashboard_not_frps"),
        (404, "server_dashboard_not_frps"),
        (502, "server_dashboard_unreachable"),
    ],
)
def test_refusals(frps: StandIn, status: int, reason: str) -> None:
    """Each kind of refusal has its reason; no password is in the text, and no redirection is followed."""
    frps.answer = status, b"no"
    with pytest.raises(ConnectionFailedError) as caught:
        frps.api("a:s3cret-word@").traffic("a")
    assert caught.value.reason == reason
    assert caught.value.hint
    assert "s3cret-word" not in str(caught.value)
    assert isinstance(caught.value, AuthenticationError) == (reason == "server_dashboard_auth")
    assert len(frps.asked) == 1


def test_an_answer_without_end(frps: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer beyond the bound is refused, not cut."""
    monkeypatch.setattr(server_api, "_ANSWER_LIMIT", 1000)
    frps.answer = 200, json.dumps({"proxies": [], "filling": "x" * 2000}).encode()
    with pytest.raises(ConnectionFailedError, match="more than 1000 bytes"):
        frps.api().proxies("tcp")


def test_an_answer_in_drops() -> None:
    """The time limit is for the whole answer: bytes that come one by one do not prolong it."""
    stop = threading.Event()

    def drip(listener: socket.socket) -> None:
        with listener.accept()[0] as connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not stop.wait(0.05):
                connection.sendall(b"y")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        began = time.monotonic()
        try:
            with pytest.raises(ConnectionFailedError, match=r"within 0\.5 s"):
                ServerApi(f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=0.5).info()
        finally:
            took = time.monotonic() - began
            stop.set()
            thread.join()
    assert took < 5


@pytest.mark.parametrize("host", ["no-such-host.invalid", "a" * 64 + ".example"])
def test_a_name_that_is_none(host: str) -> None:
    """A host that cannot be looked up is named."""
    with pytest.raises(ConnectionFailedError, match=host[:20]) as caught:
        ServerApi(f"http://a:b@{host}:7500").info()
    assert caught.value.reason == "server_dashboard_unreachable"


def test_another_protocol(frps: StandIn) -> None:
    """``https`` where there is no TLS is named."""
    with pytest.raises(ConnectionFailedError) as caught:
        ServerApi(f"https://127.0.0.1:{frps.server_port}").info()
    assert caught.value.reason == "tls_error"
