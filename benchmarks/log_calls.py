"""What does a log call cost?  ``python -m benchmarks.log_calls [ROUNDS]``

A record of four fields to a JSON file on the disk, and a call with two fields that a level filters, ours beside the ways
that people take today. (Each field more costs 25 ns where nothing is done with it: the price of a call in Python.) Each way runs in a process of its own, all in turns, several rounds; what is printed are medians of process CPU
time for each call (a thread that writes later included), and their ratio to ours. Files are rotated at 10 MiB, which the
records of one process do not fill, but for the row that says so. Ours masks one known secret and folds repeats meanwhile;
the others do neither. (The name is not ``logging``, which would stand before the standard library's.)
"""

from __future__ import annotations

import gzip
import json
import logging
import logging.handlers
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.compare import Row, show
from frp_wrapper.monitoring import FRPLogger, LogLevel, configure_logging, unconfigure_logging
from frp_wrapper.monitoring.log_mask import mask_secret

RECORDS = 10_000
FILTERED = 100_000
REPEATS = 3
ROUNDS = 7
MAX_BYTES = 10 * 1024 * 1024
Run = Callable[[int], None]


# Each makes its logger ready, and gives what calls it so many times


def ours(folder: Path, *, max_bytes: int = MAX_BYTES) -> Run:
    mask_secret("the-token-of-a-client")
    configure_logging(console=False, json_file=folder / "log", max_bytes=max_bytes)
    return events(FRPLogger("bench"))


def ours_without_orjson(folder: Path) -> Run:
    sys.modules["orjson"] = None  # type: ignore[assignment]
    return ours(folder)


def ours_rotating(folder: Path) -> Run:
    return ours(folder, max_bytes=1024 * 1024)


def ours_filtered(folder: Path) -> Run:
    ours(folder)
    return small_events(FRPLogger("bench", LogLevel.WARNING))


def ours_filtered_by_output(folder: Path) -> Run:
    configure_logging("warning", console=False, json_file=folder / "log")
    return small_events(FRPLogger("bench"))


def ours_unheard(_folder: Path) -> Run:
    return small_events(FRPLogger("bench"))


def events(logger: Any) -> Run:
    def run(count: int) -> None:
        call = logger.log_tunnel_event
        for number in range(count):
            call("connection_opened", "web", local_port=3000, visitor="203.0.113.7", number=number)

    return run


def small_events(logger: Any) -> Run:
    def run(count: int) -> None:
        call = logger.log_tunnel_event
        for number in range(count):
            call("connection_opened", "web", number=number)

    return run


def rotating_handler(folder: Path) -> logging.Handler:
    handler = logging.handlers.RotatingFileHandler(folder / "log", maxBytes=MAX_BYTES, backupCount=3)
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    return handler


def documented_chain(folder: Path) -> Run:
    return keywords(chained(folder).info)


def documented_chain_filtered(folder: Path) -> Run:
    return small_keywords(chained(folder).debug)


def chained(folder: Path) -> Any:
    import structlog  # noqa: PLC0415 - not in the processes that measure another way

    rotating_handler(folder)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            structlog.processors.JSONRenderer(),
        ],
        context_class=dict,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    return structlog.get_logger("bench").bind()


def fastest_structlog(folder: Path) -> Run:
    return keywords(fastest(folder).info)


def fastest_structlog_filtered(folder: Path) -> Run:
    return small_keywords(fastest(folder).debug)


def fastest(folder: Path) -> Any:
    import orjson  # noqa: PLC0415 - see documented_chain
    import structlog  # noqa: PLC0415 - see documented_chain

    structlog.configure(
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.format_exc_info,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(serializer=orjson.dumps),
        ],
        logger_factory=structlog.BytesLoggerFactory((folder / "log").open("ab")),
    )
    return structlog.get_logger().bind()


def keywords(call: Callable[..., object]) -> Run:
    def run(count: int) -> None:
        for number in range(count):
            call("connection_opened", tunnel_id="web", local_port=3000, visitor="203.0.113.7", number=number)

    return run


class JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return json.dumps(
            {
                "timestamp": self.formatTime(record),
                "level": record.levelname,
                "logger": record.name,
                "event": record.getMessage(),
                **record.fields,  # type: ignore[attr-defined]
            }
        )


def small_keywords(call: Callable[..., object]) -> Run:
    def run(count: int) -> None:
        for number in range(count):
            call("connection_opened", tunnel_id="web", number=number)

    return run


def standard_library(folder: Path) -> Run:
    rotating_handler(folder).setFormatter(JsonFormatter())
    call = logging.getLogger("bench").info

    def run(count: int) -> None:
        for number in range(count):
            fields = {"tunnel_id": "web", "local_port": 3000, "visitor": "203.0.113.7", "number": number}
            call("connection_opened", extra={"fields": fields})

    return run


def standard_library_filtered(folder: Path) -> Run:
    rotating_handler(folder)
    call = logging.getLogger("bench").debug

    def run(count: int) -> None:
        for number in range(count):
            call("connection_opened", extra={"fields": {"tunnel_id": "web", "number": number}})

    return run


def write_alone(folder: Path) -> Run:
    descriptor = os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    line = (
        b'{"timestamp":"2026-01-02T03:04:05.678+00:00","level":"info","logger":"bench",' + b" " * 100 + b"}\n"
    )

    def run(count: int) -> None:
        for _ in range(count):
            os.write(descriptor, line)

    return run


def call_alone(_folder: Path) -> Run:
    def nothing(event: str, tunnel_id: str, **fields: object) -> None:
        pass

    def run(count: int) -> None:
        for number in range(count):
            nothing("connection_opened", "web", number=number)

    return run


WAYS: dict[str, dict[str, Callable[[Path], Run]]] = {
    "to disk": {
        "ours, rotation on": ours,
        "ours, without orjson": ours_without_orjson,
        "ours, rotated and compressed each MiB": ours_rotating,
        "structlog's documented chain, RotatingFileHandler": documented_chain,
        "structlog's fastest: orjson, BytesLogger, no rotation": fastest_structlog,
        "logging, JSON formatter, RotatingFileHandler": standard_library,
        "one write of a finished line": write_alone,
    },
    "filtered": {
        "ours, by the logger's level": ours_filtered,
        "ours, by the output's level": ours_filtered_by_output,
        "ours, nobody listens": ours_unheard,
        "structlog's documented chain": documented_chain_filtered,
        "structlog's filtering bound logger": fastest_structlog_filtered,
        "logging": standard_library_filtered,
        "a function that does nothing": call_alone,
    },
}


AT_MOST = {"to disk": 2500.0, "filtered": 100.0}
"""Nanoseconds that a call of ours shall take."""


def measure(group: str, name: str) -> float:
    """Give nanoseconds of CPU time for each call, in this process."""
    count = FILTERED if group == "filtered" else RECORDS
    with tempfile.TemporaryDirectory() as folder:
        run = WAYS[group][name](Path(folder))
        run(200)
        taken = []
        for _ in range(REPEATS):
            began = time.process_time_ns()
            run(count)
            taken.append((time.process_time_ns() - began) / count)
        unconfigure_logging()
        expected = 0 if group == "filtered" else 200 + REPEATS * count
        if written(Path(folder)) != expected:  # what does nothing is fast
            raise SystemExit(f"{name}: {written(Path(folder))} records were written, not {expected}")
    return statistics.median(taken) - loop(count)


def written(folder: Path) -> int:
    """Count the lines of all files."""
    unpack = {True: gzip.decompress, False: bytes}
    return sum(unpack[path.suffix == ".gz"](path.read_bytes()).count(b"\n") for path in folder.iterdir())


def loop(count: int) -> float:
    began = time.process_time_ns()
    for _ in range(count):
        pass
    return (time.process_time_ns() - began) / count


def measured_apart(group: str, name: str) -> float:
    """Do the same in a process of its own: what one way configures must not be there for the next."""
    command = [sys.executable, "-m", "benchmarks.log_calls", "--one", group, name]
    result = subprocess.run(
        command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1]
    )
    return float(result.stdout)


def rows(rounds: int = ROUNDS) -> list[Row]:
    """Measure all ways in turns, in another order each round; ours, the first of a group, beside each of the others."""
    all_ways = [(group, name) for group, ways in WAYS.items() for name in ways]
    taken: dict[tuple[str, str], list[float]] = {way: [] for way in all_ways}
    for _ in range(rounds):
        for way in random.sample(all_ways, len(all_ways)):
            taken[way].append(measured_apart(*way))
    made = []
    for group, ways in WAYS.items():
        first, *others = [(name, statistics.median(taken[group, name])) for name in ways]
        made += [
            Row(f"log call: {group}", first[1], "ns", name, theirs, at_most=AT_MOST[group])
            for name, theirs in others
        ]
    return made


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(measure(*sys.argv[2:4]))
        return
    show(rows(int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS))


if __name__ == "__main__":
    main()
