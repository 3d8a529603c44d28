"""The ring of frpc's lines."""

from __future__ import annotations

import threading
import time

import pytest

from frp_wrapper.monitoring.log_mask import mask_secret
from frp_wrapper.monitoring.log_ring import LogRing
from tests.monitoring.dashboards import record


def messages(ring: LogRing, **options: object) -> list[str]:
    """Give the texts of lines."""
    return [line.message for line in ring.lines(**options)]  # type: ignore[arg-type]


def test_the_oldest_go_and_are_counted() -> None:
    """A full ring keeps the newest, says how many fell out, and ids go on."""
    ring = LogRing(limit=3)
    for number in range(5):
        ring.add(record("detail", f"{number}"))
    assert messages(ring) == ["2", "3", "4"]
    assert (ring.dropped, ring.last_id, ring.lines()[0].id) == (2, 5, 3)


def test_lines_of_single_connections_push_nothing_out() -> None:
    """However many debug lines come, what is worth reading stays; both are read in the order in which they came."""
    ring = LogRing(limit=10, chatty_limit=3)
    ring.add(record("login", "logged in"))
    for number in range(1000):
        ring.add(record("connection_opened", f"debug {number}", "debug", "web"))
    ring.add(record("tunnel_error", "refused", "error", "web"))
    assert messages(ring) == ["logged in", "debug 997", "debug 998", "debug 999", "refused"]
    assert messages(ring, level="info") == ["logged in", "refused"]
    assert ring.dropped == 997


def test_what_is_meant() -> None:
    """By level, tunnel, text in any case, and between two ids; the newest of those."""
    ring = LogRing(prefix="me.")
    for number in range(6):
        ring.add(
            record(
                "detail",
                f"Line {number}",
                "warning" if number % 2 else "info",
                "me.web" if number < 4 else None,
            )
        )
    assert messages(ring, level="warning") == ["Line 1", "Line 3", "Line 5"]
    assert messages(ring, tunnel_id="web", level="warning") == ["Line 1", "Line 3"]
    assert messages(ring, text="lINE 2") == ["Line 2"]
    assert messages(ring, before=4, limit=2) == ["Line 1", "Line 2"]
    assert messages(ring, after=4) == ["Line 4", "Line 5"]
    with pytest.raises(ValueError, match="loud"):
        ring.lines(level="loud")


def test_secrets_are_masked_and_long_lines_cut() -> None:
    """What `mask_secret` knows is not kept, and a line has at most 2,000 characters."""
    mask_secret("a-secret-of-the-ring")
    ring = LogRing()
    ring.add(record("detail", "token a-secret-of-the-ring " + "x" * 5000))
    (line,) = ring.lines()
    assert line.message.startswith("token *** xxx")
    assert len(line.message) <= 2000


def test_several_threads() -> None:
    """Lines may be read while they come."""
    ring = LogRing(limit=100)
    done = threading.Event()

    def write() -> None:
        while not done.is_set():
            ring.add(record("detail", "x", "debug"))
            ring.add(record("detail", "y"))

    writers = [threading.Thread(target=write) for _ in range(3)]
    for writer in writers:
        writer.start()
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        ids = [line.id for line in ring.lines(limit=1000)]
        assert ids == sorted(set(ids))
        assert ring.dropped >= 0
    done.set()
    for writer in writers:
        writer.join()
