"""The pure modules of the page, as the browser runs them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page

from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.rules import built_in_rules
from frp_wrapper.monitoring.web_api.assets import WEB
from frp_wrapper.tunnel import TunnelStatus
from tests.web.pages import Pages

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def page(browser: Any, still: int) -> Any:
    """One page for all of these: they change nothing."""
    pages = Pages(browser)
    yield pages.open(still)
    assert pages.close() == []


def run(page: Page, module: str, expression: str, *arguments: Any) -> Any:
    """Evaluate an expression in which ``m`` is a module of the page and ``a`` the arguments."""
    script = f"async (a) => {{ const m = await import('/assets/app/{module}.js'); return {expression}; }}"
    return page.evaluate(script, list(arguments))


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        ("bytes(0)", "0 B"),
        ("bytes(999)", "999 B"),
        ("bytes(1000)", "1 kB"),
        ("bytes(1530)", "1.53 kB"),
        ("bytes(15_300_000)", "15.3 MB"),
        ("bytes(153e9)", "153 GB"),
        ("bytes(999_600)", "1.00 MB"),
        ("byteRate(376_000)", "376 kB/s"),
        ("byteRate(0.4)", "0 B/s"),
        ("count(1234567)", "1,234,567"),
        ("perSecond(0.25)", "0.25/s"),
        ("percent(99.954)", "99.95%"),
        ("latency(0)", "0 ms"),
        ("latency(0.00035)", "350 µs"),
        ("latency(0.0012)", "1.20 ms"),
        ("latency(2.5)", "2.50 s"),
        ("duration(0.4)", "0s"),
        ("duration(192)", "3m 12s"),
        ("duration(7500)", "2h 5m"),
        ("duration(349_200)", "4d 1h"),
        ("span(0.5)", "500 ms"),
        ("span(192)", "3m 12s"),
        ("ago(1000, 1900)", "now"),
        ("ago(0, 12_000)", "12s ago"),
        ("ago(0, 7_300_000)", "2h ago"),
        ("duration(192, 'ko')", "3분 12초"),
        ("ago(0, 12_000, 'ko')", "12초 전"),
        ("clock(Date.UTC(2026, 0, 2, 3, 4, 5), 'en').length", 8),
    ],
)
def test_numbers_are_shown_as_people_read_them(page: Page, call: str, shown: Any) -> None:
    """Every number has three digits that count, and its unit."""
    assert run(page, "format", f"m.{call}") == shown


@pytest.mark.parametrize(
    "name", ["bytes", "byteRate", "count", "perSecond", "percent", "latency", "duration", "span"]
)
def test_what_is_not_known_is_not_zero(page: Page, name: str) -> None:
    """No format makes a number of what is none."""
    assert run(page, "format", f"[null, undefined, NaN].map((each) => m.{name}(each))") == [None, None, None]


TUNNELS = [
    {"id": "web", "type": "tcp", "status": "online", "local_port": 3000, "local_host": "127.0.0.1",
     "url": "tcp://localhost:41000", "since": 0, "meter": "relay",
     "metrics": {"error_count": 3, "open_connections": 2, "source": "relay", "latency": {"p95": 0.3},
                 "rates": {"10": {"bytes_sent": 2e6, "bytes_received": 100}}}},
    {"id": "old-web", "type": "tcpmux", "status": "offline", "local_port": 3001, "local_host": "127.0.0.1",
     "url": None, "since": None, "meter": "passive",
     "metrics": {"error_count": 0, "open_connections": 0, "source": "passive",
                 "rates": {"10": {"bytes_sent": 0, "bytes_received": 0}}}},
    {"id": "my api", "type": "http", "status": "error", "local_port": 8000, "local_host": "10.0.0.5",
     "url": "http://example.org/api", "since": None, "meter": "off", "error": {"reason": "domain_in_use"},
     "metrics": {"error_count": None, "source": None}},
]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "web old-web my-api"),
        ("web", "web old-web"),
        ("WEB", "web old-web"),
        ('"my api"', "my-api"),
        ("-web", "my-api"),
        ('-"my api"', "web old-web"),
        ("web -old", "web"),
        ("status:online", "web"),
        ("status:off", "old-web"),
        ("status:offline,error", "old-web my-api"),
        ("-status:online", "old-web my-api"),
        ("status!=online", "old-web my-api"),
        ("type:tcp", "web"),
        ("type:tcpm", "old-web"),
        ("name:web", "web old-web"),
        ("name=web", "web"),
        ('name:"my a"', "my-api"),
        ("local:10.0", "my-api"),
        ("reason:domain", "my-api"),
        ("meter:relay", "web"),
        ("errors>0", "web"),
        ("errors=0", "old-web"),
        ("errors:3", "web"),
        ("errors>=0", "web old-web"),
        ("-errors>0", "old-web my-api"),
        ("rate>1M", "web"),
        ("rate>1.9MB/s", "web"),
        ("rate<1k", "old-web"),
        ("latency>250ms", "web"),
        ("latency>1s", ""),
        ("up>1m", "web"),
        ("http://example", "my-api"),
        ("status:online errors>0 open>1 rate>1M web -old", "web"),
    ],
)
def test_filter_finds(page: Page, text: str, found: str) -> None:
    """Terms must all hold; words match anywhere, fields as their kind says, and what is not known satisfies no comparison."""
    script = """async ([text, tunnels]) => {
        const { parseFilter } = await import('/assets/app/filter.js');
        const { tunnelFields, tunnelText } = await import('/assets/app/tunnel-fields.js');
        const filter = parseFilter(text, tunnelFields(100_000), tunnelText);
        return tunnels.filter(filter.matches).map((each) => each.id.replace(' ', '-')).join(' ');
    }"""
    assert page.evaluate(script, [text, TUNNELS]) == found


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("colour:red", ["no_field"]),
        ("status:", ["no_value"]),
        ("errors>many", ["bad_number"]),
        ("rate>1X", ["bad_number"]),
        ("status>online", ["not_a_number_field"]),
        ("web http://x errors>0", []),
        ("-", []),
        ('"', []),
    ],
)
def test_filter_says_what_is_wrong(page: Page, text: str, codes: list[str]) -> None:
    """A term that cannot be understood is named with the reason."""
    script = """async (text) => {
        const { parseFilter } = await import('/assets/app/filter.js');
        const { tunnelFields, tunnelText } = await import('/assets/app/tunnel-fields.js');
        return parseFilter(text, tunnelFields(0), tunnelText).problems.map((each) => each.code);
    }"""
    assert page.evaluate(script, text) == codes


def test_unknown_values_sort_last_both_ways(page: Page) -> None:
    """A tunnel without a number stands below those that have one, up or down."""
    script = """async (tunnels) => {
        const { comparison, tunnelFields } = await import('/assets/app/tunnel-fields.js');
        const { errors } = tunnelFields(0);
        return [false, true].map((down) => [...tunnels].sort(comparison(errors, down)).map((each) => each.id));
    }"""
    assert page.evaluate(script, TUNNELS) == [["old-web", "web", "my api"], ["web", "old-web", "my api"]]


def test_typed_letters_find_the_nearest(page: Page) -> None:
    """The whole word beats its letters in order, and the start of words beats their middle."""
    texts = ["Level", "svc-0909", "svc-0099", "Events"]
    assert run(page, "filter", "m.fuzzyBest('svc99', a[0], (text) => text, 9)", texts) == [
        "svc-0099",
        "svc-0909",
    ]
    assert run(page, "filter", "m.fuzzyBest('ev', a[0], (text) => text, 1)", texts) == ["Events"]


@pytest.mark.parametrize(
    ("top", "whole", "ticks"),
    [
        (0, True, [0, 1]),
        (3, True, [0, 1, 2, 3]),
        (420, True, [0, 200, 400, 600]),
        (0.0009, False, [0, 0.0005, 0.001]),
    ],
)
def test_values_on_the_axis_are_round(page: Page, top: float, whole: bool, ticks: list[float]) -> None:
    """Steps are 1, 2 or 5 times a power of ten, and whole for what is counted."""
    assert run(page, "curves", "m.valueTicks(a[0], a[1])", top, whole) == pytest.approx(ticks)


def test_times_on_the_axis_are_round_in_local_time(page: Page) -> None:
    """Hours begin where the reader's clock says so, in zones of half hours too."""
    answer = run(page, "curves", "m.timeTicks([0, 14400], 5, 19800)")
    assert answer == {"step": 3600, "ticks": [1800, 5400, 9000, 12600]}


def test_gaps_stay_gaps(page: Page) -> None:
    """What is not known breaks the line, and the area below it."""
    line = run(page, "curves", "m.linePath([0, 1, 2, 3], [1, null, 3, 4], (x) => x, (y) => y)")
    assert line == "M0.0 1.0h.01M2.0 3.0h.01L3.0 4.0"
    area = run(page, "curves", "m.areaPath(a[0], 9)", line)
    assert area == "M0.0 9L0.0 1.0L0.0 9zM2.0 9L2.0 3.0L3.0 4.0L3.0 9z"


def test_missed_seconds_are_unknown_until_they_are_filled(page: Page) -> None:
    """Seconds without a frame are no zeros, and history fills only what was not seen."""
    script = """async () => {
        const { Sparks } = await import('/assets/app/curves.js');
        const sparks = new Sparks();
        sparks.push(100, [['web', 1]]);
        sparks.push(103, [['web', 4]]);
        const before = sparks.values('web').slice(-5).map((each) => Number.isNaN(each) ? null : each);
        sparks.fill('web', [99, 100, 101, 102, 103], [9, 9, 2, null, 9]);
        return [before, sparks.values('web').slice(-5).map((each) => Number.isNaN(each) ? null : each)];
    }"""
    assert page.evaluate(script) == [[None, 1, None, None, 4], [9, 1, 2, None, 4]]


def test_the_pointer_finds_the_nearest_time(page: Page) -> None:
    """The nearer of two neighbours, and the ends beyond the ends."""
    found = run(page, "curves", "[-5, 14, 16, 99].map((time) => m.nearest([0, 10, 20], time))")
    assert found == [0, 1, 2, 2]
    assert run(page, "curves", "m.nearest([], 3)") is None


# -- the languages


@pytest.fixture(scope="module")
def texts(page: Page) -> dict[str, dict[str, Any]]:
    """The texts of each language by key."""
    return {name: run(page, f"lang/{name}", "m.default") for name in ("en", "ko")}


def test_languages_have_the_same_keys(texts: dict[str, dict[str, Any]]) -> None:
    """Nothing is said in one language only."""
    assert set(texts["en"]) == set(texts["ko"])


def test_languages_put_in_the_same_values(texts: dict[str, dict[str, Any]]) -> None:
    """A text and its translation have the same values in braces, and no form is missing."""
    for key, english in texts["en"].items():
        korean = texts["ko"][key]
        assert isinstance(english, dict) == isinstance(korean, dict), key
        assert _values(english) == _values(korean), key
        if isinstance(english, dict):
            assert (set(english), set(korean)) == ({"one", "other"}, {"other"}), key


def _values(text: Any) -> set[str]:
    return set(re.findall(r"\{(\w+)\}", json.dumps(text)))


def test_every_text_that_the_page_asks_for_is_there(texts: dict[str, dict[str, Any]]) -> None:
    """No key in the code is misspelt."""
    asked = set()
    for file in WEB.glob("app/**/*.js"):
        code = file.read_text()
        asked |= set(re.findall(r'\bt\(\s*"([^"]+)"', code)) | set(re.findall(r'why="([^"]+)"', code))
        asked |= {key for pair in re.findall(r'\bt\([^()]*\? "([\w.]+)" : "([\w.]+)"', code) for key in pair}
    assert asked - set(texts["en"]) == set()
    assert len(asked) > 100


def test_words_of_the_product_are_translated(texts: dict[str, dict[str, Any]]) -> None:
    """Every event, status and built-in rule has its name on the page."""
    words = {f"event.{kind.value}" for kind in EventType} | {
        f"status.{status.value}" for status in TunnelStatus
    }
    words |= {f"rule.{rule.name}" for rule in built_in_rules()}
    assert words - set(texts["en"]) == set()
