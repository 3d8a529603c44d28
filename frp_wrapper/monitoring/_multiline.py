"""Joins the lines of one record: stack traces of crashes, and errors of configurations, go over several lines."""

from __future__ import annotations

import re
from typing import Any, Protocol

from frp_wrapper.monitoring._log_layout import clean
from frp_wrapper.monitoring._log_prefix import peel

__all__ = ["LogReader", "is_crash"]

Record = dict[str, Any]

_MAX_PREFIX = 1000
"""Characters of a line that are looked at for what its collector put before it."""

_MOST_TEXT = 16384
"""Characters of a record that are kept; its further lines are only counted."""
_CRASH = (
    "panic: ",
    "fatal error: ",
    "goroutine ",
    "runtime: ",
    "runtime stack:",
    "[signal ",
    "futexwakeup addr=",
)
_FIRST_OF_CRASH = ("panic: ", "fatal error: ")
_STACK = re.compile(
    r"\s*+$|goroutine \d|created by |panic\(|runtime[./: ]|exit status \d|\[signal |\[originating from|\t?panic: "
    r"|\.\.\.additional frames|r\w{1,6} {1,8}0x|\s++\S{1,400}\.(?:go|s):\d{1,6}(?: |$)"
)
_FRP_STACK = re.compile(
    r"(?:created by )?\s*+(?:[\w./-]{0,200}fatedier/|frp/(?:models|utils)/)\S|\s++\S{1,400}\.go:\d{1,6} \+0x[0-9a-f]"
)
_VALIDATION = re.compile(
    r"\s*+(?:proxy|visitor|plugin) \S|.{0,200}\b(?:invalid|not support|should|must|required|unknown)\b"
)
_GOES_ON = frozenset({"panic", "config_error", "config_reload_failed", "admin_error"})
"""Types whose text can have more lines than the first."""

_ATTENTION = _GOES_ON | {"login_failed"}


def is_crash(line: str) -> bool:
    """Say whether a line of no layout comes from a Go program that crashes, or from a stack trace of frp."""
    return line.startswith(_CRASH) or _FRP_STACK.match(line) is not None


def _is_stack(line: str) -> bool:
    """Say whether a line can stand in the stack trace of a Go program."""
    return _STACK.match(line) is not None or is_crash(line) or _is_frame(line.rstrip())


def _is_frame(line: str) -> bool:
    """Say whether a line is a call such as ``main.(*Service).run(0xc000, 0x1)``."""
    function, _, arguments = line[:2000].rpartition("(")
    return "." in function and " " not in function and (arguments.endswith(")") or len(line) > 2000)


class _Joiner:
    """Holds a record back while lines that belong to it may follow.

    Args:
        owns_lines: Whether all lines come from one frp program, so that one without a header can only belong to what
            stands before it.
    """

    def __init__(self, owns_lines: bool) -> None:
        self._owns_lines = owns_lines
        self._held: Record | None = None
        self._lines: list[str] = []
        self._size = 0
        self._count = 0
        self._failed_login: Record | None = None
        self.others = 0
        """Lines that are nobody's."""

    def may_pass(self, records: list[Record]) -> bool:
        """Say whether the only record of a line neither ends nor begins anything."""
        if self._held is not None or self._failed_login is not None or len(records) != 1:
            return False
        return records[0]["type"] not in _ATTENTION

    def add(self, line: str, records: list[Record]) -> list[Record]:
        """Take a line and its records; give the records that are complete now.

        Args:
            line: Without its header and what stands before it.
            records: What the line holds, none when it is not frp's by itself.
        """
        if self._held is not None and self._belongs(line, records):
            self._append(line)
            return []
        complete = self.flush()
        records = self._with_repetition(line, records)
        if not records:
            self.others += bool(line.strip())
            return complete
        *others, last = records
        if last["type"] in _GOES_ON:
            self._hold(last)
            return complete + others
        self._failed_login = last if last["type"] == "login_failed" and "error" in last else None
        return complete + records

    def flush(self) -> list[Record]:
        """Give what is held back."""
        held, self._held = self._held, None
        if held is None:
            return []
        if self._count > 1:
            self._finish(held)
        return [held]

    def _hold(self, record: Record) -> None:
        self._held, self._failed_login = record, None
        self._lines, self._size, self._count = [record["message"]], len(record["message"]), 1

    def _append(self, line: str) -> None:
        self._count += 1
        if self._size + len(line) < _MOST_TEXT:
            self._lines.append(line)
            self._size += len(line) + 1

    def _finish(self, record: Record) -> None:
        while not self._lines[-1].strip():
            self._lines.pop()
            self._count -= 1
        record["message"] = "\n".join(self._lines)
        record["lines"] = self._count
        if record["type"] != "panic" and "error" in record:
            record["error"] = "\n".join([record["error"], *self._lines[1:]])

    def _belongs(self, line: str, records: list[Record]) -> bool:
        assert self._held is not None
        if len(records) > 1:
            return False
        record = records[0] if records else None
        if self._held["type"] == "panic":
            return self._is_of_panic(line, record)
        if record is None:
            return self._held["caller"] is not None and _VALIDATION.match(line) is not None
        if record["caller"] is not None:
            return False
        return record["type"] == "detail" or (
            record["type"] == "config_error" and self._held["caller"] is not None
        )

    def _is_of_panic(self, line: str, record: Record | None) -> bool:
        assert self._held is not None
        if record is not None and record["timestamp"] is not None:
            return record["type"] == "panic" and str(record["message"]).startswith("goroutine ")
        if line.startswith(_FIRST_OF_CRASH):
            return not any(text.startswith("goroutine ") for text in self._lines)
        return self._owns_lines or _is_stack(line)

    def _with_repetition(self, line: str, records: list[Record]) -> list[Record]:
        """Up to v0.52 frpc prints the error of a login that failed once more, as its last words."""
        failed, self._failed_login = self._failed_login, None
        if failed is None or line.strip() != failed["error"].strip() or (records and records[0]["timestamp"]):
            return records
        nothing = dict.fromkeys(("timestamp", "time", "caller", "run_id"))
        return [failed | nothing | {"type": "login_failed_exit", "level": "error", "message": line}]


class LineParser(Protocol):
    """Gives the records of a line, each line for itself."""

    program: str | None

    def records(self, line: str) -> list[Record]:
        """Give every record of a line."""


class LogReader:
    """Turns lines into records, where one record may go over several lines and one line may hold several records.

    Args:
        parser: Reads the lines.
    """

    def __init__(self, parser: LineParser) -> None:
        self._parser = parser
        self._joiner = _Joiner(owns_lines=parser.program is not None)

    @property
    def others(self) -> int:
        """How many lines were not frp's."""
        return self._joiner.others

    def feed(self, line: str) -> list[Record]:
        """Give the records that are complete with this line."""
        records = self._parser.records(line)
        if self._joiner.may_pass(records):
            return records
        return self._joiner.add(_bare(line) if not records else records[0]["message"], records)

    def flush(self) -> list[Record]:
        """Give the record that could have gone on, once there are no more lines."""
        return self._joiner.flush()


def _bare(line: str) -> str:
    """Take the prefixes of collectors off a line that is not frp's by itself."""
    line = clean(line)
    return line[peel(line[:_MAX_PREFIX]).end :]
