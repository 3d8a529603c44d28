"""Ten million broken lines: none may raise, none may take a millisecond.  ``python -m benchmarks.fuzz_parser [LINES]``

Lines of every template, in the layout of every era and the wrapping of every collector, are cut, joined, doubled and
sprinkled with brackets, braces, colours, control characters, per cents and other alphabets; one in a hundred is blown up to
64 KiB. A line that seems slow is timed again, best of twenty, because this may be a noisy machine.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time

from benchmarks.parse import lines
from frp_wrapper.monitoring._templates import rows
from frp_wrapper.monitoring.parser import OutputParser

LIMIT = 0.001
LONGEST = 65536
USUAL = 4000
NOISE = (
    "[",
    "]",
    "] ",
    "] [",
    "[x] ",
    "[I] ",
    ".go:12] ",
    "%",
    "{{",
    "\x1b[1;34m",
    "\x1b[",
    "^[[0m",
    "#033[0m",
    "\x00",
    "\ufeff",
    "\xa0",
    "\r",
    "\n",
    "\t",
    "\uff1a",
    "한글",
    "\ud800",
    "é",
    '"',
    "\\",
    "`",
    "> ",
    " | ",
    " " * 50,
    "error: ",
    "goroutine 1 [running]:",
    "ProxyName [",
    "] [proxy] [",
    "9" * 30,
)
PREFIXES = (
    "",
    "frpc-1  | ",
    "2026-07-01T10:00:00.123456789Z stdout F ",
    "[pod/frpc-7d9c5b-x2x4z/frpc] ",
    "Jul  1 10:00:00 host frpc[123]: ",
    "2026-07-01T10:00:00+0200 host frpc[123]: ",
    "<30>1 2026-07-01T10:00:00.000Z host frpc 123 - - ",
    "Wed Jul  1 10:00:00 2026 daemon.info frpc[123]: ",
    "0|frpc  | ",
    "> ",
    '{"log":"',
    '{"MESSAGE":[',
)
HEADERS = (
    "2026-01-02 03:04:05.678 [I] [client/control.go:172] [0123456789abcdef] ",
    "2023/01/02 03:04:05 [W] [control.go:172] [0123456789abcdef] ",
    "2023/01/02 03:04:05 \x1b[1;34m[I] [control.go:172] [0123456789abcdef] ",
    "\x1b[0m\x1b[1;34m2026-01-02 03:04:05.678 [E] [client/service.go:172] ",
    "2016/12/14 15:22:16 [control.go:135] [E] ",
    "[W] [control.go:172] [0123456789abcdef] ",
    "[control.go:172] [XXX] ",
    "trol.go:172] ",
    "05.678 [D] [proxy/proxy.go:12] ",
    "",
)


def whole_lines() -> list[str]:
    """Give a line of each template, and of each kind of header and prefix."""
    texts = [
        row["template"].replace("%s", "abc.d:12").replace("%v", "x: y").replace("%d", "7") for row in rows()
    ]
    made = [header + text for text in texts for header in HEADERS]
    return sorted({*lines(), *made, *(prefix + line for prefix in PREFIXES for line in made[::7])})


def broken(chance: random.Random, whole: list[str]) -> str:
    line = chance.choice(whole)
    for _ in range(chance.randrange(4)):
        at = chance.randrange(len(line) + 1)
        match chance.randrange(5):
            case 0:
                line = line[:at]
            case 1:
                line = line[at:]
            case 2:
                line = line[:at] + chance.choice(NOISE) * chance.randrange(1, 5) + line[at:]
            case 3:
                line = line + chance.choice(whole)
            case _:
                line = line[:at] + line[:at] + line[at:]
        line = line[:USUAL]
    return blown_up(chance, line) if chance.randrange(100) == 0 else line


def blown_up(chance: random.Random, line: str) -> str:
    """Repeat a part of a line, or some noise in it, until it is as long as the parser looks."""
    at = chance.randrange(len(line) + 1)
    part = chance.choice((line[at:], line[at : at + 20], chance.choice(NOISE))) or "x"
    return (line[:at] + part * (LONGEST // len(part)))[:LONGEST]


def run(seed: int, count: int) -> tuple[int, float, str]:
    """Give how many lines were frp's, the slowest time and its line; what raises ends the run."""
    chance = random.Random(seed)
    whole = whole_lines()
    parse = OutputParser().parse_line
    found, slowest, example = 0, 0.0, ""
    for _ in range(count):
        line = broken(chance, whole)
        began = time.thread_time()
        record = parse(line)
        taken = time.thread_time() - began
        found += record is not None
        if taken > slowest:
            taken = min(taken, *(again(parse, line) for _ in range(20)))
            if taken > slowest:
                slowest, example = taken, line
    return found, slowest, example


def again(parse: object, line: str) -> float:
    began = time.thread_time()
    parse(line)  # type: ignore[operator]
    return time.thread_time() - began


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000
    workers = multiprocessing.cpu_count()
    with multiprocessing.Pool(workers) as pool:
        results = pool.starmap(run, [(seed, count // workers) for seed in range(workers)])
    slowest, example = max((taken, line) for _, taken, line in results)
    print(
        f"{count} lines, {sum(found for found, _, _ in results)} of them frp's; the slowest took {slowest * 1e6:.0f} µs"
    )
    print(repr(example)[:300])
    sys.exit(slowest > LIMIT)


if __name__ == "__main__":
    main()
