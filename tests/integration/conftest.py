"""A real frps, a real frpc, and small local services behind them."""

from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from frp_wrapper import FRPClient, FRPServer


class Echo(socketserver.BaseRequestHandler):
    """Sends back what comes."""

    def handle(self) -> None:
        while data := self.request.recv(65536):
            self.request.sendall(data)


class EchoServer(socketserver.ThreadingTCPServer):
    """A TCP service; visitors that go away in the middle are no error."""

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: object, client_address: object) -> None:
        pass


class Web(BaseHTTPRequestHandler):
    """Answers with the path and the Host header that it saw."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        pass


class WebServer(ThreadingHTTPServer):
    """A web service that does not complain of visitors who go away."""

    def handle_error(self, request: object, client_address: object) -> None:
        pass


def serving(server: socketserver.BaseServer) -> Iterator[int]:
    """Run a service for one test; gives its port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_address[1]  # type: ignore[index]
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a TCP echo service."""
    yield from serving(EchoServer(("127.0.0.1", 0), Echo))


@pytest.fixture
def web() -> Iterator[int]:
    """Give the port of a web service."""
    yield from serving(WebServer(("127.0.0.1", 0), Web))


@pytest.fixture
def server(frps_path: object) -> Iterator[FRPServer]:
    """Give a running frps with an HTTP port."""
    with FRPServer(vhost_http_port=0, vhost_https_port=0, tcpmux_httpconnect_port=0) as running:
        yield running


@pytest.fixture
def client(server: FRPServer, frpc_path: object) -> Iterator[FRPClient]:
    """Give a connected client of that server."""
    with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as connected:
        yield connected


def exchange(port: int, data: bytes = b"hello", host: str = "127.0.0.1") -> bytes:
    """Send data to an echo service through a tunnel and give what comes back."""
    with socket.create_connection((host, port), timeout=10) as visitor:
        visitor.sendall(data)
        received = b""
        while len(received) < len(data):
            piece = visitor.recv(65536)
            if not piece:
                break
            received += piece
        return received


def eventually(condition: Callable[[], object], timeout: float = 15.0) -> None:
    """Wait until a condition holds; an OSError counts as not yet."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            if condition():
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
