"""Take the pictures of the dashboard: real frps, real frpc, real traffic. ``python docs/images/dashboard.py [SECONDS]``.

Needs Chromium, and the ``dev`` extra. SECONDS is how long traffic flows before (70: a minute of curves).
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import sys
import time
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from frp_wrapper import FRPClient, FRPServer, MonitoringDashboard
from frp_wrapper.cli.demo import visitors, web_service

FOLDER = Path(__file__).parent
PORTS = "20000-60000"
PICTURES = (
    ("dashboard-light", "", {"viewport": {"width": 1280, "height": 620}, "color_scheme": "light"}),
    (
        "dashboard-dark",
        "#/tunnels/shop",
        {"viewport": {"width": 1280, "height": 1010}, "color_scheme": "dark"},
    ),
    (
        "dashboard-phone",
        "",
        {"viewport": {"width": 360, "height": 760}, "color_scheme": "light", "device_scale_factor": 2},
    ),
)


def main() -> None:
    """Bring everything up, wait, and take the pictures."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 70.0
    with (
        web_service() as service,
        FRPServer(vhost_http_port=0, allow_ports=[PORTS]) as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
        contextlib.ExitStack() as traffic,
    ):
        shop = client.expose_tcp(service, name="shop", meter="relay")
        docs = client.expose_path(service, "/docs", name="docs")
        api = client.expose_path(service, "/api", name="api", meter="relay")
        for name in ("grafana", "mqtt", "ssh"):
            tunnel = client.expose_tcp(service, name=name, meter="relay" if name == "mqtt" else "passive")
            traffic.enter_context(socket.create_connection((tunnel.public_host, tunnel.public_port)))
        client.expose_tcp(_nobody_listens(), name="old-blog")
        for visited in ((shop, docs), (docs,), (api, shop)):
            traffic.enter_context(visitors(*visited))
        dashboard = MonitoringDashboard(client)
        dashboard.start(0)
        try:
            time.sleep(seconds)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                for name, where, options in PICTURES:
                    _take(browser, str(dashboard.url), FOLDER / f"{name}.png", where, options)
                browser.close()
        finally:
            dashboard.stop()


def _nobody_listens() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def _take(browser: Browser, url: str, file: Path, where: str, options: dict[str, object]) -> None:
    context = browser.new_context(locale="en-US", **options)  # type: ignore[arg-type]  # as Playwright wants them
    page = context.new_page()
    page.goto(url)
    page.evaluate("where => (location.hash = where)", where)
    page.wait_for_timeout(4000)
    page.screenshot(path=file)
    print(f"{file.name}: {file.stat().st_size / 1000:.0f} kB")
    context.close()


if __name__ == "__main__":
    main()
