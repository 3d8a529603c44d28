"""How live the page is: it never shows old numbers as new, and says what happens."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Page, expect

from frp_wrapper import FRPClient, FRPServer, MonitoringDashboard
from frp_wrapper.frp.frpc import free_port
from frp_wrapper.monitoring.events import EventType
from tests.monitoring.dashboards import TOKEN, StandIn, running
from tests.web.pages import PORTS, Pages, Passage, Serve

pytestmark = pytest.mark.browser
expect.set_options(timeout=15_000)
HIDE = """(state) => {
    Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
    document.dispatchEvent(new Event('visibilitychange'));
}"""


def ticks(page: Page) -> int:
    """How many frames with numbers the page has had."""
    return int(page.evaluate("import('/assets/app/store.js').then((store) => store.tick.value)"))


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something outside the page."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it has not happened"
        time.sleep(0.01)


@contextmanager
def server_at(port: int, token: str) -> Iterator[FRPServer]:
    """Run frps at a port that is known before."""
    with FRPServer(port, auth_token=token, allow_ports=[PORTS]) as server:
        yield server


@pytest.mark.integration
def test_a_killed_server_is_seen_with_the_next_numbers(
    pages: Pages, record_property: Callable[[str, object], None]
) -> None:
    """When frps is killed, the page says so at most two frames after the client knows, also aloud; and when it is back."""
    port, token = free_port(), "a-token-of-the-server"
    with server_at(port, token) as server:
        client = FRPClient("localhost", port, auth_token=token)
        client.connect()
        dashboard = MonitoringDashboard(client, token=TOKEN)
        dashboard.start(0)
        client.expose_tcp(free_port(), name="web")
        page = pages.open(dashboard.port)
        expect(page.locator(".live")).to_have_text("Live")
        assert server.pid is not None
        os.kill(server.pid, signal.SIGKILL)
        server.stop()
    try:
        wait_until(lambda: not client.is_connected())
        known, before = time.monotonic(), ticks(page)
        expect(page.locator(".tiles")).to_contain_text("disconnected")
        record_property("seconds from the client's knowing to the page", round(time.monotonic() - known, 2))
        assert ticks(page) - before <= 2
        expect(page.locator("#spoken")).to_contain_text("The client has lost its server")
        expect(page.locator("tbody .status")).to_have_text(re.compile("offline|error"))
        with server_at(port, token):
            wait_until(client.is_connected)
            expect(page.locator(".tiles")).to_contain_text(re.compile(r"(?<!dis)connected"))
            dashboard.stop()
    finally:
        dashboard.stop()
        client.close()


def test_a_stopped_dashboard_is_told_from_a_lost_one(pages: Pages) -> None:
    """It says goodbye; the page tells so, dims its numbers with their age, and is live again without a reload."""
    pages.expected_faults = True  # the requests while it is away
    client = StandIn("web")
    port = free_port()
    dashboard = MonitoringDashboard(client, token=TOKEN)
    dashboard.start(port)
    try:
        page = pages.open(port)
        expect(page.locator(".live")).to_have_text("Live")
        dashboard.stop()
        banner = page.locator(".banner")
        expect(banner).to_contain_text("Dashboard stopped")
        expect(banner).to_contain_text(re.compile(r"The numbers are \d+s old"))
        expect(banner).to_contain_text(re.compile(r"Next try in \d+ second"))
        expect(page.locator("main")).to_have_class("stale")
        frozen = page.locator("td.col-up").inner_text()
        page.wait_for_timeout(1500)
        assert page.locator("td.col-up").inner_text() == frozen
        dashboard.start(port)
        page.get_by_role("button", name="Try now").click()
        expect(page.locator(".live")).to_have_text("Live")
        expect(banner).to_have_count(0)
        expect(page.locator("main")).not_to_have_class("stale")
    finally:
        dashboard.stop()


def test_a_connection_that_is_cut_is_tried_again(pages: Pages) -> None:
    """Without a goodbye the connection is lost; the page counts down and comes back by itself."""
    pages.expected_faults = True
    with running(StandIn("web")) as dashboard:
        assert dashboard.port is not None
        with Passage(dashboard.port) as passage:
            page = pages.open(passage.port)
            expect(page.locator(".live")).to_have_text("Live")
        expect(page.locator(".banner")).to_contain_text("Connection lost")
        expect(page.locator(".countdown")).to_have_text(re.compile(r"Next try in \d+ second"))
        with Passage(dashboard.port, passage.port):
            expect(page.locator(".live")).to_have_text("Live")


def test_silence_is_a_lost_connection(pages: Pages) -> None:
    """A connection that stands, and brings nothing for three seconds, is not live."""
    pages.expected_faults = True  # its connections are cut at the end
    with running(StandIn("web")) as dashboard:
        assert dashboard.port is not None
        with Passage(dashboard.port) as passage:
            page = pages.open(passage.port)
            expect(page.locator(".live")).to_have_text("Live")
            passage.stop_up()
            expect(page.locator(".banner")).to_contain_text(re.compile("Connection lost|Connecting"))
            expect(page.locator("main")).to_have_class("stale")
            passage.clear()
            expect(page.locator(".live")).to_have_text("Live")


def test_a_hidden_page_gives_its_connection_back(pages: Pages, serve: Serve) -> None:
    """The stream is closed while nobody looks, and goes on after the last event that was seen."""
    client = StandIn("web")
    dashboard = serve(client)
    page = pages.open(dashboard.port)
    expect(page.locator(".live")).to_have_text("Live")
    client.notify(EventType.TUNNEL_ERROR, {"tunnel_id": "web", "reason": "seen", "error": "before"})
    page.evaluate("location.hash = '#/events'")
    expect(page.locator(".event").first).to_contain_text("before")
    with page.expect_event("requestfailed", lambda request: "api/stream" in request.url):
        page.evaluate(HIDE, "hidden")
    expect(page.locator(".live")).to_have_text("Asleep")
    client.notify(EventType.TUNNEL_ERROR, {"tunnel_id": "web", "reason": "missed", "error": "meanwhile"})
    with page.expect_request(re.compile(r"api/stream.*last_id=\w+")):
        page.evaluate(HIDE, "visible")
    expect(page.locator(".event").first).to_contain_text("meanwhile")
    expect(page.locator(".event")).to_have_count(len(client.events.history()))


def test_without_the_token_there_is_the_open_overview(pages: Pages) -> None:
    """The open numbers are shown and go on; the rest asks for the token, and a wrong one is told."""
    pages.expected_faults = True  # 401 is what is meant
    client = StandIn("web", "api")
    client.meters["web"].metrics.bytes_sent = 1_500_000
    client.meters["web"].metrics.bytes_received = 0
    with running(client) as dashboard:
        page = pages.open(dashboard.port, token=None)
        expect(page.locator("tbody tr")).to_have_count(2)
        expect(page.locator("tbody a")).to_have_count(0)
        expect(page.locator("tbody")).to_contain_text("1.50 MB")
        expect(page.get_by_role("navigation")).to_have_count(0)
        client.meters["web"].metrics.bytes_sent = 2_500_000
        expect(page.locator("tbody")).to_contain_text("2.50 MB")
        page.get_by_label("Paste the token").fill("not-the-token-at-all")
        page.locator("#token").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("not the token")
        page.get_by_label("Paste the token").fill(TOKEN)
        page.locator("#token").press("Enter")
        expect(page.get_by_role("navigation")).to_be_visible()
        expect(page.locator("tbody a")).to_have_count(2)
        assert TOKEN not in page.url
