"""Lines as frp prints them, and as collectors pass them on: for the tests of the parser."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from frp_wrapper.monitoring._templates import rows

RUN_ID = "0123456789abcdef"
PLACEHOLDER = re.compile(r"%[-+]?\d*[a-zA-Z]")
FIRST_ERA = "ProxyName ["


def beego(letter: str, caller: str, message: str) -> str:
    """Give a line of v0.10 to v0.54."""
    return f"2023/07/01 10:00:00 [{letter}] [{caller.rpartition('/')[2]}] {message}"


def beego_coloured(letter: str, caller: str, message: str) -> str:
    """Give such a line on a console: the colour begins behind the time."""
    return f"2023/07/01 10:00:00 \x1b[1;34m[{letter}] [{caller.rpartition('/')[2]}] {message}\x1b[0m"


def golib(letter: str, caller: str, message: str) -> str:
    """Give a line of v0.55 and later."""
    return f"2026-07-01 10:00:00.123 [{letter}] [{caller}] {message}"


def golib_coloured(letter: str, caller: str, message: str) -> str:
    """Give such a line on a console: the reset of the line before stands at its start."""
    return f"\x1b[0m\x1b[1;34m{golib(letter, caller, message)}"


def first_era(letter: str, caller: str, message: str) -> str:
    """Give a line of v0.9 and before: the caller came first."""
    return f"2016/12/14 15:22:16 [{caller.rpartition('/')[2]}] [{letter}] {message}"


LAYOUTS: tuple[Callable[[str, str, str], str], ...] = (
    beego,
    beego_coloured,
    golib,
    golib_coloured,
    first_era,
)


def docker_json(line: str) -> str:
    """Give a line as docker's json-file driver stores it."""
    return json.dumps({"log": f"{line}\n", "stream": "stdout", "time": "2026-07-01T10:00:00.000000001Z"})


def journal_json(line: str) -> str:
    """Give a line as ``journalctl -o json`` does: as numbers when it has colours."""
    message: str | list[int] = list(line.encode()) if "\x1b" in line else line
    return json.dumps({"__REALTIME_TIMESTAMP": "1767225600000000", "_COMM": "frpc", "MESSAGE": message})


PREFIXES = (
    "",
    "frpc-1  | ",
    "1Panel-frpc-ab | ",
    "frps    | 2026-07-01T10:00:00.123456789Z ",
    "2026-07-01T10:00:00.123456789Z ",
    "2026-07-01T12:00:00.123456789+02:00 ",
    "2026-07-01T10:00:00.123456789Z stdout F ",
    "[pod/frpc-7d9c5b-x2x4z/frpc] 2026-07-01T10:00:00.123456789Z ",
    "Jul 01 10:00:00 host frpc[123]: ",
    "Jul  1 10:00:00.123456 host frpc[123]: ",
    "2026-07-01T10:00:00+0200 host frpc[123]: ",
    "7月 01 10:00:00 host frpc[123]: ",
    "<30>Jul  1 10:00:00 host frpc[123]: ",
    "<30>1 2026-07-01T10:00:00.000Z host frpc 123 - - ",
    "Wed Jul  1 10:00:00 2026 daemon.info frpc[123]: ",
    "2026-07-01 10:00:00 ",
    "2026/07/01 10:00:00 stdout ",
    "2026-07-01 10:00:00 | stdout | ",
    "2026-07-01 10:00:00 stdout  ",
    "0|frpc  | ",
    "> ",
    "- ",
    "12. ",
    "`",
    "\ufeff",
    "\xa0",
)
"""Of compose, docker logs -t, CRI, kubectl, journalctl, syslog, logread, pm2, NAS systems, and people who paste."""
WRAPPINGS: tuple[Callable[[str], str], ...] = (
    docker_json,
    journal_json,
    lambda line: f"{line}\r\n",
    lambda line: line.replace("\x1b", "^["),
    lambda line: line.replace("\x1b", "#033"),
    lambda line: line.replace("\x1b", ""),
    lambda line: line.encode("utf-16-le").decode("utf-8", "replace"),
    *(lambda line, prefix=prefix: f"{prefix}{line}" for prefix in PREFIXES),  # type: ignore[misc]
)


def named(row: Mapping[str, Any]) -> bool:
    """Say whether the name of a tunnel stands before the message of a template."""
    return bool(row.get("named")) and not row["template"].startswith(("[", FIRST_ERA))


def fill(row: Mapping[str, Any], values: Mapping[str, str]) -> str:
    """Make a message from a template."""
    fields = iter(row.get("fields", ()))
    return PLACEHOLDER.sub(lambda _: values[next(fields)], row["template"])


def expected(row: Mapping[str, Any], program: str) -> str:
    """Give the type that a template has where this program prints it."""
    return str(row.get("elsewhere", {}).get(program, row["event"]))


WITH_HEADER = [row for row in rows() if not row.get("raw")]
RAW = [row for row in rows() if row.get("raw")]
