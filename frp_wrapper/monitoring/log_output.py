"""Where records go once `configure_logging` was called: to the console for people, to a file for programs."""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from frp_wrapper.monitoring.log_file import RotatingFile

__all__ = ["LogOutput", "mask_secret", "without_secrets"]

_SECRET_KEY = re.compile(r"token|passw|secret|authorization|cookie|api_?key|credential", re.IGNORECASE)
_MASK = "***"
_SHORTEST_SECRET = 6
"""A shorter text would be masked where it is a word like any other."""
_MAX_SECRETS = 256
_FOLD_WINDOW = 5.0
"""Seconds for which a record that repeats the one before is counted instead of written."""
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}

_secrets: dict[str, None] = {}


def mask_secret(secret: str) -> None:
    """Have a text that must not be seen replaced wherever it stands in a record."""
    if len(secret) >= _SHORTEST_SECRET:
        _secrets[secret] = None
        if len(_secrets) > _MAX_SECRETS:
            del _secrets[next(iter(_secrets))]


def _dump() -> Callable[[Any], bytes]:
    try:
        import orjson  # noqa: PLC0415 - an extra
    except ImportError:
        return lambda value: json.dumps(value, default=str, ensure_ascii=False).encode()
    options = orjson.OPT_NON_STR_KEYS
    return lambda value: orjson.dumps(value, default=str, option=options)


class LogOutput:
    """Writes records; safe for several threads.

    Args:
        level: Records below this number of the standard library are dropped.
        console: Whether people read along on stderr.
        file: Where JSON lines go; None: nowhere.
    """

    def __init__(self, level: int, *, console: bool, file: RotatingFile | None) -> None:
        self.level = level
        self._console = console
        self._colours = console and sys.stderr.isatty()
        self._file = file
        self._dump = _dump()
        self._lock = threading.Lock()
        self._last: tuple[str, str, str, Mapping[str, Any]] | None = None
        self._last_at = 0.0
        self._repeats = 0

    def write(self, level: str, name: str, event: str, fields: Mapping[str, Any]) -> None:
        """Take a record; one that repeats the last is counted, and told as ``repeated`` with the next."""
        now = time.time()
        record = (level, name, event, fields)
        with self._lock:
            if record == self._last and now - self._last_at < _FOLD_WINDOW:
                self._repeats += 1
                return
            self._flush_repeats(now)
            self._last, self._last_at = record, now
            self._emit(level, name, event, fields, now)

    def flush(self) -> None:
        """Tell what has been counted and not told."""
        with self._lock:
            self._flush_repeats(time.time())

    def close(self) -> None:
        """Tell what has been counted, and close the file."""
        self.flush()
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _flush_repeats(self, now: float) -> None:
        if self._repeats and self._last is not None:
            repeats, self._repeats = self._repeats, 0
            level, name, event, fields = self._last
            self._emit(level, name, event, {**fields, "repeated": repeats}, now)

    def _emit(self, level: str, name: str, event: str, fields: Mapping[str, Any], now: float) -> None:
        masked = {key: _MASK if _SECRET_KEY.search(key) else value for key, value in fields.items()}
        stamp = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds")
        if self._file is not None:
            self._file.write(self._line(stamp, level, name, event, masked))
        if self._console:
            print(without_secrets(self._text(stamp, level, name, event, masked)), file=sys.stderr)

    def _line(self, stamp: str, level: str, name: str, event: str, fields: Mapping[str, Any]) -> bytes:
        record = {"timestamp": stamp, "level": level, "logger": name, "event": event, **fields}
        try:
            line = self._dump(record)
        except (TypeError, ValueError):  # what cannot be written as JSON is written as it prints
            line = self._dump({key: str(value) for key, value in record.items()})
        for secret in _secrets:
            raw = json.dumps(secret, ensure_ascii=False)[1:-1].encode()
            if raw in line:
                line = line.replace(raw, _MASK.encode())
        return line + b"\n"

    def _text(self, stamp: str, level: str, name: str, event: str, fields: Mapping[str, Any]) -> str:
        shown = " ".join(f"{key}={value!r}" for key, value in fields.items())
        word = f"\x1b[{_COLOURS.get(level, '0')}m{level:8}\x1b[0m" if self._colours else f"{level:8}"
        return f"{stamp[11:23]} {word} {name}: {event} {shown}".rstrip()


def without_secrets(text: str) -> str:
    """Give a text with everything masked that `mask_secret` was told of."""
    for secret in list(_secrets):
        if secret in text:
            text = text.replace(secret, _MASK)
    return text


def open_output(
    level: int,
    *,
    console: bool,
    json_file: str | Path | None,
    max_bytes: int,
    max_age: float,
    keep_bytes: int,
) -> LogOutput:
    """Make an output; see `frp_wrapper.monitoring.logger.configure_logging`."""
    file = RotatingFile(Path(json_file), max_bytes, max_age, keep_bytes) if json_file is not None else None
    return LogOutput(level, console=console, file=file)
