"""Where records go once `configure_logging` was called: to the console for people, to a file for programs."""

from __future__ import annotations

import json
import os
import re
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from frp_wrapper.monitoring.log_console import Console
from frp_wrapper.monitoring.log_fields import cleaned, cleaned_text, rewritten, rewritten_text
from frp_wrapper.monitoring.log_file import RotatingFile
from frp_wrapper.monitoring.log_fold import Folding, Record
from frp_wrapper.monitoring.log_gather import Gathering

__all__ = ["LogOutput"]

_CALM = frozenset(("debug", "info"))
"""Levels of records that may wait until others come along, for 50 ms at most."""
_STEERING = re.compile(r"[\x80-\x9f\u2028-\u202e\u2066-\u2069]")
"""What JSON lets through and a terminal, or a program that splits lines in Unicode's way, would act upon."""


def _dump() -> Callable[[Any], bytes]:
    try:
        import orjson  # noqa: PLC0415 - an extra
    except ImportError:
        encode = json.JSONEncoder(
            ensure_ascii=False, check_circular=False, allow_nan=False, separators=(",", ":")
        ).encode
        return lambda value: encode(value).encode()
    return orjson.dumps


class LogOutput:
    """Writes records; safe for several threads, from signal handlers and `__del__`, and over a fork.

    Args:
        level: Records below this number of the standard library are dropped.
        console: Whether people read along on stderr.
        file: Where JSON lines go; None: nowhere.
    """

    def __init__(self, level: int, *, console: bool, file: RotatingFile | None) -> None:
        self.level = level
        self._console = Console() if console else None
        self._file = file
        self._dump = _dump()
        self._lock = threading.RLock()  # a signal handler may log while this thread is writing
        self._lines = Gathering(file, self._lock) if file is not None else None
        self._folding = Folding()
        self._second = 0
        self._begin = self._end = 0.0
        self._day_and_time = ""
        self._stamp = ""
        self._head = b""
        _outputs.add(self)
        _watch_forks()

    @property
    def lost(self) -> int:
        """Lines that the file or the console could not take."""
        file, console = self._file, self._console
        return (file.lost if file is not None else 0) + (console.lost if console is not None else 0)

    def write(self, level: str, name: str, event: str, fields: Mapping[str, Any]) -> None:
        """Take a record; one that repeats a recent one is counted, and told as ``repeated`` later."""
        event = cleaned_text(event)
        fields = cleaned(fields)  # outside the lock: what is in them may be anybody's classes
        body = self._body(level, name, event, fields)
        record = (level, name, event, fields)
        with self._lock:
            now = time.time()
            stands_for = self._folding.take(body, record, now)
            if self._folding.ended:
                self._tell(now)
            if stands_for:
                self._emit(body, record, stands_for if stands_for > 1 else 0, now, now)

    def flush(self) -> None:
        """Tell what has been counted, and write what waits."""
        with self._lock:
            now = time.time()
            self._folding.end_all()
            self._tell(now)
            if self._lines is not None:
                self._lines.flush(now)

    def close(self) -> None:
        """Tell what has been counted, write what waits, and close the file."""
        self.flush()
        if self._file is not None and self._lines is not None:
            self._lines.close()
            with self._lock:
                self._lines.flush(time.time())  # another thread may have come in between
                self._file.close()

    def after_fork(self) -> None:
        """Leave to the parent, in a child, what it has counted and not written, and a lock that a thread of it may hold."""
        self._lock = threading.RLock()
        self._folding = Folding()
        if self._file is not None and self._lines is not None:
            self._lines.after_fork(self._lock)
            self._file.after_fork()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _tell(self, now: float) -> None:
        ended, self._folding.ended = self._folding.ended, []
        for repeats in ended:
            self._emit(repeats.key, repeats.record, repeats.count, repeats.last, now)

    def _emit(self, body: bytes, record: Record, repeated: int, at: float, now: float) -> None:
        if not self._begin <= at < self._end:
            self._set_time(int(at * 1000))
        if self._lines is not None:
            if repeated:
                body = b'%b,"repeated":%d}' % (body[:-1], repeated)
            self._lines.write(self._head + body[1:] + b"\n", now, urgent=record[0] not in _CALM)
        if self._console is not None:
            self._console.print(self._stamp, record, repeated)

    def _set_time(self, millisecond: int) -> None:
        """Make the time as it is written; it stays the same for a millisecond, and most of it for a second."""
        self._begin, self._end = millisecond / 1000, (millisecond + 1) / 1000
        second, part = divmod(millisecond, 1000)
        if second != self._second:
            self._second = second
            self._day_and_time = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        self._stamp = f"{self._day_and_time}.{part:03}+00:00"
        self._head = f'{{"timestamp":"{self._stamp}",'.encode()

    def _body(self, level: str, name: str, event: str, fields: Mapping[str, Any]) -> bytes:
        """Give the record as JSON, but for the time."""
        try:
            body = self._dump({"level": level, "logger": name, "event": event, **fields})
        except (
            TypeError,
            ValueError,
        ):  # a large number, or half a character: too rare to be looked for each time
            names = {"level": level, "logger": rewritten_text(name), "event": rewritten_text(event)}
            body = self._dump(names | rewritten(fields))
        return body if body.isascii() else _STEERING.sub(_escape, body.decode()).encode()


_outputs: weakref.WeakSet[LogOutput] = weakref.WeakSet()


@cache
def _watch_forks() -> None:
    os.register_at_fork(after_in_child=_after_fork)


def _after_fork() -> None:
    for output in list(_outputs):
        output.after_fork()


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"


def open_output(
    level: int,
    *,
    console: bool,
    json_file: str | Path | None,
    max_bytes: int,
    max_age: float,
    keep_bytes: int,
    keep_age: float,
) -> LogOutput:
    """Make an output; see `frp_wrapper.monitoring.logger.configure_logging`."""
    file = None
    if json_file is not None:
        file = RotatingFile(Path(json_file), max_bytes, max_age, keep_bytes, keep_age)
    return LogOutput(level, console=console, file=file)
