"""The layout of frp's log lines in all its eras: header, colours, prefixes, and what log collectors put before them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

ANSI = re.compile(r"\x1b\[[0-9;]*m")
HEADER = re.compile(
    r"(\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) \[([TDIWE])\] (?:\[([^\]\s]{1,100}:\d+)\] )?"
    r"(?:\[(?:reqid: [0-9a-f]{16}|sshVirtualClient)\] )?(?:\[([0-9a-f]{16})\] )?"
)
"""Time, letter of the level, caller, run id; the message begins at its end."""
LEVELS = {"T": "trace", "D": "debug", "I": "info", "W": "warning", "E": "error"}
_COLLECTOR_PREFIX = 200
"""Characters that docker compose, journald or kubectl may put before frp's own header."""
_PREFIXES_TRIED = 4
"""How many ``] `` of a message may end the name of a tunnel; only foreign names hold any."""


def clean(line: str) -> str:
    """Take colours and line ends off, and the JSON that docker's json-file driver puts around a line."""
    if "\x1b" in line:
        line = ANSI.sub("", line)
    if line.startswith('{"log":"'):
        line = _unwrap(line)
    return line.rstrip("\r\n")


def header_of(line: str) -> re.Match[str] | None:
    """Find frp's header in a clean line."""
    return HEADER.match(line) or HEADER.search(line, 0, _COLLECTOR_PREFIX)


def names_before(body: str) -> Iterator[tuple[str, str]]:
    """Give the ways to read ``[name] message``, the likeliest first; none when no name stands there."""
    end = body.find("] ", 1)
    for _ in range(_PREFIXES_TRIED):
        if end == -1:
            return
        yield body[1:end], body[end + 2 :]
        end = body.find("] ", end + 1)


def _unwrap(line: str) -> str:
    try:
        log = json.loads(line)["log"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return line
    return log if isinstance(log, str) else line
