"""``frpw demo``: a real frps, a real frpc, a small web service and visitors, all on this machine, live."""

from __future__ import annotations

import contextlib
import itertools
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import click

from frp_wrapper.cli.dashboard import dashboard_option, shown_at
from frp_wrapper.cli.view import summary, watch
from frp_wrapper.client import FRPClient
from frp_wrapper.server import FRPServer
from frp_wrapper.tunnel import Tunnel

__all__ = ["demo"]

_VISITORS = 3
"""Visitors at a time for each tunnel."""
_PORTS = "20000-60000"
_TIMEOUT = 10.0
_STREAM = "/stream"
_sizes = itertools.cycle((1, 30, 5_000, 400, 20_000, 2_000, 90))
_pauses = itertools.cycle((0.05, 0.4, 0.1, 0.25, 0.5))


@click.command()
@click.option(
    "--seconds", type=float, default=30.0, show_default=True, help="How long; 0: until Ctrl-C.", metavar="N"
)
@dashboard_option
def demo(seconds: float, dashboard_port: int | None) -> None:
    """Show it all on this machine: server, client, two tunnels with traffic, and the live numbers.

    Needs no server and no account, and leaves nothing behind.
    """
    with web_service() as port, FRPServer(vhost_http_port=0, allow_ports=[_PORTS]) as server:
        click.echo(
            f"a real frps listens at 127.0.0.1:{server.bind_port}, a small web service at 127.0.0.1:{port}"
        )
        with FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client:
            tcp = client.expose_tcp(port, name="web-tcp", meter="relay")
            path = client.expose_path(port, "/hello", name="web-path")
            click.echo(f"open it yourself: {_page(tcp)} or {_page(path)}")
            with (
                shown_at(client, dashboard_port),
                visitors(tcp, path) as failures,
                contextlib.suppress(KeyboardInterrupt),
            ):
                watch(
                    client,
                    seconds=seconds or None,
                    note="Ctrl-C ends it" + (f", or {seconds:g} s" if seconds else ""),
                )
            click.echo(summary(client))
            if failures:
                raise click.ClickException(f"{len(failures)} visits failed; the first: {failures[0]}")


class _Page(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path.endswith(_STREAM):
            self._stream()
        else:
            self._page()

    def _stream(self) -> None:
        """Send a little again and again: an open connection, whose bytes can be seen while they flow."""
        self.send_response(200)
        self.end_headers()
        self.close_connection = True
        with contextlib.suppress(OSError):
            while not self.server.closing.wait(0.1):  # type: ignore[attr-defined]
                self.wfile.write(bytes(2000))

    def _page(self) -> None:
        body = b"<!doctype html><title>frp_wrapper demo</title><h1>It works.</h1><p>" + b"frp " * next(_sizes)
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing: the table is what is shown."""


class _Service(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.closing = threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Let visitors go away in the middle."""


@contextlib.contextmanager
def web_service() -> Iterator[int]:
    """Serve small pages on loopback; gives the port."""
    service = _Service()
    thread = threading.Thread(target=service.serve_forever, name="frp-wrapper-demo-web")
    thread.start()
    try:
        yield service.server_address[1]
    finally:
        service.closing.set()
        service.shutdown()
        service.server_close()
        thread.join()


@contextlib.contextmanager
def visitors(*tunnels: Tunnel) -> Iterator[list[OSError]]:
    """Visit the tunnels all the time; gives the list into which failures go."""
    done = threading.Event()
    failures: list[OSError] = []
    threads = [
        threading.Thread(
            target=_listen, args=(_page(tunnels[0]) + _STREAM, done), name="frp-wrapper-demo-listener"
        )
    ]
    threads += [
        threading.Thread(target=_visit, args=(_page(tunnel), done, failures), name="frp-wrapper-demo-visitor")
        for tunnel in tunnels
        for _ in range(_VISITORS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield failures
    finally:
        done.set()
        for thread in threads:
            thread.join(_TIMEOUT)


def _visit(url: str, done: threading.Event, failures: list[OSError]) -> None:
    while not done.wait(next(_pauses)):
        try:
            with urllib.request.urlopen(url, timeout=_TIMEOUT) as page:  # noqa: S310 - our own tunnel
                page.read()
        except OSError as exc:
            failures.append(exc)
            return


def _listen(url: str, done: threading.Event) -> None:
    with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=_TIMEOUT) as stream:  # noqa: S310
        while not done.is_set() and stream.read(2000):
            pass


def _page(tunnel: Tunnel) -> str:
    assert tunnel.url is not None
    return tunnel.url.replace("tcp://", "http://")
