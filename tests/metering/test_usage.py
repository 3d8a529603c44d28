"""Days: what a tunnel has moved by the calendar, in memory and in a file that several processes share."""

from __future__ import annotations

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path

import pytest

from frp_wrapper.errors import ConfigError
from frp_wrapper.metering import usage_file
from frp_wrapper.metering.connection import Counts
from frp_wrapper.metering.usage import Traffic, UsageBook


class Calendar:
    """A day that a test sets."""

    def __init__(self, day: str) -> None:
        self.day = date.fromisoformat(day)

    def __call__(self) -> date:
        return self.day


def book(
    path: Path | None = None, day: str = "2026-03-31", server: str = "s:7000"
) -> tuple[UsageBook, Calendar]:
    """Give a book and its calendar."""
    calendar = Calendar(day)
    return UsageBook(server, path, calendar), calendar


def test_today_and_this_month() -> None:
    """Totals become days; the month is the calendar's, and a new day begins with nothing."""
    days, calendar = book()
    page = days.page("web")
    assert page.usage().today == Traffic()
    assert page.usage().since is None
    page.note(Counts(100, 10, 1, 0))
    calendar.day = date(2026, 4, 1)
    page.note(Counts(100, 10, 1, 0))
    assert page.usage().today == page.usage().this_month == Traffic()
    page.note(Counts(105, 10, 2, 1))
    calendar.day = date(2026, 4, 2)
    page.note(Counts(106, 20, 2, 1))
    usage = page.usage()
    assert (usage.today, usage.this_month) == (Traffic(1, 10, 0, 0), Traffic(6, 10, 1, 1))
    assert list(usage.days) == [date(2026, 3, 31), date(2026, 4, 1), date(2026, 4, 2)]
    assert usage.since == date(2026, 3, 31)


def test_totals_that_begin_anew() -> None:
    """A smaller total is that of a tunnel which was made anew: all of it is new."""
    days, _ = book()
    page = days.page("web")
    page.note(Counts(100, 0, 0, 0))
    page.note(Counts(30, 0, 0, 0))
    assert page.usage().today.bytes_sent == 130


def test_the_file_outlives_the_book(tmp_path: Path) -> None:
    """What was written is there again, for each server apart, and only for this user to read."""
    path = tmp_path / "new" / "usage.json"
    for _ in range(2):
        for server in ("s:7000", "t:7000"):
            days, _ = book(path, server=server)
            days.page("web").note(Counts(10, 1, 1, 0))
            days.flush()
    assert book(path)[0].usage("web").today == Traffic(20, 2, 2, 0)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(json.loads(path.read_text())["servers"]) == ["s:7000", "t:7000"]


def test_several_books_on_one_file(tmp_path: Path) -> None:
    """Writers at the same time lose nothing of each other, and see each other's days after a flush."""
    path = tmp_path / "usage.json"

    def work(_: int) -> UsageBook:
        days, _calendar = book(path)
        for _ in range(20):
            days.add("web", Traffic(1, 0, 1, 0))
            days.flush()
        return days

    with ThreadPoolExecutor(4) as pool:
        books = list(pool.map(work, range(4)))
    books[0].add("web", Traffic(0, 0, 0, 0))
    books[0].flush()
    assert books[0].usage("web").today == Traffic(80, 0, 80, 0)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"servers": 1}', '{"servers": {"s": {"web": {"tomorrow": [1, 2, 3, 4]}}}}', "\xff",
                '{"servers": {"s": {"web": {"2026-01-01": [1]}}}}', '{"servers": {"s": {"web": {"2026-01-01": "1234"}}', "[" * 100_000],
)  # fmt: skip
def test_a_file_that_is_none(tmp_path: Path, content: str) -> None:
    """What is no file of days is refused with its name, and is not touched."""
    path = tmp_path / "usage.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ConfigError, match=r"file of days .*usage\.json"):
        book(path)
    assert path.read_bytes() == content.encode("latin-1")


def test_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    """What cannot be written is counted as a failure, and is written the next time that it can be."""
    folder = tmp_path / "folder"
    days, _ = book(folder / "usage.json")
    folder.write_text("in the way")
    days.add("web", Traffic(5))
    days.flush()
    assert (days.failures, days.usage("web").today.bytes_sent) == (1, 5)
    folder.unlink()
    days.flush()
    assert book(folder / "usage.json")[0].usage("web").today.bytes_sent == 5


def test_a_lock_that_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that stands still with the lock in its hand delays nobody for ever."""
    import fcntl

    monkeypatch.setattr(usage_file, "_TRIES", 2)
    days, _ = book(tmp_path / "usage.json")
    days.add("web", Traffic(5))
    held = os.open(tmp_path / "usage.json.lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(held, fcntl.LOCK_EX)
    days.flush()
    assert days.failures == 1
    os.close(held)
    days.flush()
    assert (days.failures, days.usage("web").today.bytes_sent) == (1, 5)


def test_servers_come_and_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days of servers that nobody uses any more go from the file too, and there are no more servers than the bound."""
    monkeypatch.setattr(usage_file, "MOST_SERVERS", 3)
    path = tmp_path / "usage.json"
    for number, day in enumerate(("2026-01-01", "2026-06-01", "2026-06-02", "2026-06-03", "2026-06-04")):
        days, _ = book(path, day, f"s:{number}")
        days.add("web", Traffic(1))
        days.flush()
    assert sorted(server for server, tunnels in usage_file.read(path).items() if tunnels) == [
        "s:2",
        "s:3",
        "s:4",
    ]
    assert len(usage_file.read(path)) == 3


@pytest.mark.parametrize("kept", [True, False])
def test_bounds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: bool) -> None:
    """Days are kept for two months, and so many tunnels; those that were idle the longest are forgotten, and counted."""
    monkeypatch.setattr(usage_file, "MOST_TUNNELS", 3)
    monkeypatch.setattr("frp_wrapper.metering.usage.MOST_TUNNELS", 3)
    days, calendar = book(tmp_path / "usage.json" if kept else None, "2026-01-01")
    for number in range(100):
        days.add("web", Traffic(1))
        days.flush()
        calendar.day = date(2026, 1, 1) + timedelta(number)
    assert 60 <= len(days.usage("web").days) <= 63
    for name in "abc":
        calendar.day += timedelta(1)
        days.add(name, Traffic(1))
        days.flush()
    assert (days.usage("web").today, days.usage("web").days) == (Traffic(), {})
    assert (days.forgotten, days.usage("c").today.bytes_sent) == (1, 1)
