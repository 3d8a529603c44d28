"""How fast are frp's lines read?  ``python benchmarks/parse.py``

One line for each template of every version, with the frequent ones twenty times, in random order; three ways in one run:
our parser (which gives names and values), one regular expression of all templates, and all templates tried in turn (what
most scripts do). What is printed are the best of five rounds, process CPU time.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable
from importlib.resources import files

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
ROUNDS = 5


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


def seconds(parse: Callable[[str], object], load: list[str]) -> float:
    for line in load[:2000]:
        parse(line)
    best = float("inf")
    for _ in range(ROUNDS):
        began = time.process_time()
        for line in load:
            parse(line)
        best = min(best, time.process_time() - began)
    return best / len(load)


def main() -> None:
    load = lines()
    base = seconds(ours(), load)
    print(f"{'way':40}{'µs a line':>12}{'to ours':>10}")
    print(f"{'ours':40}{base * 1e6:12.1f}{1:10.1f}")
    for name, make in (("one regular expression of all", combined), ("all tried in turn", in_turn)):
        taken = seconds(make(), load[: len(load) // 4])
        print(f"{name:40}{taken * 1e6:12.1f}{taken / base:10.1f}")


if __name__ == "__main__":
    main()
