"""Reads what frpc and frps print, of every version, line by line or as a stream of bytes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any

from frp_wrapper.monitoring._log_layout import LEVELS, clean, header_of, names_before
from frp_wrapper.monitoring._templates import Template, catalogues

__all__ = ["OutputParser", "Record", "StreamParser"]

Record = dict[str, Any]

_MAX_LINE = 65536
"""Characters of a line that are looked at."""
_MAX_COMPACT_LINE = 2048
"""Characters of a line in the compact layout; its patterns take time that grows with the square of the length."""
_RAW_LEVELS = {
    "panic": "error",
    "config_error": "error",
    "login_failed_exit": "error",
    "admin_error": "error",
}
_PROGRAMS = {"client": "frpc", "visitor": "frpc", "health": "frpc", "server": "frps", "vhost": "frps"}
"""By the folder in the caller, where both programs print the same text."""
_CRASH = ("panic: ", "fatal error: ", "goroutine ", "runtime: ")


class OutputParser:
    """Turns a line of frpc or frps into a record; never raises, whatever the line holds.

    Args:
        program: ``frpc`` or ``frps`` when it is known whose lines these are; lines without frp's header are then
            taken as its own too.
        timezone: The zone of the program's clock, which does not print it; None: unknown, records have no ``time``.
    """

    PATTERNS: Mapping[str, re.Pattern[str]] = {
        "tunnel_connected": re.compile(r"\[(.+?)\] \[I\] \[proxy\] \[(.+?)\] proxy started"),
        "tunnel_error": re.compile(r"\[(.+?)\] \[E\] \[proxy\] \[(.+?)\] (.+)"),
        "traffic_stats": re.compile(r"\[(.+?)\] \[I\] \[proxy\] \[(.+?)\] in:(\d+) out:(\d+)"),
    }
    """A compact layout that is read besides frp's own."""

    def __init__(self, program: str | None = None, timezone: tzinfo | None = None) -> None:
        self._program = program
        self._timezone = timezone
        self._messages, self._raw_messages = catalogues()

    def parse_line(self, line: str) -> Record | None:
        """Give the record of a line, or None when frp did not write it.

        Its keys are ``type``, ``timestamp`` (as written), ``time`` (aware, or None), ``level``, ``caller``, ``run_id``,
        ``tunnel_id`` (proxy or visitor name), ``message``, ``program``, and the values of that type of message.
        """
        line = clean(line if len(line) <= _MAX_LINE else line[:_MAX_LINE])
        header = header_of(line)
        if header is not None:
            return self._with_header(header, line[header.end() :])
        if not line.strip():
            return None
        return self._compact(line[:_MAX_COMPACT_LINE]) or self._raw(line)

    def _with_header(self, header: re.Match[str], body: str) -> Record:
        timestamp, letter, caller, run_id = header.groups()
        name, message, found = self._look_up(body)
        record: Record = {
            "type": "detail",
            "timestamp": timestamp,
            "time": self._time(timestamp) if self._timezone is not None else None,
            "level": LEVELS[letter],
            "caller": caller,
            "run_id": run_id,
            "tunnel_id": name,
            "message": message,
            "program": self._program,
        }
        if found is None:
            self._describe_unknown(record)
        else:
            self._describe(record, *found)
        return record

    def _look_up(self, body: str) -> tuple[str | None, str, tuple[Template, dict[str, Any]] | None]:
        """Give name, message and template; a name may stand before the message, or belong to it."""
        find = self._messages.find
        if body[:1] != "[":
            return None, body, find(body)
        first: tuple[str | None, str] = (None, body)
        for way in names_before(body):
            found = find(way[1])
            if found is not None:
                return *way, found
            first = way if first[0] is None else first
        found = find(body)
        return (None, body, found) if found is not None else (*first, None)

    def _describe(self, record: Record, template: Template, values: Mapping[str, Any]) -> None:
        record["type"] = template.event
        if self._program is None:
            record["program"] = template.program or _program_of(record["caller"])
        record.update(values)
        if template.text == "start error: %v" and "visitor" not in (record["caller"] or ""):
            record["type"] = "tunnel_error"  # tunnels and visitors share the words

    def _describe_unknown(self, record: Record) -> None:
        caller = record["caller"] or ""
        record["program"] = self._program or _program_of(caller)
        if record["level"] == "error" and caller.startswith(("client/service.go", "service.go")):
            record["type"] = "login_rejected"  # frpc prints the server's answer and nothing else
            record["error"] = record["message"]

    def _compact(self, line: str) -> Record | None:
        if "] [proxy] [" not in line:
            return None
        for event in ("traffic_stats", "tunnel_connected", "tunnel_error"):
            match = self.PATTERNS[event].match(line)
            if match is not None:
                return self._compact_record(event, line, match)
        return None

    def _compact_record(self, event: str, line: str, match: re.Match[str]) -> Record:
        timestamp, name, *values = match.groups()
        record = self._record(
            event, timestamp, "error" if event == "tunnel_error" else "info", line[match.start(2) - 1 :]
        )
        record |= {"tunnel_id": name, "time": self._time(timestamp)}
        if event == "traffic_stats":
            record |= {"bytes_in": int(values[0]), "bytes_out": int(values[1])}
        elif values:
            record["error"] = values[0]
        return record

    def _raw(self, line: str) -> Record | None:
        if line.startswith(_CRASH):
            return self._record("panic", None, "error", line)
        found = self._raw_messages.find(line)
        if found is not None and (self._program or found[0].is_telling):
            template, values = found
            record = self._record(template.event, None, _RAW_LEVELS.get(template.event, "info"), line)
            record["program"] = self._program or template.program
            return record | values
        return self._record("detail", None, "info", line) if self._program else None

    def _record(self, event: str, timestamp: str | None, level: str, message: str) -> Record:
        return {
            "type": event,
            "timestamp": timestamp,
            "time": None,
            "level": level,
            "caller": None,
            "run_id": None,
            "tunnel_id": None,
            "message": message,
            "program": self._program,
        }

    def _time(self, timestamp: str) -> datetime | None:
        try:
            time = datetime.fromisoformat(timestamp.replace("/", "-"))
        except ValueError:
            return None
        if time.tzinfo is not None:
            return time
        return time.replace(tzinfo=self._timezone) if self._timezone else None


class StreamParser:
    """Turns the output of a program that we run ourselves into records; holds at most one line.

    Args:
        program: ``frpc`` or ``frps``.
        skip: Lines with one of these in them are passed over without a closer look.
    """

    def __init__(self, program: str, skip: tuple[bytes, ...] = ()) -> None:
        self._parser = OutputParser(program, UTC)  # we start them with TZ=UTC
        self._skip = skip
        self._partial = b""

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Give the records of the lines that are complete now."""
        *lines, partial = (self._partial + chunk).split(b"\n")
        self._partial = partial[:_MAX_LINE]
        return self._records(lines)

    def flush(self) -> Iterator[Record]:
        """Give the record of a last line that has no end, once the program has ended."""
        partial, self._partial = self._partial, b""
        return self._records([partial])

    def _records(self, lines: list[bytes]) -> Iterator[Record]:
        for line in lines:
            if any(part in line for part in self._skip):
                continue
            record = self._parser.parse_line(line.decode("utf-8", "replace"))
            if record is not None:
                yield record


def _program_of(caller: str | None) -> str | None:
    return _PROGRAMS.get(caller.partition("/")[0]) if caller else None
