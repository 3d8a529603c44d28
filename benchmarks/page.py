"""What the page costs the browser with many tunnels: real frp, real traffic.  ``python -m benchmarks.page [TUNNELS]``

Needs Chromium and the extra ``dev``. Opens 1,000 tunnels, one in twenty with a visitor, scrolls 30 screens, types a filter
and then only watches. A long task is one of 50 ms or more; the aim is none while scrolling and filtering. Then frps is
killed, and the time from the client's knowing to the page's saying is taken.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import select
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

from playwright.sync_api import CDPSession, Page, sync_playwright

from frp_wrapper import FRPClient, FRPServer, MonitoringDashboard, Tunnel, TunnelConfig
from frp_wrapper.cli.demo import web_service
from frp_wrapper.errors import TunnelError
from frp_wrapper.monitoring.web_api.assets import WEB
from tests.web.pages import CHROMIUM_ARGS, find_chromium

VISITED = 20  # one tunnel in so many
WATCH = 10.0
OBSERVE = """window.long = []; new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) long.push(Math.round(entry.duration));
}).observe({ type: 'longtask' });"""


def main() -> None:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    files = [file for file in WEB.rglob("*") if file.suffix in {".html", ".js", ".css", ".svg"}]
    print(
        f"files: {len(files)}, {sum(len(gzip.compress(file.read_bytes(), 9)) for file in files):,} B compressed"
    )
    with (
        web_service() as service,
        FRPServer(allow_ports=["20000-60000"]) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
    ):
        tunnels = [
            client.expose(TunnelConfig(name=f"svc-{n:04}", tunnel_type="tcp", local_port=service), wait=False)
            for n in range(wanted)
        ]
        for tunnel in tunnels:
            with contextlib.suppress(TunnelError):  # on a busy machine frps finds no free port for one or two
                tunnel.wait(timeout=120)
        online = [tunnel for tunnel in tunnels if tunnel.public_port is not None]
        dashboard = MonitoringDashboard(client)
        dashboard.start(0)
        with contextlib.suppress(KeyboardInterrupt), streams(online[::VISITED]):
            look(str(dashboard.url), server, client)
        dashboard.stop()


@contextlib.contextmanager
def streams(tunnels: list[Tunnel]) -> Iterator[None]:
    """A visitor of each tunnel who reads all the time."""
    sockets = [socket.create_connection((tunnel.public_host, tunnel.public_port)) for tunnel in tunnels]
    ended = threading.Event()

    def read() -> None:
        while not ended.wait(0.1):
            for readable in select.select(sockets, [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    readable.recv(1 << 16)

    for each in sockets:
        each.sendall(b"GET /stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
    thread = threading.Thread(target=read, name="frp-wrapper-bench-visitors")
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
        for each in sockets:
            each.close()


def look(url: str, server: FRPServer, client: FRPClient) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_ARGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800}, locale="en-US")
        page.add_init_script(OBSERVE)
        began = time.perf_counter()
        page.goto(url)
        page.wait_for_selector("table.tunnels tbody tr")
        print(f"load: first rows after {time.perf_counter() - began:.2f} s")
        page.wait_for_timeout(3000)
        costs = Costs(page)
        for _ in range(30):
            page.mouse.move(600, 500)
            page.mouse.wheel(0, 900)
            page.wait_for_timeout(50)
        costs.tell("scroll, 30 screens", 30, "a screen")
        page.evaluate("scrollTo(0, 0)")
        page.wait_for_timeout(500)
        costs.restart()
        page.keyboard.press("/")
        text = "svc-0 status:online errors<5 -svc-09"
        page.keyboard.type(text, delay=60)
        page.wait_for_timeout(500)
        costs.tell(f"filter, {len(text)} keys", len(text), "a key")
        page.wait_for_timeout(WATCH * 1000)
        costs.tell(f"watch, {WATCH:g} s", WATCH, "a second")
        print(f"heap: {costs.now()['JSHeapUsedSize'] / 1e6:.0f} MB; load average {os.getloadavg()[0]:.1f}")
        kill(page, server, client)
        browser.close()


class Costs:
    """What the page's thread did since it was last asked."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._session: CDPSession = page.context.new_cdp_session(page)
        self._session.send("Performance.enable")
        self.restart()

    def now(self) -> dict[str, float]:
        return {
            each["name"]: each["value"] for each in self._session.send("Performance.getMetrics")["metrics"]
        }

    def restart(self) -> None:
        self._page.evaluate("long.length = 0")
        self._before = self.now()

    def tell(self, what: str, times: float, each: str) -> None:
        now = self.now()
        spent = {
            name: (now[f"{name}Duration"] - self._before[f"{name}Duration"]) * 1000 / times
            for name in ("Script", "RecalcStyle", "Layout", "Task")
        }
        parts = ", ".join(f"{name.lower()} {value:.1f}" for name, value in spent.items())
        print(f"{what}: long tasks {self._page.evaluate('long')} ms; ms {each}: {parts}")
        self.restart()


def kill(page: Page, server: FRPServer, client: FRPClient) -> None:
    assert server.pid is not None
    os.kill(server.pid, signal.SIGKILL)
    server.stop()
    while client.is_connected():
        time.sleep(0.005)
    known = time.perf_counter()
    page.wait_for_selector(".tile.is-error .status.is-offline", timeout=30_000)
    print(f"frps killed: on the page {time.perf_counter() - known:.2f} s after the client knew")


if __name__ == "__main__":
    main()
