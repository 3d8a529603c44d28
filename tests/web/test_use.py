"""How the page is used: by keyboard, in Korean, in the dark, on a phone, with hostile names and with a thousand tunnels."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from frp_wrapper.errors import AuthenticationError
from frp_wrapper.metering.server_counters import ServerCounters
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.monitor import TunnelMonitor
from frp_wrapper.monitoring.registry import Registry
from frp_wrapper.monitoring.rules import Rule
from tests.monitoring.dashboards import StandIn, record, running
from tests.web.pages import Pages, Serve

pytestmark = pytest.mark.browser
expect.set_options(timeout=15_000)
VIEWS = ("#/", "#/tunnels/web", "#/events", "#/logs?level=debug")
HOSTILE = '<img src=x onerror="document.title=1"><b>bold'


# -- the keyboard


def test_keys_go_through_the_page(pages: Pages, still: int) -> None:
    """The letter g and another one change the view, / is the filter, Esc empties and leaves it."""
    page = pages.open(still)
    for key, title in (("e", "Events"), ("l", "Logs"), ("o", "Tunnels")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        expect(page).to_have_title(f"{title} · frp_wrapper")
    page.keyboard.press("/")
    field = page.get_by_label("Filter tunnels")
    expect(field).to_be_focused()
    page.keyboard.type("old")
    expect(page.locator(".tunnel-name")).to_have_text(["old-api"])
    page.keyboard.press("Escape")
    expect(page.locator(".tunnel-name")).to_have_count(2)
    page.keyboard.press("Escape")
    expect(field).not_to_be_focused()


def test_j_and_k_walk_and_enter_opens(pages: Pages, still: int) -> None:
    """The focus goes from tunnel to tunnel, and Enter follows its link."""
    page = pages.open(still)
    page.keyboard.press("g")
    page.keyboard.press("t")
    names = page.locator(".tunnel-name")
    expect(names.nth(0)).to_be_focused()
    page.keyboard.press("j")
    expect(names.nth(1)).to_be_focused()
    page.keyboard.press("k")
    expect(names.nth(0)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("old-api")
    expect(page.locator("h1")).to_be_focused()


def test_help_opens_and_gives_the_focus_back(pages: Pages, still: int) -> None:
    """? shows the keys; Esc closes, and the focus is where it was."""
    page = pages.open(still)
    page.locator(".tunnel-name").first.focus()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.locator(".tunnel-name").first).to_be_focused()


def test_single_keys_can_be_switched_off(pages: Pages, still: int) -> None:
    """Then a letter does nothing, on this page and after a reload; Ctrl+K still does."""
    page = pages.open(still)
    page.keyboard.press("?")
    page.get_by_label("Single keys are shortcuts").uncheck()
    page.keyboard.press("Escape")
    page.reload()
    expect(page.locator(".tunnel-name")).to_have_count(2)
    page.keyboard.press("?")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("dialog", name="Find and do")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(1)


def test_the_palette_finds_and_does(pages: Pages, still: int) -> None:
    """A few letters and Enter go to a tunnel; an action that asks first shows its own dialog."""
    page = pages.open(still)
    page.keyboard.press("Control+k")
    page.keyboard.type("oldapi")
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_have_text("old-api")
    page.keyboard.press("Control+k")
    page.keyboard.type("close tunnel web")
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog", name="Close web?")).to_be_visible()
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    page.keyboard.press("ArrowDown")
    chosen = page.get_by_role("option", selected=True)
    expect(chosen).to_have_count(1)
    field = page.get_by_role("combobox")
    expect(field).to_have_attribute("aria-activedescendant", str(chosen.get_attribute("id")))


# -- languages, colours, sizes


def test_korean_comes_from_the_browser(pages: Pages, still: int) -> None:
    """A Korean browser gets Korean, and the page says so to screen readers."""
    page = pages.open(still, locale="ko-KR")
    expect(page.get_by_role("navigation")).to_contain_text("터널")
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    expect(page.locator("tbody .status").first).to_have_text("온라인")


def test_the_language_can_be_switched_and_stays(pages: Pages, still: int) -> None:
    """A choice goes before the browser's language, also after a reload."""
    page = pages.open(still)
    page.get_by_role("button", name="한국어").click()
    expect(page.get_by_role("button", name="터널 추가")).to_be_visible()
    page.reload()
    expect(page.get_by_role("button", name="터널 추가")).to_be_visible()


def test_colours_follow_the_system_and_the_switch(pages: Pages, still: int) -> None:
    """Dark comes from the system; the switch goes before it, and stays."""
    page = pages.open(still, color_scheme="dark")
    colour = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(colour)
    page.get_by_role("button", name=re.compile("^Colours")).click()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")
    assert page.evaluate(colour) != dark
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "light")


@pytest.mark.parametrize("where", VIEWS)
@pytest.mark.parametrize("language", ["en-US", "ko-KR"])
def test_a_phone_needs_no_sideways_scrolling(pages: Pages, still: int, where: str, language: str) -> None:
    """At 360 pixels nothing is wider than the screen."""
    page = pages.open(still, where, viewport={"width": 360, "height": 740}, locale=language)
    expect(page.locator("main > *").nth(1)).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_reduced_motion_is_respected(pages: Pages, still: int) -> None:
    """Whoever wants no motion gets none."""
    page = pages.open(still, reduced_motion="reduce")
    moving = "[...document.querySelectorAll('*')].filter((e) => parseFloat(getComputedStyle(e).transitionDuration) > 0).length"
    assert page.evaluate(moving) == 0


# -- what others write is text


def test_hostile_text_stays_text(pages: Pages, serve: Serve) -> None:
    """Names, visitors, errors, events and log lines from outside are shown as they are, and run nothing."""
    pages.expected_faults = True  # the server refuses to look up the history of such a name
    client = StandIn(HOSTILE)
    client.log_lines.add(record("detail", f"line {HOSTILE}", tunnel_id=HOSTILE))
    client.notify(EventType.TUNNEL_ERROR, {"tunnel_id": HOSTILE, "error": HOSTILE, "reason": HOSTILE})
    dashboard = serve(client)
    page = pages.open(dashboard.port)
    for where, place in (
        ("#/", ".tunnel-name"),
        ("#/events", ".event"),
        ("#/logs", ".line"),
    ):
        page.evaluate("where => (location.hash = where)", where)
        expect(page.locator(place).first).to_contain_text(HOSTILE)
    page.evaluate("location.hash = '#/'")
    page.locator(".tunnel-name").click()
    expect(page.locator("h1")).to_have_text(HOSTILE)
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").filter(has_text=HOSTILE).first).to_be_visible()
    assert page.locator("img, main b").count() == 0
    assert page.title() == f"{HOSTILE} · frp_wrapper"


def test_unknown_numbers_are_dashes(pages: Pages, serve: Serve) -> None:
    """A tunnel that nobody measures shows no zero, and says why; sums say what they leave out."""
    client = StandIn("web", "dark")
    metrics = client.meters["dark"].metrics
    metrics.source = metrics.bytes_sent = metrics.bytes_received = None
    metrics.connection_count = metrics.error_count = metrics.open_connections = None
    dashboard = serve(client)
    page = pages.open(dashboard.port)
    row = page.locator("tbody tr", has_text="dark")
    for column in ("open", "errors", "total"):
        expect(row.locator(f".col-{column}")).to_have_text("\N{EN DASH}not measured")
    expect(page.locator(".tile", has_text="Open connections")).to_contain_text(
        "without 1 tunnel that is not measured"
    )


def test_why_frps_tells_no_numbers(pages: Pages, serve: Serve) -> None:
    """Without access to frps's dashboard there is nothing of it; where it does not answer, the reason is shown, and no zero."""
    client = StandIn("web")
    dashboard = serve(client)
    page = pages.open(dashboard.port, "#/tunnels/web")
    card = page.locator("section[aria-labelledby=counters-title]")
    expect(page.locator("#errors-title")).to_be_visible()
    assert card.count() == 0
    client.server_api = object()
    client.server_counters_error = AuthenticationError(
        "it refuses the password", reason="server_dashboard_auth", hint="Use another."
    )
    expect(card).to_contain_text("it refuses the password Use another.")
    expect(card.locator("tbody tr").first.locator("td").last).to_have_text(
        "\N{EN DASH}not told by frps (yet)"
    )


def test_no_tunnels_says_what_to_do(pages: Pages, serve: Serve) -> None:
    """An empty dashboard shows the line of Python and the command that make a tunnel."""
    dashboard = serve(StandIn())
    page = pages.open(dashboard.port)
    expect(page.locator(".empty")).to_contain_text("client.expose_tcp(3000)")
    expect(page.locator(".empty")).to_contain_text("frpw expose tcp 3000 --server localhost")


# -- alerts


def test_an_alert_is_silenced_and_heard_again(pages: Pages, serve: Serve) -> None:
    """A firing alert can be kept quiet for a quarter of an hour, and the quiet be ended."""
    client = StandIn("web")
    registry = Registry()
    registry.add(client)  # type: ignore[arg-type]  # has what a monitor reads
    monitor = TunnelMonitor(
        0.1, registry=registry, rules=[Rule(name="busy", value="open_connections", limit=-1)]
    )
    monitor.start_monitoring()
    try:
        dashboard = serve(client, monitor=monitor)
        page = pages.open(dashboard.port, "#/events")
        alert = page.locator(".alert", has_text="busy")
        expect(alert).to_contain_text("firing")
        expect(alert).to_contain_text("value 0, limit -1")
        alert.get_by_role("combobox").select_option(label="15 minutes")
        expect(alert).to_contain_text("silenced")
        expect(page.locator(".silences")).to_contain_text(re.compile(r"silent for another 1[45]m"))
        page.locator(".silences").get_by_role("button", name="End").click()
        expect(alert).not_to_contain_text("silenced")
    finally:
        monitor.stop_monitoring()


# -- accessibility


def faults_of(page: Page) -> list[str]:
    """What axe finds: the rule, and where."""
    results = Axe().run(page)
    return [
        f"{fault['id']}: {[node['target'] for node in fault['nodes']]}"
        for fault in results.response["violations"]
    ]


@pytest.fixture(scope="module")
def busy() -> Any:
    """A dashboard with something in every part of every view."""
    client = StandIn("web", "api")
    client.log_lines.add(record("detail", "a line", "error", tunnel_id="web"))
    client.log_lines.add(record("detail", "another line", "warning"))
    client.notify(EventType.TUNNEL_ERROR, {"tunnel_id": "web", "error": "it failed", "reason": "port_in_use"})
    client.server_api = object()
    client.server_counters_error = AuthenticationError("refused", reason="server_dashboard_auth", hint="Try.")
    client.counted_by_frps["web"] = ServerCounters(9, 7, 1, "11-25 15:41:15", None, datetime.now(UTC))
    with running(client) as dashboard:
        yield dashboard.port


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("where", VIEWS)
def test_axe_finds_nothing(pages: Pages, busy: int, where: str, scheme: str) -> None:
    """Every view, in both colours, is free of faults that axe knows."""
    page = pages.open(busy, where, color_scheme=scheme)
    expect(page.locator(".live")).to_have_text("Live")
    page.wait_for_timeout(1200)  # charts need two frames
    assert faults_of(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("dialog", ["palette", "help", "filter", "add"])
def test_axe_finds_nothing_in_dialogs(pages: Pages, busy: int, dialog: str, scheme: str) -> None:
    """The same for what opens above a view."""
    page = pages.open(busy, color_scheme=scheme)
    expect(page.locator(".live")).to_have_text("Live")
    openers: dict[str, Callable[[], object]] = {
        "palette": lambda: page.keyboard.press("Control+k"),
        "help": lambda: page.keyboard.press("?"),
        "filter": lambda: page.get_by_label("The filter language").click(),
        "add": lambda: page.get_by_role("button", name="Add tunnel").click(),
    }
    openers[dialog]()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert faults_of(page) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_when_not_live_or_without_token(pages: Pages, serve: Serve, scheme: str) -> None:
    """Dimmed numbers can still be read, and so can the open overview and a filter that finds nothing."""
    pages.expected_faults = True
    dashboard = serve(StandIn("web"))
    closed = pages.open(dashboard.port, token=None, color_scheme=scheme)
    expect(closed.locator(".token")).to_be_visible()
    assert faults_of(closed) == []
    page = pages.open(dashboard.port, "#/?q=web", color_scheme=scheme)
    expect(page.locator(".live")).to_have_text("Live")
    nothing = pages.open(dashboard.port, "#/?q=errors%3Enone+nowhere", color_scheme=scheme)
    expect(nothing.locator(".problems")).to_be_visible()
    assert faults_of(nothing) == []
    dashboard.stop()
    expect(page.locator("main")).to_have_class("stale")
    assert faults_of(page) == []


# -- a thousand tunnels


def test_a_thousand_tunnels_are_few_rows(
    pages: Pages, serve: Serve, record_property: Callable[[str, object], None]
) -> None:
    """Only the rows on the screen are in the document, wherever the reader scrolls; a filter finds among all."""
    observe = (
        "window.long = []; new PerformanceObserver((list) => { for (const entry of list.getEntries()) "
        "long.push(Math.round(entry.duration)); }).observe({ type: 'longtask', buffered: true });"
    )
    client = StandIn(*(f"svc-{number:04}" for number in range(1000)))
    dashboard = serve(client)
    page = pages.open(dashboard.port, script=observe)
    rows = page.locator("tbody tr:not(.space)")
    expect(page.locator(".toolbar-count")).to_have_text("1,000 tunnels")
    expect(page.locator("table.tunnels")).to_have_attribute("aria-rowcount", "1001")
    assert rows.count() < 60
    page.evaluate("long.length = 0")
    for _ in range(10):
        page.mouse.move(600, 500)
        page.mouse.wheel(0, 1200)
        page.wait_for_timeout(50)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    expect(page.get_by_text("svc-0999", exact=True)).to_be_visible()
    assert rows.count() < 60
    page.keyboard.press("/")
    page.keyboard.type("svc-07 status:online -svc-079")
    expect(page.locator(".toolbar-count")).to_have_text("90 of 1,000")
    record_property("long tasks in milliseconds", page.evaluate("long"))


def test_j_walks_beyond_the_rows_that_are_drawn(pages: Pages, serve: Serve) -> None:
    """The keyboard reaches rows that were not in the document when it began."""
    dashboard = serve(StandIn(*(f"svc-{number:04}" for number in range(300))))
    page = pages.open(dashboard.port)
    page.keyboard.press("g")
    page.keyboard.press("t")
    expect(page.locator(".tunnel-name").first).to_be_focused()
    for _ in range(70):
        page.keyboard.press("j")
        page.wait_for_timeout(20)  # about as fast as a key that is held down
    expect(page.get_by_text("svc-0070", exact=True)).to_be_focused()
