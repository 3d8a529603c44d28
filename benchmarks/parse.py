"""How fast are frp's lines read?  ``python -m benchmarks.parse``

One line for each template of every version, with the frequent ones twenty times, in random order; three ways in one run:
our parser (which gives names and values), one regular expression of all templates, and all templates tried in turn (what
most scripts do).
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from importlib.resources import files

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.parser import OutputParser

HEADER = "2026-01-02 03:04:05.678 [I] [client/control.go:172] [0123456789abcdef] "
FREQUENT = (
    "start proxy success",
    "join connections",
    "get a user connection",
    "login to server",
    "try to connect",
    "start error",
)
PLACEHOLDER = re.compile(r"%[-+]?\d*[a-zA-Z]")
LAYOUT = r"(\S+ \S+) \[([TDIWE])\] \[([^\]]+)\] (?:\[([0-9a-f]{16})\] )?(?:\[([^\]]+)\] )?"
SAMPLE_LINES = 2000


def templates() -> list[str]:
    text = files("frp_wrapper.monitoring").joinpath("templates.jsonl").read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    return [row["template"] for row in rows if not row.get("raw")]


def lines() -> list[str]:
    chance = random.Random(1)
    made = []
    for template in templates():
        message = PLACEHOLDER.sub(lambda match: "7" if match[0].endswith("d") else "abc.d:12", template)
        line = HEADER + ("" if message.startswith(("[", "ProxyName [")) else "[web] ") + message
        made += [line] * (20 if any(word in template for word in FREQUENT) else 1)
    chance.shuffle(made)
    return made * 4


def expressions() -> list[str]:
    return [".*?".join(map(re.escape, PLACEHOLDER.split(template))) for template in templates()]


def ours() -> Callable[[str], object]:
    return OutputParser("frpc").parse_line


def combined() -> Callable[[str], object]:
    return re.compile(LAYOUT + "(?:" + "|".join(f"({one})" for one in expressions()) + ")$").match


def in_turn() -> Callable[[str], object]:
    patterns = [re.compile(LAYOUT + one + "$") for one in expressions()]

    def parse(line: str) -> object:
        for pattern in patterns:
            if (match := pattern.match(line)) is not None:
                return match.groups()
        return None

    return parse


def rows() -> list[Row]:
    load = lines()[:SAMPLE_LINES]
    names = {
        "ours": ours(),
        "one regular expression of all": combined(),
        "all patterns tried in turn": in_turn(),
    }
    taken = nanoseconds(
        {
            name: Way("for line in load: parse(line)", {"parse": parse, "load": load}, len(load))
            for name, parse in names.items()
        }
    )
    mine = taken.pop("ours") / 1000
    aims = {"one regular expression of all": 2.0, "all patterns tried in turn": 50.0}
    return [
        Row("parse a line", mine, "µs", name, value / 1000, times=aims[name]) for name, value in taken.items()
    ]


if __name__ == "__main__":
    show(rows())
