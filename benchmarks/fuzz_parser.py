"""Ten million broken lines: none may raise, none may take a millisecond.  ``python -m benchmarks.fuzz_parser [LINES]``

Real lines of every template are cut, joined, doubled and sprinkled with brackets, braces, colours, control characters,
per cents and other alphabets. A line that seems slow is timed again, best of five, because this may be a noisy machine.
"""

from __future__ import annotations

import multiprocessing
import random
import sys
import time

from benchmarks.parse import lines
from frp_wrapper.monitoring.parser import OutputParser

LIMIT = 0.001
NOISE = (
    "[",
    "]",
    "] ",
    "[x] ",
    "%",
    "{{",
    "\x1b[1;34m",
    "\x1b[",
    "\x00",
    "\r",
    "\n",
    "한글",
    "\ud800",
    "é",
    '"',
    "\\",
    " " * 50,
    "error: ",
    "9" * 30,
)


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
        line = line[:4000]
    return line


def run(seed: int, count: int) -> tuple[int, float, str]:
    """Give how many lines were frp's, the slowest time and its line; what raises ends the run."""
    chance = random.Random(seed)
    whole = sorted(set(lines()))
    parse = OutputParser().parse_line
    found, slowest, example = 0, 0.0, ""
    for _ in range(count):
        line = broken(chance, whole)
        began = time.thread_time()
        record = parse(line)
        taken = time.thread_time() - began
        found += record is not None
        if taken > slowest:
            taken = min(taken, *(again(parse, line) for _ in range(5)))
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
