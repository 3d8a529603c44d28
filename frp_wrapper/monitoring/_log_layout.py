"""The layout of frp's log lines in all its eras: header, colours, prefixes, and what log collectors put before them."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

ANSI = re.compile(r"\x1b\[[0-9;]*m")
_HEADER = re.compile(
    r"(\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) \[([TDIWE])\] (?:\[([^\]\s]{1,100}:\d+)\] )?"
)
_COLLECTOR_PREFIX = 200
"""Characters that docker compose, journald or kubectl may put before frp's own header."""
_RUN_ID = re.compile(r"\[([0-9a-f]{16})\] ")
_REQUEST_ID = re.compile(r"\[(?:reqid: [0-9a-f]{16}|sshVirtualClient)\] ")
_LEVELS = {"T": "trace", "D": "debug", "I": "info", "W": "warning", "E": "error"}
_PREFIXES_TRIED = 4
"""How many ``] `` of a message may end the name of a tunnel; only foreign names hold any."""


@dataclass(slots=True)
class LogLine:
    """A line with frp's header, taken apart."""

    timestamp: str
    level: str
    caller: str | None
    run_id: str | None
    body: str
    """What stands after the run id."""


def clean(line: str) -> str:
    """Take colours and line ends off, and the JSON that docker's json-file driver puts around a line."""
    if "\x1b" in line:
        line = ANSI.sub("", line)
    if line.startswith('{"log":"'):
        line = _unwrap(line)
    return line.rstrip("\r\n")


def split(line: str) -> LogLine | None:
    """Take a clean line apart; None when it has no header."""
    match = _HEADER.match(line) or _HEADER.search(line, 0, _COLLECTOR_PREFIX)
    if match is None:
        return None
    timestamp, letter, caller = match.groups()
    body = line[match.end() :]
    request_id = _REQUEST_ID.match(body)
    if request_id is not None:
        body = body[request_id.end() :]
    run_id = _RUN_ID.match(body)
    if run_id is None:
        return LogLine(timestamp, _LEVELS[letter], caller, None, body)
    return LogLine(timestamp, _LEVELS[letter], caller, run_id[1], body[run_id.end() :])


def names_before(body: str) -> list[tuple[str, str]]:
    """Give the ways to read ``[name] message``, the likeliest first; empty when no name stands there."""
    if not body.startswith("["):
        return []
    ways: list[tuple[str, str]] = []
    end = body.find("] ", 1)
    while end != -1 and len(ways) < _PREFIXES_TRIED:
        ways.append((body[1:end], body[end + 2 :]))
        end = body.find("] ", end + 1)
    return ways


def _unwrap(line: str) -> str:
    try:
        log = json.loads(line)["log"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return line
    return log if isinstance(log, str) else line
