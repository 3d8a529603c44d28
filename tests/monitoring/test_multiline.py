"""One record over several lines, and streams of lines in any pieces."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.monitoring.log_report import read_records
from frp_wrapper.monitoring.parser import OutputParser, StreamParser
from tests.monitoring.frp_lines import RUN_ID, golib

HEADER = "2026-01-02 03:04:05.678 [I] [client/control.go:172] "
CRASH = """\
panic: close of closed channel

goroutine 65 [running]:
github.com/fatedier/frp/client.(*Service).loopLoginUntilSuccess.func1()
\tgithub.com/fatedier/frp/client/service.go:331 +0x517
main.main()
\t/src/main.go:12 +0x1d
runtime.goexit({})
\truntime/asm_amd64.s:1700 +0x1
created by github.com/fatedier/frp/client.(*Service).Run in goroutine 1
\tgithub.com/fatedier/frp/client/service.go:173 +0x159
exit status 2
"""
RECOVERED = f"""\
2021/04/21 12:48:42 [E] [control.go:324] [{RUN_ID}] panic error: send on closed channel
2021/04/21 12:48:42 [E] [control.go:325] [{RUN_ID}] goroutine 1294227 [running]:
runtime/debug.Stack(0xc0000b8070, 0x3, 0xc0090bc8c0)
        runtime/debug/stack.go:24 +0x9f
github.com/fatedier/frp/server.(*Control).reader.func1(0xc008bdfe30)
        github.com/fatedier/frp/server/control.go:325 +0xe5
panic(0xa36ac0, 0xd04260)
        runtime/panic.go:969 +0x1b9

2021/04/21 13:00:28 [I] [control.go:324] [{RUN_ID}] client exit success
"""


def types(text: str, program: str | None = None) -> list[str]:
    """Give the types of the records of a text."""
    return [record["type"] for record in OutputParser(program).parse(text)]


@pytest.mark.parametrize("program", [None, "frpc"])
@pytest.mark.parametrize(
    "prefix", ["", "frpc-1  | ", "Jul 01 10:00:00 host frpc[1]: ", "2026-07-01T10:00:00.1Z "]
)
def test_a_crash_is_one_record(program: str | None, prefix: str) -> None:
    """A stack trace is one record with its whole text, whatever collects the lines."""
    before = golib("I", "client/service.go:1", "try to connect to server...")
    text = "".join(f"{prefix}{line}\n" for line in [before, *CRASH.splitlines(), before])
    first, crash, last = OutputParser(program).parse(text)
    assert (first["type"], last["type"]) == ("connecting", "connecting")
    assert (crash["type"], crash["message"], crash["lines"]) == ("panic", CRASH.rstrip(), 12)


def test_a_panic_that_frp_survived_is_one_record() -> None:
    """The two lines with a header and the stack trace that frp prints of it are one record."""
    panic, after = OutputParser().parse(RECOVERED)
    assert (panic["type"], panic["error"], after["type"]) == (
        "panic",
        "send on closed channel",
        "client_disconnected",
    )
    assert panic["message"].startswith("panic error: send on closed channel\ngoroutine 1294227 [running]:\n")
    assert panic["message"].endswith("runtime/panic.go:969 +0x1b9")


def test_two_crashes_are_two_records() -> None:
    """A program that crashes, is started again and crashes again, tells of two crashes."""
    assert types(CRASH + CRASH) == ["panic", "panic"]


def test_what_follows_a_crash_is_not_of_it() -> None:
    """A line of another program ends a stack trace, unless all lines are known to be frp's."""
    assert types(f"{CRASH}some words of a shell\n") == ["panic"]
    records = list(OutputParser().parse(f"{CRASH}some words of a shell\n"))
    assert "shell" not in records[0]["message"]
    assert "shell" in next(OutputParser("frpc").parse(f"{CRASH}some words of a shell\n"))["message"]


def test_the_text_of_a_record_is_bounded() -> None:
    """A stack trace without end is cut; its lines are counted."""
    (record,) = OutputParser().parse(CRASH + "main.main()\n\t/src/main.go:12 +0x1d\n" * 10_000)
    assert len(record["message"]) <= 16384
    assert record["lines"] == 12 + 20_000


@pytest.mark.parametrize("program", [None, "frpc"])
def test_a_validation_error_is_one_record(program: str | None) -> None:
    """The further lines of a refused reload belong to its record."""
    text = f"""\
{golib("W", "client/admin_api.go:92", "reload frpc proxy config error: proxy web: localPort: invalid port")}
proxy ssh: not support health check type: x
invalid auth method, optional values are [token oidc]
{golib("I", "client/admin_api.go:81", "api response [/api/reload], code [400]")}
"""
    failed, access = OutputParser(program).parse(text)
    assert (failed["type"], access["type"], failed["lines"]) == ("config_reload_failed", "admin_access", 3)
    assert failed["error"].splitlines()[1:] == text.splitlines()[1:3]


def test_errors_of_starts_are_records_of_their_own() -> None:
    """A program that is started again and again tells of each start."""
    assert types('json: unknown field "auto"\n' * 3) == ["config_error"] * 3


def test_the_last_words_of_old_versions() -> None:
    """Up to v0.52 frpc repeats the error of a login without a header; nobody else can have said it."""
    error = "some answer of a plugin"
    text = f"2024/10/02 08:13:10 [W] [service.go:101] login to server failed: {error}\n{error}\n{error}\n"
    records = list(OutputParser().parse(text))
    assert [record["type"] for record in records] == ["login_failed", "login_failed_exit"]
    assert (records[1]["error"], records[1]["message"], records[1]["timestamp"]) == (error, error, None)


def test_lines_of_others_are_counted_not_joined() -> None:
    """Lines between those of frp that are not frp's give no record."""
    line = golib("I", "client/service.go:1", "try to connect to server...")
    assert types(f"{line}\nhello\n\n{line}\n") == ["connecting", "connecting"]


def test_a_pause_ends_a_record() -> None:
    """Whoever follows a log learns of a crash when nothing more comes."""
    records = read_records([*CRASH.splitlines(), None, *CRASH.splitlines()])
    assert next(records)["lines"] == 12


STREAM = (
    f"{HEADER}[{RUN_ID}] [ä] start proxy success\n" * 3
    + f"\x1b[0m\x1b[1;34m{HEADER}[{RUN_ID}] [b] start proxy success\r\n"
    + f"{HEADER}[{RUN_ID}] [c] start proxy success" * 2
    + "\n"
    + RECOVERED
    + f"{HEADER}http request: [/api/status]\n"
    + CRASH
    + "no end"
).encode()
WHOLE = ["ä", "ä", "ä", "b", "c", "c", None, None, None]


def records_of(chunks: list[bytes]) -> list[dict[str, Any]]:
    """Feed a stream and give its records."""
    parser = StreamParser("frpc", (b"[/api/status]",))
    fed = [record for chunk in chunks for record in parser.feed(chunk)]
    return fed + list(parser.flush())


@given(st.lists(st.integers(1, 60), max_size=60))
def test_a_stream_in_any_pieces(sizes: list[int]) -> None:
    """The records of a stream do not depend on how it is cut."""
    chunks, position = [], 0
    for size in [*sizes, len(STREAM)]:
        chunks.append(STREAM[position : position + size])
        position += size
    records = records_of(chunks)
    assert [record["tunnel_id"] for record in records] == WHOLE
    assert records == records_of([STREAM])
    assert [record["type"] for record in records[-3:]] == ["panic", "client_disconnected", "panic"]


def test_a_stream_holds_nothing_back_that_is_whole() -> None:
    """A record is given with its line; only what can go on waits for the next line, be it one that is skipped."""
    parser = StreamParser("frpc", (b"[/api/status]",))
    assert len(list(parser.feed(f"{HEADER}[{RUN_ID}] [a] start proxy success\n".encode()))) == 1
    refused = f"{HEADER}reload frpc proxy config error: proxy a: no\n"
    assert list(parser.feed(refused.encode())) == []
    assert [record["type"] for record in parser.feed(f"{HEADER}http request: [/api/status]\n".encode())] == [
        "config_reload_failed"
    ]


def test_a_line_without_end_is_bounded() -> None:
    """A stream without any line end does not grow in memory."""
    parser = StreamParser("frpc")
    for _ in range(100):
        assert list(parser.feed(b"x" * 65536)) == []
    assert len(parser._partial) <= 65536
