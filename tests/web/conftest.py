"""A browser for the tests of the page. They are skipped only where there is none."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.monitoring.dashboards import StandIn, running
from tests.processes import require_no_thread_of_ours
from tests.web.pages import CHROMIUM_ARGS, Pages, Serve, Stage, find_chromium, stage

playwright_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")


@pytest.fixture(scope="module", autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a module after which a thread of ours still runs; its tests share a dashboard, which starts some late."""
    before = set(threading.enumerate())
    yield
    require_no_thread_of_ours(but=before)


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    """Chromium, one for all tests of a process."""
    program = find_chromium()
    if program is None:
        pytest.skip("no Chromium found: install chromium, or name one by FRP_WRAPPER_TEST_CHROMIUM")
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=CHROMIUM_ARGS)
        yield browser
        browser.close()


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Runs dashboards until after the pages are closed: one that goes first is a fault of its own."""
    with ExitStack() as running_ones:
        yield lambda client, **options: running_ones.enter_context(running(client, **options))


@pytest.fixture
def pages(browser: object, serve: Serve) -> Iterator[Pages]:
    """Opens pages; a page that had an error, or broke the content security policy, fails the test."""
    pages = Pages(browser)  # type: ignore[arg-type]
    yield pages
    assert pages.close() == []


@pytest.fixture(scope="module")
def real() -> Iterator[Stage]:
    """Real frp with traffic."""
    with stage() as everything:
        yield everything


@pytest.fixture(scope="module")
def still() -> Iterator[int]:
    """The port of a dashboard over two tunnels whose numbers do not move: for what needs no traffic."""
    client = StandIn("web", "old-api")
    client.server_api = object()
    with running(client) as dashboard:
        assert dashboard.port is not None
        yield dashboard.port
