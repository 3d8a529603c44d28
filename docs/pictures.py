"""Takes the pictures of the dashboard in ``docs/images``, of real tunnels with traffic: ``python docs/pictures.py``.

Needs the extra ``dev`` and Chromium.
"""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from frp_wrapper import FRPClient, FRPServer, MonitoringDashboard
from frp_wrapper.cli.demo import visitors, web_service

IMAGES = Path(__file__).with_name("images")
WATCHED = 75
"""Seconds of traffic before the pictures are taken, so that curves have a minute to show."""
VIEWS = (
    ("dashboard-light", "", {"width": 1200, "height": 560}, "light"),
    ("dashboard-dark", "#/tunnels/web-tcp", {"width": 1200, "height": 900}, "dark"),
    ("dashboard-phone", "", {"width": 390, "height": 780}, "light"),
)


@contextmanager
def tunnels() -> Iterator[FRPClient]:
    """Give a client with four tunnels: two are visited, one is idle, and one leads to nothing."""
    with (
        web_service() as port,
        FRPServer(vhost_http_port=0) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        socket.socket() as nobody,
    ):
        nobody.bind(("127.0.0.1", 0))
        tcp = client.expose_tcp(port, name="web-tcp", meter="relay")
        path = client.expose_path(port, "/hello", name="web-path")
        client.expose_tcp(port, name="files")
        client.expose_tcp(nobody.getsockname()[1], name="database")
        with visitors(tcp, path):
            yield client


def take(browser: Browser, url: str) -> None:
    """Take all pictures."""
    for name, place, size, scheme in VIEWS:
        page = browser.new_page(viewport=size, color_scheme=scheme, locale="en-US")
        page.goto(url)
        page.wait_for_timeout(1000)
        page.goto(page.url.partition("#")[0] + place)
        page.wait_for_timeout(2500)
        page.screenshot(path=IMAGES / f"{name}.png")
        page.close()


def main() -> None:
    """Run the tunnels, wait, take the pictures."""
    IMAGES.mkdir(exist_ok=True)
    with tunnels() as client, sync_playwright() as playwright:
        dashboard = MonitoringDashboard(client)
        dashboard.start(port=0)
        time.sleep(WATCHED)
        with playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        ) as browser:
            take(browser, dashboard.url or "")
        dashboard.stop()


if __name__ == "__main__":
    main()
