"""Reads what frpc and frps print, of every version, line by line or as a stream of bytes."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from frp_wrapper.monitoring._log_layout import (
    HEADER,
    LEVELS,
    MAX_LINE,
    Header,
    clean,
    header_ids,
    header_of,
    is_of_frp,
    names_before,
    next_header,
    tidy,
    unquoted,
)
from frp_wrapper.monitoring._log_prefix import Prefix, peel, without_joint, without_label
from frp_wrapper.monitoring._meaning import (
    code_of,
    guess,
    is_of_transport,
    place,
    program_of,
    program_of_tag,
    reason_of,
)
from frp_wrapper.monitoring._multiline import LogReader, is_crash
from frp_wrapper.monitoring._templates import Template, catalogues

__all__ = ["OutputParser", "Record", "StreamParser"]

Record = dict[str, Any]
Found = tuple[Template, dict[str, Any]]

_MAX_DAMAGED_LINE = 8192
"""Characters that are looked at of a line that does not begin with a header as frp writes it."""
_MAX_MENDED = 4096
"""Characters of a message without a template, or without its header, that are looked at more closely."""
_MAX_FOREIGN = 6
"""Records of other programs, in the layout of frp's, that may stand in a line before its first."""
_COMPACT = "] [proxy] ["
_MIN_LABELLED = 12
"""Letters of a text that somebody has put a word before, before it is taken for frp's."""
_MIN_WITHOUT_HEADER = 20
"""Letters of a message that is cut off, and has no header either, before it is taken for frp's."""
_SEVERE_RAW = frozenset({
    "panic", "config_error", "login_failed_exit", "admin_error", "tunnel_error", "visitor_connection_error", "nat_hole_failed",
})  # fmt: skip
_ERROR = "Error: "
"""What a command prints before the reason why it ends."""
_BLANKS = re.compile(r" {2,}")
"""What is left of the end of a line on a terminal, where a longer one was broken and joined again."""
_BROKEN = " " * 8
_MASK = re.compile(r"[xX*#.-]{3,40}")
_REDACTED = re.compile(r"\[?([^\[\]]{0,40})\] ?(?=\[)")
"""A run id that somebody has made unreadable or cut, before the name of a tunnel."""


class _Source(NamedTuple):
    """Where a line without a header comes from.

    Attributes:
        owner: The program whose line it is, where that is known.
        alone: Nothing follows it in its line.
        is_others: A collector names another program as its writer.
    """

    owner: str | None
    alone: bool
    is_others: bool

    def tells(self, template: Template) -> bool:
        """Say whether the text of a template is enough to take a line for frp's."""
        return template.is_telling and not (self.is_others and template.is_likely)


class OutputParser:
    """Turns the lines of frpc or frps into records; never raises, whatever the lines hold.

    Args:
        program: ``frpc`` or ``frps`` when it is known whose lines these are; lines without frp's header are then
            taken as its own too.
        timezone: The zone of the program's clock, which does not print it; None: unknown, records have a ``time`` only
            where a collector noted one.
    """

    PATTERNS: Mapping[str, re.Pattern[str]] = {
        "tunnel_connected": re.compile(r"\[(.+?)\] \[I\] \[proxy\] \[(.+?)\] proxy started"),
        "tunnel_error": re.compile(r"\[(.+?)\] \[E\] \[proxy\] \[(.+?)\] (.+)"),
        "traffic_stats": re.compile(r"\[(.+?)\] \[I\] \[proxy\] \[(.+?)\] in:(\d+) out:(\d+)"),
    }
    """A compact layout that is read besides frp's own."""

    def __init__(self, program: str | None = None, timezone: tzinfo | None = None) -> None:
        self.program = program
        self._timezone = timezone
        self._catalogues = catalogues()
        self._find = self._catalogues.messages.find

    def parse_line(self, line: str) -> Record | None:
        """Give the record of a line, the first where it holds several; None when frp did not write it.

        Its keys are ``type``, ``timestamp`` (as written), ``time`` (aware, or None), ``level``, ``caller``, ``run_id``,
        ``tunnel_id`` (proxy or visitor name), ``message``, ``program``, and the values of that type of message.
        """
        header = HEADER.match(line)
        if header is not None:
            body = line[header.end() : MAX_LINE].rstrip("\r\n")
            if "\x1b" not in body and "] [" not in body:
                return self._with_header(header.groups(), body)
        return next(self._damaged(line[:MAX_LINE], _MAX_DAMAGED_LINE, _MAX_FOREIGN), None)

    def parse(self, text: str) -> Iterator[Record]:
        """Give every record of a text: of all its lines, of several in one line, and of one over several lines."""
        reader = LogReader(self)
        for line in text.split("\n"):
            yield from reader.feed(line)
        yield from reader.flush()

    def records(self, line: str) -> list[Record]:
        """Give every record of a line."""
        header = HEADER.match(line)
        if header is not None:
            body = line[header.end() : MAX_LINE].rstrip("\r\n")
            if "\x1b" not in body and "] [" not in body:
                record = self._with_header(header.groups(), body)
                return [] if record is None else [record]
        return list(self._damaged(line))

    def _with_header(
        self, header: tuple[str | None, ...], body: str, owner: str | None = None
    ) -> Record | None:
        timestamp, letter, caller, run_id = header
        name, message, found = self._look_up(body)
        if found is None:
            return self._unknown(header, body, owner)
        template, values = found
        if name is not None and run_id is None and not (template.is_named and _MASK.fullmatch(name) is None):
            # a run id that was made unreadable
            name, run_id = None, name
        if name is not None and _BROKEN in name:  # by the end of a line on a terminal
            name = _BLANKS.sub("", name)
        record: Record = {
            "type": template.event,
            "timestamp": timestamp,
            "time": self._time(timestamp) if self._timezone is not None else None,
            "level": LEVELS[letter] if letter else template.level,
            "caller": caller,
            "run_id": run_id,
            "tunnel_id": name,
            "message": message,
            "program": self.program or template.program or program_of(caller),
        }
        if values:
            record.update(values)
        if template.has_error:
            record["reason"] = reason_of(template, record)
        if template.elsewhere:
            place(record, template)
        return record

    def _look_up(self, body: str) -> tuple[str | None, str, Found | None]:
        """Give name, message and template; a name may stand before the message, or belong to it."""
        find = self._find
        if body[:1] != "[":
            if body[:11] == "ProxyName [":
                return self._look_up_first_era(body)
            return None, body, find(body)
        first: tuple[str | None, str] = (None, body)
        for name, message in names_before(body):
            found = find(message)
            if found is not None:
                run_id, _, last = name.rpartition("] [")
                if run_id:
                    found[1]["run_id"] = run_id
                return last, message, found
            first = (name, message) if first[0] is None else first
        found = find(body)
        return (None, body, found) if found is not None else (*first, None)

    def _look_up_first_era(self, body: str) -> tuple[str | None, str, Found | None]:
        name, end, rest = body[11:].partition("]")
        if not end:
            name, end, rest = body[11:].partition("}")  # as frp wrote it in one place
        catalogue, message = self._catalogues.first_era, rest.lstrip(", ")
        found = catalogue.find(message)
        if found is not None and not found[0].literal_size:  # a message that has no template, or was cut off
            found = catalogue.resemble(message[:_MAX_MENDED]) or found
        return name, body, found

    def _unknown(self, header: tuple[str | None, ...], body: str, owner: str | None) -> Record | None:
        """Make something of a message that no template fits as it stands; the line is frp's where a collector says so."""
        timestamp, letter, caller, run_id = header
        mended = tidy(body[:_MAX_MENDED])
        redacted = None if run_id else _REDACTED.match(mended)
        if redacted is not None and self._look_up(mended[redacted.end() :])[2] is not None:
            return self._with_header((timestamp, letter, caller, redacted[1]), mended[redacted.end() :])
        for likely in dict.fromkeys((mended, _BLANKS.sub(" ", mended), _BLANKS.sub("", mended))):
            if likely != body and self._look_up(likely)[2] is not None:
                return self._with_header(header, likely)
        name, message = next(names_before(body), (None, body)) if body[:1] == "[" else (None, body)
        if (
            name is not None and run_id is None and message[:1] == "["
        ):  # two stand there: a run id of a fork is the first
            second = next(names_before(message), None)
            if second is not None:
                run_id, (name, message) = name, second
        record = self._record("detail", timestamp, LEVELS[letter] if letter else "info", message)
        record |= {
            "caller": caller,
            "run_id": run_id,
            "tunnel_id": name,
            "program": self.program or program_of(caller),
        }
        if self._timezone is not None:
            record["time"] = self._time(timestamp)
        if guess(record, body, self._catalogues.messages):
            return record
        is_frp = caller and is_of_frp(caller) and (timestamp or letter or not caller.startswith("main.go"))
        return record if self.program or owner or run_id or is_frp else None

    def _damaged(self, line: str, most: int | None = None, headers: int = sys.maxsize) -> Iterator[Record]:
        """Give the records of a line that is not one record in frp's own layout from its start to its end.

        Args:
            line: As it was read.
            most: Characters of it that are looked at; None: all.
            headers: How many headers of it are looked at.
        """
        line = clean(line, most)
        if not line or line.isspace():
            return
        compact = self._compact(line)
        if compact is not None:
            yield compact
            return
        header = header_of(line)
        before = line[: header.start] if header else line
        prefix = peel(before[:_MAX_DAMAGED_LINE])
        if len(before) > prefix.end or header is None:
            record = self._raw(before[prefix.end :][:_MAX_DAMAGED_LINE], prefix, alone=header is None)
            if record is not None:
                yield record
        if header is not None:
            yield from self._several(line, header, prefix, headers)

    def _several(self, line: str, header: Header, prefix: Prefix, headers: int) -> Iterator[Record]:
        """Give the records of a line from its first header on."""
        before = line[: header.start]
        for _ in range(headers):
            end = next_header(line, header.end)
            body = line[header.end : end if end != -1 else header.end + MAX_LINE]
            body = without_joint(body, before) if end != -1 else body
            record = self._with_header(header[:4], body, program_of_tag(prefix.tag))
            if record is not None:
                if record["time"] is None:
                    record["time"] = prefix.time
                record["program"] = record["program"] or program_of_tag(prefix.tag)
                yield record
            following = header_of(line[end : end + 400]) if end != -1 else None
            if following is None:
                return
            header = following._replace(start=end, end=end + following.end)
            prefix = Prefix(0, prefix.tag, None)

    def _compact(self, line: str) -> Record | None:
        if line.count(_COMPACT) != 1:  # with more of them the patterns would take the square of the time
            return None
        for event in ("traffic_stats", "tunnel_connected", "tunnel_error"):
            match = self.PATTERNS[event].match(line)
            if match is not None:
                return self._compact_record(event, line, match)
        return None

    def _compact_record(self, event: str, line: str, match: re.Match[str]) -> Record:
        timestamp, name, *values = match.groups()
        level = "error" if event == "tunnel_error" else "info"
        record = self._record(event, timestamp, level, line[match.start(2) - 1 :])
        record |= {"tunnel_id": name, "time": self._time(timestamp)}
        if event == "traffic_stats":
            record |= {"bytes_in": int(values[0]), "bytes_out": int(values[1])}
        elif values:
            record |= {"error": values[0], "reason": code_of(values[0])}
        return record

    def _raw(self, line: str, prefix: Prefix, *, alone: bool) -> Record | None:
        """Read a line without a header: start-up errors, crashes, and lines whose header got lost.

        Args:
            line: Without its collectors' prefixes.
            prefix: What the collectors said.
            alone: Whether nothing follows it in its line; what stands before a header must be certain to be frp's.
        """
        owner = self.program or program_of_tag(prefix.tag)
        source = _Source(owner, alone, is_others=owner is None and prefix.tag is not None)
        line = unquoted(line)
        if is_crash(line):
            record: Record | None = self._record("panic", None, "error", line)
        elif prefix.end and is_of_transport(line):
            record = self._record("transport_detail", None, "warning", line)
        else:
            record = self._of_text(line, source)
        if record is None and alone and len(text := without_label(line) or "") >= _MIN_LABELLED:
            record = self._of_text(unquoted(text), source)
        if record is None and owner and alone:
            record = self._record("detail", None, "info", line)
        if record is not None:
            record["program"] = record["program"] or owner
            record["time"] = prefix.time
        return record

    def _of_text(self, line: str, source: _Source) -> Record | None:
        return self._of_raw_template(line, source) or self._without_its_header(line, source)

    def _of_raw_template(self, line: str, source: _Source) -> Record | None:
        text, raw = line.strip(" \t`"), self._catalogues.raw
        found = raw.find(text) or raw.find(text.removeprefix(_ERROR))
        if found is None:
            text = tidy(text[:_MAX_MENDED])
            found = raw.find(text)
        if source.alone and (found is None or not found[0].is_telling):
            alike = raw.resemble(text, least=_MIN_WITHOUT_HEADER)
            if alike is not None and (found is None or alike[0].text.startswith(text)):
                found = alike
        if found is None or not (source.tells(found[0]) or self._is_of_error(found, text, source)):
            return None
        template, values = found
        level = "error" if template.event in _SEVERE_RAW else "info"
        record = self._record(template.event, None, level, line)
        record["program"] = self.program or template.program
        record |= values
        if template.event in _SEVERE_RAW:
            record.setdefault("error", line)
            record["reason"] = reason_of(template, record)
        return record

    def _is_of_error(self, found: Found, text: str, source: _Source) -> bool:
        """Say whether a text that others print too is frp's: its writer is known, or the error in it is one of frp's."""
        if self._find(text) is not None:  # it is a message that lost its header
            return False
        quoted = self._catalogues.raw.find(found[1].get("error", ""))
        return source.owner is not None or (
            quoted is not None and quoted[0].is_telling and not quoted[0].is_likely
        )

    def _without_its_header(self, line: str, source: _Source) -> Record | None:
        ids = header_ids(line)
        message = tidy(line[ids.end() : ids.end() + _MAX_MENDED])
        found = self._look_up(message)[2]
        if found is None and source.alone:
            found = self._catalogues.messages.resemble(message, least=_MIN_WITHOUT_HEADER)
        if found is None or not (source.owner or ids[1] or source.tells(found[0])):
            return None
        return self._with_header((None, found[0].level[0].upper(), None, ids[1]), message)

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
            "program": self.program,
        }

    def _time(self, timestamp: str | None) -> datetime | None:
        try:
            time = datetime.fromisoformat((timestamp or "").replace("/", "-"))
        except ValueError:
            return None
        if time.tzinfo is not None:
            return time
        return time.replace(tzinfo=self._timezone) if self._timezone else None


class StreamParser:
    """Turns the output of a program that we run ourselves into records; holds at most one line and one record.

    Args:
        program: ``frpc`` or ``frps``.
        skip: Lines with one of these in them are passed over without a closer look.
    """

    def __init__(self, program: str, skip: tuple[bytes, ...] = ()) -> None:
        self._reader = LogReader(OutputParser(program, UTC))  # we start them with TZ=UTC
        self._skip = skip
        self._partial = b""

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Give the records of the lines that are complete now."""
        *lines, partial = (self._partial + chunk).split(b"\n")
        self._partial = partial[:MAX_LINE]
        return self._records(lines)

    def flush(self) -> Iterator[Record]:
        """Give what is left, once the program has ended: a line that has no end, a record that could have gone on."""
        partial, self._partial = self._partial, b""
        yield from self._records([partial])
        yield from self._reader.flush()

    def _records(self, lines: Iterable[bytes]) -> Iterator[Record]:
        for line in lines:
            if any(part in line for part in self._skip):
                yield from self._reader.flush()
                continue
            yield from self._reader.feed(line.decode("utf-8", "replace"))
