"""The page against real frps, real frpc and real traffic."""

from __future__ import annotations

import re
import socket

import pytest
from playwright.sync_api import Page, expect

from frp_wrapper import TunnelConfig
from tests.web.pages import Pages, Stage

pytestmark = [pytest.mark.browser, pytest.mark.integration]
expect.set_options(timeout=15_000)


def row(page: Page, name: str) -> object:
    """The row of a tunnel."""
    return page.locator("table.tunnels tbody tr", has=page.get_by_text(name, exact=True))


def test_numbers_move_while_a_connection_stays_open(pages: Pages, real: Stage) -> None:
    """The bytes of a connection are shown while it is open, and go on without a reload."""
    page = pages.open(real.port, "#/tunnels/web-tcp")
    before = {connection.opened_at for connection in real.tcp.connections()}
    sent = page.locator("section[aria-labelledby=open-title] tbody tr td:nth-child(5)").first
    expect(sent).to_have_text(re.compile(r"[kM]B"))
    first = sent.inner_text()
    expect(sent).not_to_have_text(first)
    assert before & {connection.opened_at for connection in real.tcp.connections()}, (
        "the connection was closed"
    )


def test_every_tunnel_has_its_curve(pages: Pages, real: Stage) -> None:
    """The curve of the last minute is drawn from what flows."""
    page = pages.open(real.port)
    for name in ("web-tcp", "web-path"):
        path = row(page, name).locator(".spark path")  # type: ignore[attr-defined]
        expect(path).to_have_attribute("d", re.compile(r"^M.*L.*L"))


def test_tiles_tell_how_it_is(pages: Pages, real: Stage) -> None:
    """The tiles have the real numbers: connected, all up, the round trip, bytes each way."""
    page = pages.open(real.port)
    tiles = page.locator(".tiles")
    expect(tiles).to_contain_text("connected")
    expect(tiles).to_contain_text(re.compile(r"Tunnels up\s*2 / 2"))
    expect(tiles).to_contain_text(re.compile(r"Traffic.*[kM]B/s.*B/s", re.DOTALL))
    expect(tiles).to_contain_text(re.compile(r"Round trip \d+(\.\d+)? [mµ]?s"))


@pytest.mark.parametrize(
    "column", ["status", "name", "url", "rate", "out", "in", "open", "errors", "total", "up"]
)
def test_every_column_sorts(pages: Pages, real: Stage, column: str) -> None:
    """A press on a head sorts by its column, another one turns it round, and the link says so."""
    page = pages.open(real.port)
    head = page.locator(f"th.col-{column}")
    head.get_by_role("button").click()
    expect(head).to_have_attribute("aria-sort", re.compile("ascending|descending"))
    first = head.get_attribute("aria-sort")
    head.get_by_role("button").click()
    expect(head).not_to_have_attribute("aria-sort", str(first))
    expect(page).to_have_url(re.compile(rf"sort=-?{column}|#/$"))


def test_the_order_follows_the_sort(pages: Pages, real: Stage) -> None:
    """Names stand in the order that the head shows."""
    page = pages.open(real.port, "#/?sort=name")
    names = page.locator(".tunnel-name")
    expect(names).to_have_text(["web-path", "web-tcp"])
    page.locator("th.col-name button").click()
    expect(names).to_have_text(["web-tcp", "web-path"])


def test_a_filter_is_kept_in_the_link(pages: Pages, real: Stage) -> None:
    """Rows that do not fit go away, also after a reload of the same address."""
    page = pages.open(real.port)
    page.get_by_label("Filter tunnels").fill("type:tcp web open>0 -path")
    expect(page.locator(".tunnel-name")).to_have_text(["web-tcp"])
    expect(page).to_have_url(re.compile("q=type"))
    page.reload()
    expect(page.locator(".tunnel-name")).to_have_text(["web-tcp"])
    expect(page.get_by_label("Filter tunnels")).to_have_value("type:tcp web open>0 -path")
    expect(page.locator(".toolbar-count")).to_have_text("1 of 2")


def test_charts_show_the_range_of_the_link(pages: Pages, real: Stage) -> None:
    """A range is chosen by link and by button; each chart has as many lines as it names."""
    page = pages.open(real.port, "#/tunnels/web-tcp?range=60")
    expect(page.get_by_role("radio", name="1 min")).to_be_checked()
    expect(page.locator(".chart")).to_have_count(4)
    expect(page.locator(".chart").first.locator(".chart-line > path:last-child")).to_have_count(2)
    page.get_by_role("radio", name="24 h").check()
    expect(page).to_have_url(re.compile("range=86400"))


def test_a_chart_is_a_table_too(pages: Pages, real: Stage) -> None:
    """What the curve shows can be read as rows with times and units."""
    page = pages.open(real.port, "#/tunnels/web-tcp?range=60")
    page.get_by_role("button", name="Bytes a second as a table").click()
    table = page.get_by_role("region", name="Bytes a second")
    expect(table.locator("tbody tr").nth(1)).to_have_text(re.compile(r"\d\d:\d\d:\d\d.*B/s.*B/s", re.DOTALL))


def test_dragging_zooms_all_charts(pages: Pages, real: Stage) -> None:
    """A brush over one chart shows that span in all; a double click goes back."""
    page = pages.open(real.port, "#/tunnels/web-tcp?range=60")
    drawing = page.locator(".chart-drawing svg").first
    expect(drawing).to_be_visible()
    box = drawing.bounding_box()
    assert box is not None
    y = box["y"] + 80
    page.mouse.move(box["x"] + 200, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, y, steps=4)
    page.mouse.up()
    expect(page.get_by_role("button", name="Show it all")).to_be_visible()
    labels = [
        drawing.locator("text").all_inner_texts()[-1] for drawing in page.locator(".chart-drawing").all()
    ]
    assert len(set(labels)) == 1
    page.mouse.dblclick(box["x"] + 200, y)
    expect(page.get_by_role("button", name="Show it all")).to_have_count(0)


def test_visitors_are_named(pages: Pages, real: Stage) -> None:
    """The relay's tunnel shows who is connected, who was, and who moves most."""
    page = pages.open(real.port, "#/tunnels/web-tcp")
    for title in ("open", "closed"):
        expect(page.locator(f"section[aria-labelledby={title}-title] tbody")).to_contain_text(
            re.compile(r"127\.0\.0\.1:\d+")
        )
    expect(page.locator("section[aria-labelledby=visitors-title] tbody tr")).to_have_count(1)


def test_numbers_that_nobody_measures_say_so(pages: Pages, real: Stage) -> None:
    """The latency of a tunnel without relay is a dash with its reason, not 0."""
    page = pages.open(real.port, "#/tunnels/web-path")
    fact = page.locator(".facts div", has_text="Latency")
    expect(fact.locator(".unknown").first).to_have_attribute(
        "title", 'not measured: only meter="relay" knows this'
    )
    expect(fact.locator("dd")).not_to_contain_text("0")


def test_what_frps_has_counted_stands_beside_our_numbers(pages: Pages, real: Stage) -> None:
    """The page of a tunnel shows frps's numbers and ours with their sources and ages, in both languages."""
    page = pages.open(real.port, "#/tunnels/web-tcp")
    card = page.locator("section[aria-labelledby=counters-title]")
    expect(card.locator("thead")).to_have_text(re.compile(r"Counted by\s*relay\s*frps"))
    rows = card.locator("tbody tr")
    expect(rows.filter(has_text="Sent").locator("td").first).to_have_text(re.compile(r"[kM]B"))
    expect(rows.filter(has_text="Sent").locator("td").last).to_have_text(re.compile(r"\d [kM]?B"))
    expect(rows.filter(has_text="Open now").locator("td").last).to_have_text(re.compile(r"^[1-9]"))
    expect(rows.filter(has_text="As of").locator("time")).to_have_count(2)
    expect(rows.filter(has_text="Last came").locator("td").last).to_have_text(
        re.compile(r"\d\d-\d\d \d\d:\d\d:\d\d")
    )
    page = pages.open(real.port, "#/tunnels/web-tcp", locale="ko-KR")
    card = page.locator("section[aria-labelledby=counters-title]")
    expect(card).to_contain_text("여기와 frps에서 센 값")
    expect(card.locator("tbody tr").first.locator("td").last).to_have_text(re.compile(r"\d [kM]?B"))


def test_the_log_follows_and_can_be_searched(pages: Pages, real: Stage) -> None:
    """New lines come in by themselves, a search leaves those that fit, a pause holds them back."""
    page = pages.open(real.port, "#/logs?level=debug")
    lines = page.locator(".line")
    expect(lines.first).to_be_visible()
    newest = lines.last.get_attribute("class")
    assert newest is not None
    count = lines.count()
    page.wait_for_function("n => document.querySelectorAll('.line').length > n", arg=count)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name=re.compile(r"Resume \([1-9]"))).to_be_visible()
    page.get_by_role("button", name="Resume").click()
    page.get_by_label("Search the log").fill("start proxy success")
    expect(lines).to_have_count(2)
    expect(lines.first).to_contain_text("start proxy success")


def test_scrolling_up_stops_the_following(pages: Pages, real: Stage) -> None:
    """Who reads older lines is not pulled away, and one press goes to the newest."""
    page = pages.open(real.port, "#/logs?level=debug")
    expect(page.locator(".line").nth(80)).to_be_attached()
    newest = page.get_by_role("button", name="Newest")
    for _ in range(20):  # lines that come in the moment of the first scroll may pull the page down once more
        page.locator(".lines").evaluate("box => (box.scrollTop = 0)")
        page.wait_for_timeout(100)
        if newest.count():
            break
    newest.click()
    expect(newest).to_have_count(0)
    at_end = "box => box.scrollHeight - box.scrollTop - box.clientHeight < 40"
    assert page.locator(".lines").evaluate(at_end)


def test_the_address_is_copied(pages: Pages, real: Stage) -> None:
    """The copy button puts the tunnel's address into the clipboard, and says so."""
    page = pages.open(real.port, "#/tunnels/web-tcp", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the address of web-tcp").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == real.tcp.url


def test_a_tunnel_is_added_restarted_and_closed(pages: Pages, real: Stage) -> None:
    """Each action reaches frps; closing asks first."""
    page = pages.open(real.port)
    page.get_by_role("button", name="Add tunnel").click()
    page.get_by_label("Local port").fill(str(real.service))
    page.get_by_label("Name").fill("from-page")
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    heading = page.locator(".heading")
    expect(heading).to_contain_text("from-page")
    expect(heading).to_contain_text("online")
    page.get_by_role("button", name="Restart").click()
    expect(page.locator(".toast").last).to_contain_text("from-page")
    expect(page.locator("ol.card")).to_contain_text("Tunnel online")
    page.get_by_role("button", name="Close tunnel").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel").click()
    assert "from-page" in [tunnel.id for tunnel in real.client.list_tunnels()]
    page.get_by_role("button", name="Close tunnel").click()
    dialog.get_by_role("button", name="Close tunnel").click()
    expect(page.locator(".tunnel-name")).to_have_text(["web-path", "web-tcp"])
    assert "from-page" not in [tunnel.id for tunnel in real.client.list_tunnels()]


def test_a_refused_tunnel_says_why_and_loses_nothing(pages: Pages, real: Stage) -> None:
    """What the server says stands in the dialog with what to do, and what was typed is still there."""
    pages.expected_faults = True
    page = pages.open(real.port)
    page.get_by_role("button", name="Add tunnel").click()
    page.get_by_label("Local port").fill(str(real.port))
    page.get_by_label("Name").fill("to-myself")
    page.get_by_role("dialog").get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_contain_text("dashboard")
    expect(page.get_by_label("Name")).to_have_value("to-myself")


def test_a_tunnel_without_a_service_says_what_to_do(pages: Pages, real: Stage) -> None:
    """The reason of a tunnel in error stands on its page, and the overview counts it."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tunnel = real.client.expose(TunnelConfig(name="broken", tunnel_type="tcp", local_port=port), wait=False)
    try:
        page = pages.open(real.port, "#/tunnels/broken")
        expect(page.locator(".callout.is-error")).to_contain_text("Start the local service")
        expect(page.locator(".callout.is-error")).to_contain_text("local_service_down")
    finally:
        tunnel.close()


def test_nothing_is_asked_of_others(pages: Pages, real: Stage) -> None:
    """The page, its views and its dialogs make requests to the dashboard only."""
    page = pages.open(real.port)
    for where in ("#/tunnels/web-tcp", "#/events", "#/logs", "#/"):
        page.evaluate("where => (location.hash = where)", where)
        page.wait_for_timeout(300)
    own = f"http://localhost:{real.port}/"
    assert [url for url in pages.watched[0].requests if not url.startswith(own)] == []
