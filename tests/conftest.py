"""Fixtures for everybody: real frp programs, and a check that no test leaves a process or thread behind."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import end_all, require_no_thread_of_ours

os.environ.setdefault("FRP_WRAPPER_INSTALL", "go")


@pytest.fixture(scope="session")
def frpc_path() -> Path:
    """The frpc of the default version, built from the Go module where it is not there yet."""
    from frp_wrapper.frp.binary import find

    return find("frpc")


@pytest.fixture(scope="session")
def frps_path() -> Path:
    """The frps of the default version."""
    from frp_wrapper.frp.binary import find

    return find("frps")


@pytest.fixture(autouse=True)
def a_state_of_its_own(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what commands remember from one run to the next out of the home of who runs the tests."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.getbasetemp() / "state"))


@pytest.fixture(autouse=True)
def structlog_as_it_was() -> Iterator[None]:
    """Undo a test's configuration of structlog; its own ``capture_logs`` leaves it marked as configured."""
    yield
    if "structlog" in sys.modules:
        sys.modules["structlog"].reset_defaults()


@pytest.fixture(autouse=True)
def no_process_left() -> Iterator[None]:
    """End what a test has started, also when it failed."""
    yield
    end_all()


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    """Fail a test after which a thread of ours still runs."""
    before = set(threading.enumerate())
    yield
    require_no_thread_of_ours(but=before)
