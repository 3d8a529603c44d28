"""What the tests of the page share: finding Chromium, opening the page, and things that stand between it and the server."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self

from playwright.sync_api import Browser, BrowserContext, Page

from frp_wrapper import FRPClient, FRPServer, MonitoringDashboard, Tunnel
from frp_wrapper.cli.demo import visitors, web_service
from tests.monitoring.dashboards import TOKEN

CHROMIUM_ARGS = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
"""Chromium's sandbox does not work as root, which is who runs tests in containers."""
_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PORTS = "20000-60000"
Serve = Callable[..., MonitoringDashboard]
"""Runs a dashboard over a client until after the pages of the test are closed."""


def find_chromium() -> str | None:
    """Give the browser: ``FRP_WRAPPER_TEST_CHROMIUM``, or what the PATH has."""
    named = os.environ.get("FRP_WRAPPER_TEST_CHROMIUM")
    return named or next(filter(None, map(shutil.which, _NAMES)), None)


@dataclass
class Watched:
    """A page, and what it should not have done.

    Attributes:
        page: The page.
        faults: Errors in its console, exceptions, and what the content security policy stopped.
        requests: The addresses that it asked for.
    """

    page: Page
    faults: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


class Pages:
    """Opens pages in one browser, and finds out afterwards whether they had faults."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._contexts: list[BrowserContext] = []
        self.watched: list[Watched] = []
        self.expected_faults = False
        """Whether the test makes requests fail, which the browser's console tells."""

    def open(
        self,
        port: int | None,
        where: str = "",
        *,
        token: str | None = TOKEN,
        script: str = "",
        **options: Any,
    ) -> Page:
        """Open the page of a dashboard and wait until it shows something.

        Args:
            port: Of the dashboard.
            where: The part of the address from ``#`` on.
            token: None: without one.
            script: Runs before the page's own.
            options: Of the browser context, such as ``locale`` or ``viewport``.
        """
        context = self._browser.new_context(**{"locale": "en-US", "reduced_motion": "reduce", **options})
        self._contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        if script:
            page.add_init_script(script)
        self._watch(page)
        origin = f"http://localhost:{port}/"
        if token is not None:
            page.goto(f"{origin}?token={token}")
        page.goto(origin + where)
        page.wait_for_selector("main h1", state="attached")
        return page

    def close(self) -> list[str]:
        """Close all; gives their faults."""
        for context in self._contexts:
            context.close()
        return [] if self.expected_faults else [fault for watched in self.watched for fault in watched.faults]

    def _watch(self, page: Page) -> None:
        watched = Watched(page)
        self.watched.append(watched)
        page.on("pageerror", lambda error: watched.faults.append(str(error)))
        page.on(
            "console",
            lambda message: message.type in ("error", "warning") and watched.faults.append(message.text),
        )
        page.on("request", lambda request: watched.requests.append(request.url))


@dataclass
class Stage:
    """Real frps, real frpc, tunnels with traffic, and a dashboard."""

    server: FRPServer
    client: FRPClient
    dashboard: MonitoringDashboard
    service: int
    tcp: Tunnel
    web: Tunnel

    @property
    def port(self) -> int | None:
        """Of the dashboard."""
        return self.dashboard.port


@contextmanager
def stage() -> Iterator[Stage]:
    """Run it all on loopback; one visitor stays connected all the time."""
    with (
        web_service() as service,
        FRPServer(vhost_http_port=0, allow_ports=[PORTS], dashboard_port=0) as server,
        FRPClient(
            "localhost",
            server.bind_port,
            auth_token=server.auth_token,
            server_dashboard=server.dashboard_url,
        ) as client,
    ):
        tcp = client.expose_tcp(service, name="web-tcp", meter="relay")
        web = client.expose_path(service, "/hello", name="web-path")
        dashboard = MonitoringDashboard(client, token=TOKEN)
        dashboard.start(0)
        try:
            with visitors(tcp, web):
                yield Stage(server, client, dashboard, service, tcp, web)
        finally:
            dashboard.stop()


class Passage:
    """A way to a port that can be stopped up: connections stay open, and nothing comes through any more."""

    def __init__(self, port: int, at: int = 0) -> None:
        self._to = port
        self._open = threading.Event()
        self._open.set()
        self._ended = threading.Event()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", at))
        self.port = self._listener.getsockname()[1]
        self._threads = [self._start(self._accept)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._ended.set()
        self._open.set()
        for each in [self._listener, *self._sockets]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        for thread in self._threads:
            thread.join(5)

    def stop_up(self) -> None:
        """Let nothing through."""
        self._open.clear()

    def clear(self) -> None:
        """Let everything through again."""
        self._open.set()

    def _start(self, target: Callable[..., None], *arguments: Any) -> threading.Thread:
        thread = threading.Thread(target=target, args=arguments, name="frp-wrapper-test-passage", daemon=True)
        thread.start()
        return thread

    def _accept(self) -> None:
        with suppress(OSError):
            while not self._ended.is_set():
                inside = self._listener.accept()[0]
                outside = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [inside, outside]
                self._threads += [
                    self._start(self._copy, inside, outside),
                    self._start(self._copy, outside, inside),
                ]

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._open.wait()
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)
