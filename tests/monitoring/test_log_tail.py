"""A log file is read on while its program writes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from frp_wrapper.monitoring.log_tail import LogTail

SIZE = 1000


@contextmanager
def tail(log: Path, history: int | None = 0) -> Iterator[LogTail]:
    """Give a reader of a log that is closed at the end."""
    with closing(LogTail(log, history=history)) as reader:
        yield reader


def test_what_is_new(tmp_path: Path) -> None:
    """What was there before is passed over; what comes is given once."""
    log = tmp_path / "log"
    log.write_text("old\n")
    with tail(log) as reader:
        assert reader.read(SIZE) == b""
        log.write_text("old\nnew\n")
        assert (reader.read(SIZE), reader.read(SIZE)) == (b"new\n", b"")


def test_history_in_whole_lines(tmp_path: Path) -> None:
    """Of a log's past, whole lines are read that fit into so many bytes; None: all."""
    log = tmp_path / "log"
    log.write_text("first\nsecond\nthird\n")
    for history, text in (
        (6, b"third\n"),
        (12, b"third\n"),
        (13, b"second\nthird\n"),
        (None, log.read_bytes()),
    ):
        with tail(log, history) as reader:
            assert reader.read(SIZE) == text, history


def test_a_log_that_is_not_there_yet(tmp_path: Path) -> None:
    """A log may begin after its reader, and is then read from its start."""
    with tail(tmp_path / "log") as reader:
        assert reader.read(SIZE) == b""
        (tmp_path / "log").write_text("first\n")
        assert reader.read(SIZE) == b"first\n"


def test_a_log_that_is_set_aside(tmp_path: Path) -> None:
    """The old file is read to its end, a line without an end gets one, and the new file follows."""
    log = tmp_path / "log"
    log.write_text("")
    with tail(log) as reader, log.open("a") as old:
        log.rename(tmp_path / "log.1")
        assert reader.read(SIZE) == b""  # there is no new one yet
        old.write("late, and cut o")
        old.flush()
        log.write_text("new\n")
        assert reader.read(SIZE) == b"late, and cut o"
        assert reader.read(SIZE) == b"\nnew\n"


def test_a_log_that_is_emptied(tmp_path: Path) -> None:
    """A file that was cut, as logrotate's copytruncate does, is read from its start."""
    log = tmp_path / "log"
    log.write_text("one\ntwo\n")
    with tail(log, None) as reader:
        assert reader.read(SIZE) == b"one\ntwo\n"
        log.write_text("three\n")
        assert reader.read(SIZE) == b"three\n"
