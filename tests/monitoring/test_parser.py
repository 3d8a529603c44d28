"""The parser reads what frp prints, of all versions, and nothing else."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.monitoring.parser import OutputParser, StreamParser

HEADER = "2026-01-02 03:04:05.678 [I] [client/control.go:172] "
RUN_ID = "0123456789abcdef"


def parse(line: str, program: str | None = None) -> dict[str, Any]:
    """Parse a line that must be frp's."""
    record = OutputParser(program).parse_line(line)
    assert record is not None
    return record


def templates() -> list[dict[str, Any]]:
    """Give every template that the package knows."""
    text = files("frp_wrapper.monitoring").joinpath("templates.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


def test_the_patterns_of_the_specification() -> None:
    """The three patterns give type, timestamp, tunnel and their own fields."""
    connected = parse("[2024-01-01 10:00:00] [I] [proxy] [web] proxy started")
    assert (connected["type"], connected["timestamp"], connected["tunnel_id"]) == (
        "tunnel_connected", "2024-01-01 10:00:00", "web",
    )  # fmt: skip
    failed = parse("[2024-01-01 10:00:00] [E] [proxy] [web] port already used")
    assert (failed["type"], failed["error"], failed["level"]) == (
        "tunnel_error",
        "port already used",
        "error",
    )
    traffic = parse("[2024-01-01 10:00:00] [I] [proxy] [web] in:1024 out:2048")
    assert (traffic["type"], traffic["bytes_in"], traffic["bytes_out"]) == ("traffic_stats", 1024, 2048)
    assert set(OutputParser.PATTERNS) == {"tunnel_connected", "tunnel_error", "traffic_stats"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            f"2026-07-01 10:00:00.123 [I] [client/control.go:172] [{RUN_ID}] [ssh] start proxy success",
            {"type": "tunnel_connected", "tunnel_id": "ssh", "run_id": RUN_ID, "level": "info", "program": "frpc"},
        ),
        (
            f"2023/07/01 10:00:00 [W] [control.go:179] [{RUN_ID}] [ssh] start error: port already used",
            {"type": "tunnel_error", "tunnel_id": "ssh", "error": "port already used", "level": "warning"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [client/service.go:332] [{RUN_ID}] login to server success, get run id [{RUN_ID}]",
            {"type": "client_connected", "run_id": RUN_ID, "tunnel_id": None},
        ),
        (
            "2026-07-01 10:00:00.123 [W] [client/service.go:319] connect to server error: dial tcp 127.0.0.1:1: connect: connection refused",
            {"type": "login_failed", "error": "dial tcp 127.0.0.1:1: connect: connection refused"},
        ),
        (
            "2023/07/01 10:00:00 [E] [service.go:295] token in login doesn't match token from configuration",
            {"type": "login_rejected", "error": "token in login doesn't match token from configuration"},
        ),
        (
            f"2026-07-01 10:00:00.123 [D] [proxy/proxy.go:204] [{RUN_ID}] [web] join connections, localConn(l[127.0.0.1:5] r[127.0.0.1:80]) workConn(l[1.1.1.1:2] r[3.3.3.3:4])",
            {"type": "connection_opened", "tunnel_id": "web", "local_addr": "127.0.0.1:5", "service_addr": "127.0.0.1:80"},
        ),
        (
            f"2026-07-01 10:00:00.123 [E] [proxy/proxy.go:190] [{RUN_ID}] [web] connect to local service [127.0.0.1:80] error: dial tcp 127.0.0.1:80: connect: connection refused",
            {"type": "connection_error", "local_host": "127.0.0.1", "local_port": 80},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [proxy/tcp.go:88] [{RUN_ID}] [bob.web] tcp proxy listen port [6000]",
            {"type": "tunnel_listening", "remote_port": 6000, "program": "frps", "tunnel_id": "bob.web"},
        ),
        (
            f"2026-07-01 10:00:00.123 [I] [proxy/proxy.go:115] [{RUN_ID}] [web] get a user connection [203.0.113.9:51234]",
            {"type": "connection_opened", "visitor": "203.0.113.9:51234"},
        ),
        (
            '2026-07-01 10:00:00.123 [I] [client/config_manager.go:196] store: created proxy "web"',
            {"type": "store_changed", "tunnel_id": "web"},
        ),
        (
            f"2026-07-01 10:00:00.123 [W] [visitor/visitor_manager.go:140] [{RUN_ID}] start error: listen tcp 127.0.0.1:5: bind: address already in use",
            {"type": "visitor_error", "error": "listen tcp 127.0.0.1:5: bind: address already in use"},
        ),
        (
            "login to the server failed: EOF. With loginFailExit enabled, no additional retries will be attempted",
            {"type": "login_failed_exit", "error": "EOF", "timestamp": None},
        ),
        ("panic: runtime error: index out of range", {"type": "panic", "level": "error"}),
    ],
)  # fmt: skip
def test_real_lines(line: str, expected: dict[str, Any]) -> None:
    """Lines of real programs give type, tunnel and fields."""
    record = parse(line)
    assert {key: record[key] for key in expected} == expected


@pytest.mark.parametrize(
    "wrap",
    [
        "\x1b[1;34m{}\x1b[0m",
        "\x1b[0m\x1b[1;34m{}",
        "web-1  | {}",
        "frpc_1 | {}\r\n",
        "Jan 02 03:04:05 host frpc[123]: {}",
        "2026-01-02T03:04:05.678901234Z stdout F {}",
    ],
)
def test_what_stands_around_a_line(wrap: str) -> None:
    """Colours and the prefixes of docker compose, journald and kubernetes make no difference."""
    record = parse(wrap.format(f"{HEADER}[{RUN_ID}] [ssh] start proxy success"))
    assert (record["type"], record["tunnel_id"]) == ("tunnel_connected", "ssh")


def test_the_json_of_docker() -> None:
    """A line of docker's json-file driver is unwrapped."""
    inner = f"{HEADER}[{RUN_ID}] [ssh] start proxy success\n"
    record = parse(
        json.dumps({"log": inner, "stream": "stdout", "time": "2026-01-02T03:04:05Z"}, separators=(",", ":"))
    )
    assert (record["type"], record["tunnel_id"]) == ("tunnel_connected", "ssh")


@pytest.mark.parametrize(
    "line", ["", "   ", "hello", "GET / HTTP/1.1", "[1] x", "2026-01-02 hello", '{"log":', "\x00"]
)
def test_lines_of_others(line: str) -> None:
    """A line that frp did not write gives None."""
    assert OutputParser().parse_line(line) is None


def test_a_program_that_is_known_owns_its_lines() -> None:
    """When it is known whose output it is, a line without a header is its own."""
    assert parse("some text", "frpc")["type"] == "detail"
    assert parse("some text", "frpc")["program"] == "frpc"


def test_time_needs_a_zone() -> None:
    """Records have a time only when the zone of the program's clock is known."""
    line = f"{HEADER}admin server listen on 127.0.0.1:7400"
    assert parse(line)["time"] is None
    record = OutputParser(timezone=UTC).parse_line(line)
    assert record is not None
    assert record["time"] == datetime(2026, 1, 2, 3, 4, 5, 678000, UTC)


@pytest.mark.parametrize("template", templates(), ids=lambda template: str(template["template"])[:60])
def test_every_template(template: dict[str, Any]) -> None:
    """A line made from a template is recognised, with all its fields."""
    message = re.sub(
        r"%[-+]?\d*[a-zA-Z]", lambda match: "7" if match[0].endswith("d") else "x.y:1", template["template"]
    )
    named = "" if message.startswith("[") else "[name] "
    line = message if template.get("raw") else f"{HEADER}[{RUN_ID}] {named}{message}"
    record = parse(line, template["program"])
    if template["template"] != "start error: %v":  # visitors and tunnels share it; the caller tells
        assert record["type"] == template["event"]
    assert set(template.get("fields", ())) <= record.keys()


def test_no_field_hides_a_key() -> None:
    """No field of a template has the name of a key that every record has, but for run id and tunnel."""
    keys = {"type", "timestamp", "time", "level", "caller", "message", "program"}
    assert [template for template in templates() if keys & set(template.get("fields", ()))] == []


@given(st.text())
def test_it_never_raises(text: str) -> None:
    """Whatever the line, the parser gives a record or None."""
    for line in (text, HEADER + text, f"{HEADER}[{text}] {text}", f"[{text}] [E] [proxy] [{text}] {text}"):
        record = OutputParser().parse_line(line)
        assert (
            record is None or {"type", "timestamp", "time", "level", "tunnel_id", "message"} <= record.keys()
        )


@pytest.mark.parametrize(
    "line",
    [
        "[x] [I] [proxy] [" * 20_000,
        HEADER + "[a] " * 100_000,
        HEADER + "new proxy [" * 50_000,
        HEADER + "join connections, localConn(l[" * 20_000,
        "2026-01-02 03:04:05 [" * 20_000,
        "\x1b[" * 100_000,
    ],
)
def test_hostile_lines_take_no_time(line: str) -> None:
    """A line made to be slow is not: seconds would be quadratic, this allows for a slow machine."""
    began = time.process_time()
    OutputParser().parse_line(line)
    assert time.process_time() - began < 1.0


@given(st.lists(st.integers(1, 40), max_size=30))
def test_a_stream_in_any_pieces(sizes: list[int]) -> None:
    """The records of a stream do not depend on how it is cut."""
    stream = (f"{HEADER}[{RUN_ID}] [ä] start proxy success\n" * 3 + "no end").encode()
    parser, records, position = StreamParser("frpc"), [], 0
    for size in [*sizes, len(stream)]:
        records += parser.feed(stream[position : position + size])
        position += size
    records += parser.flush()
    assert [(record["type"], record["tunnel_id"]) for record in records] == [
        *[("tunnel_connected", "ä")] * 3,
        ("detail", None),
    ]


def test_a_line_without_end_is_bounded() -> None:
    """A stream without any line end does not grow in memory."""
    parser = StreamParser("frpc")
    for _ in range(100):
        assert list(parser.feed(b"x" * 65536)) == []
    assert len(parser._partial) <= 65536
