"""Logging: the specification's scenario, silence by default, and the output that `configure_logging` sets up."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import structlog

from frp_wrapper import ConfigError, FRPClient, FRPServer
from frp_wrapper.monitoring import FRPLogger, LogLevel, configure_logging, unconfigure_logging
from frp_wrapper.monitoring.log_mask import mask_secret


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Undo what a test has configured."""
    yield
    unconfigure_logging()


def lines(path: Path) -> list[dict[str, Any]]:
    """Give the records of a file."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_structured_logging() -> None:
    """Scenario "structured logging" of the specification, word for word."""
    from structlog.testing import capture_logs

    logger = FRPLogger("test")
    with capture_logs() as cap_logs:
        logger.log_tunnel_event("tunnel_created", "tunnel_123", local_port=3000, remote_port=8080)
    log = cap_logs[0]
    assert log["event"] == "tunnel_created"
    assert log["tunnel_id"] == "tunnel_123"
    assert log["local_port"] == 3000


def test_an_error_is_an_event() -> None:
    """`log_error` gives type, message and context."""
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        FRPLogger("test").log_error(ValueError("bad"), {"tunnel_id": "web"})
        FRPLogger("test").log_error(ValueError("worse"))
    assert logs[0] == {
        "event": "error_occurred", "log_level": "error", "error_type": "ValueError", "error_message": "bad",
        "context": {"tunnel_id": "web"},
    }  # fmt: skip
    assert logs[1]["context"] == {}


def test_a_level_filters() -> None:
    """Records below the logger's level are dropped."""
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        FRPLogger("test", LogLevel.ERROR).log_tunnel_event("tunnel_created", "web")
        FRPLogger("test", LogLevel.DEBUG).log(LogLevel.DEBUG, "detail")
    assert [log["event"] for log in logs] == ["detail"]


def test_the_host_is_left_alone() -> None:
    """Making and using a logger neither configures structlog nor the root logger, and prints nothing."""
    code = (
        "import logging, structlog\n"
        "from frp_wrapper.monitoring import FRPLogger\n"
        "logger = FRPLogger('x')\n"
        "logger.log_tunnel_event('a', 'b'); logger.log_error(ValueError('c')); logger.logger.warning('d')\n"
        "FRPLogger('x.y').log_error(ValueError('c'))\n"
        "assert not structlog.is_configured() and not logging.getLogger().handlers\n"
        "assert not logging.getLogger('frp_wrapper').handlers"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_the_standard_library(caplog: pytest.LogCaptureFixture) -> None:
    """Without structlog's configuration records go to the logger ``frp_wrapper.NAME`` of the standard library."""
    with caplog.at_level(logging.INFO, "frp_wrapper"):
        FRPLogger("test").log_tunnel_event("tunnel_created", "web", local_port=3000)
    assert [record.name for record in caplog.records] == ["frp_wrapper.test"]
    assert "tunnel_created" in caplog.text
    assert "local_port=3000" in caplog.text


def test_the_hosts_structlog() -> None:
    """A host that has configured structlog gets the records in its own pipeline."""
    seen: list[dict[str, Any]] = []

    def keep(_logger: object, _method: str, record: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(record))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    FRPLogger("test").log_tunnel_event("tunnel_created", "web")
    assert seen[0]["tunnel_id"] == "web"


def test_a_pipeline_that_raises() -> None:
    """A host whose logging is broken loses records, not tunnels; how many is counted."""

    def broken(*_: object) -> dict[str, Any]:
        raise RuntimeError("broken")

    structlog.configure(processors=[broken])
    logger = FRPLogger("test")
    logger.log_tunnel_event("tunnel_created", "web")
    assert logger.failures == 1


def test_any_field_may_be_given() -> None:
    """No name of a field is taken by the logger; one that every record has gets another name."""
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        FRPLogger("test").log_tunnel_event("x", "web", level="high", self=1, number=2)
        FRPLogger("test").log(LogLevel.INFO, "y", level="high", event="z", name="n", method_name="m")
    assert logs[0] == {
        "event": "x",
        "log_level": "info",
        "tunnel_id": "web",
        "level_": "high",
        "self": 1,
        "number": 2,
    }
    assert logs[1] == {
        "event": "y", "log_level": "info", "level_": "high", "event_": "z", "name": "n", "method_name": "m",
    }  # fmt: skip


def test_an_error_that_cannot_be_printed() -> None:
    """Logging an exception does not raise another."""
    from structlog.testing import capture_logs

    class Bad(Exception):  # noqa: N818 - bad it is
        def __str__(self) -> str:
            raise RuntimeError

    with capture_logs() as logs:
        FRPLogger("test").log_error(Bad())
    assert logs[0]["error_message"] == "<Bad that cannot be printed>"


@pytest.mark.parametrize("way", ["output", "host", "filtering host", "standard library"])
def test_every_way_masks(
    way: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The secrets of a client leave by no way: not in fields, texts, errors, tracebacks, nor through `logger`."""
    mask_secret("the-token-of-a-client")
    if way == "output":
        configure_logging(json_file=tmp_path / "log")
    if way == "host":
        structlog.configure()
    if way == "filtering host":
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    logger = FRPLogger("test")
    with caplog.at_level(logging.INFO):
        logger.log_tunnel_event(
            "with the-token-of-a-client", "web", event_data={"a": ["the-token-of-a-client"]}
        )
        logger.log_tunnel_event("x", "web", auth_token="another", context={"password": "another"})
        logger.logger.bind(note="the-token-of-a-client").info("y", secret="another", tunnel_id="web")
        logger.logger.info("the-token-of-a-client")
        try:
            raise ValueError("bad the-token-of-a-client")
        except ValueError as error:
            logger.log_error(error, {"tunnel_id": "web"})
            logger.log(LogLevel.ERROR, "e", exc_info=True)
            logger.logger.error("f", exc_info=error)
    unconfigure_logging()
    out, err = capsys.readouterr()
    written = out + err + caplog.text + "".join(path.read_text() for path in tmp_path.iterdir())
    assert "the-token-of-a-client" not in written
    assert "another" not in written
    assert written.count("error_occurred") >= 1
    assert written.count("Traceback") >= 2
    assert logger.failures == 0


def test_the_host_keeps_its_exceptions() -> None:
    """An exception without secrets reaches the host's processors as it is: they know how to show it."""
    seen: list[dict[str, Any]] = []

    def keep(_logger: object, _method: str, record: dict[str, Any]) -> dict[str, Any]:
        seen.append(dict(record))
        raise structlog.DropEvent

    structlog.configure(processors=[keep])
    error = ValueError("bad")
    FRPLogger("test").log(LogLevel.ERROR, "e", exc_info=error)
    assert seen[0]["exc_info"] is error


@pytest.mark.parametrize("way", ["output", "host", "standard library"])
def test_a_level_filters_everywhere(way: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The level of a logger holds for `logger` too, by every way, and may be changed."""
    seen: list[str] = []

    def keep(_logger: object, _method: str, record: dict[str, Any]) -> dict[str, Any]:
        seen.append(record["event"])
        raise structlog.DropEvent

    if way == "output":
        configure_logging("debug", console=False, json_file=tmp_path / "log")
    if way == "host":
        structlog.configure(processors=[keep], wrapper_class=structlog.stdlib.BoundLogger)
    with caplog.at_level(logging.DEBUG):
        logger = FRPLogger("test", LogLevel.WARNING)
        logger.logger.info("no")
        logger.logger.warning("yes")
        logger.level = LogLevel.DEBUG
        logger.logger.debug("now %s", "too")
    unconfigure_logging()
    seen += [record["event"] for path in tmp_path.iterdir() for record in lines(path)]
    events = seen or [record.getMessage() for record in caplog.records]
    assert len(events) == 2
    assert "yes" in events[0]
    assert "now" in events[1]


def test_a_standard_handler_that_is_far_up() -> None:
    """A handler on a logger between ours and the root hears; without any, nothing is printed, not even an error."""
    heard: list[str] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    handler, between = Keep(), logging.getLogger("frp_wrapper.far")
    between.addHandler(handler)
    between.setLevel(logging.INFO)
    try:
        FRPLogger("far.away").log_tunnel_event("x", "web")
    finally:
        between.removeHandler(handler)
        between.setLevel(logging.NOTSET)
    assert heard == ["event='x' tunnel_id='web'"]


def test_a_handler_that_logs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stderr, or a value, that logs while it is being written does not hang the program."""
    logger = FRPLogger("test")

    class Chatty:
        def isatty(self) -> bool:
            return False

        def write(self, text: str) -> int:
            logger.log_tunnel_event("written", "web", length=len(text))
            return len(text)

    class Value:
        def __str__(self) -> str:
            logger.log_tunnel_event("printed", "web")
            return "value"

    output = configure_logging(json_file=tmp_path / "log")
    monkeypatch.setattr(sys, "stderr", Chatty())
    logger.log_tunnel_event("x", "web", value=Value())
    unconfigure_logging()
    assert [record["event"] for record in lines(tmp_path / "log")] == ["printed", "written", "x", "written"]
    assert output.lost == 2  # what came while stderr itself logged


def test_console_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are written at once: a line for people, and one of JSON that only this user can read."""
    configure_logging(json_file=tmp_path / "logs" / "frp.jsonl")
    FRPLogger("test").log_tunnel_event("tunnel_created", "web", local_port=3000)
    FRPLogger("test").logger.warning("by structlog", tunnel_id="api")
    first, second = lines(tmp_path / "logs" / "frp.jsonl")
    assert list(first) == ["timestamp", "level", "logger", "event", "tunnel_id", "local_port"]
    assert {
        "level": "info", "logger": "test", "event": "tunnel_created", "tunnel_id": "web", "local_port": 3000,
    }.items() <= first.items()  # fmt: skip
    assert abs(datetime.fromisoformat(first["timestamp"]).timestamp() - time.time()) < 60
    assert first["timestamp"].endswith("+00:00")
    assert (second["event"], second["tunnel_id"], second["level"]) == ("by structlog", "api", "warning")
    assert (tmp_path / "logs" / "frp.jsonl").stat().st_mode & 0o777 == 0o600
    printed = capsys.readouterr().err.splitlines()
    assert printed[0][13:] == f"info     {'web':18} {'tunnel_created':32} local_port=3000 (test)"
    assert printed[1][13:] == f"warning  {'api':18} {'by structlog':32} (test)"


HOSTILE = "a\n12:00:00.000 info forged\r\x1b[2J\x9b2J\u2028\u202e\x00\x7f"


def test_hostile_text_in_the_file(tmp_path: Path) -> None:
    """A record is one line whatever way lines are split, can be printed safely, and gives the text as it was."""
    configure_logging(console=False, json_file=tmp_path / "log")
    FRPLogger("test").log_tunnel_event(HOSTILE, "한글", note=HOSTILE)
    (record,) = lines(tmp_path / "log")
    text = (tmp_path / "log").read_text("utf-8")
    assert (record["event"], record["note"], record["tunnel_id"]) == (HOSTILE, HOSTILE, "한글")
    assert text[:-1].replace("\x7f", "").isprintable()
    assert "한글" in text


def test_the_level_of_the_output(tmp_path: Path) -> None:
    """Records below the configured level are dropped, by whatever way they come."""
    configure_logging("WARNING", console=False, json_file=tmp_path / "log")
    FRPLogger("test").log_tunnel_event("a", "b")
    FRPLogger("test").logger.info("c")
    FRPLogger("test").log_error(ValueError("d"))
    assert [record["event"] for record in lines(tmp_path / "log")] == ["error_occurred"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("level", "loud"), ("max_bytes", 0), ("max_age", 0), ("keep_bytes", -1), ("keep_age", float("nan"))],
)
def test_bad_arguments(name: str, value: Any, tmp_path: Path) -> None:
    """What makes no sense is refused with a sentence that names it, and what is configured stays."""
    before = configure_logging(console=False, json_file=tmp_path / "log")
    with pytest.raises(ConfigError, match=f"{name}.*{value}"):
        configure_logging(**{name: value})
    FRPLogger("test").log_tunnel_event("x", "web")
    before.flush()
    assert len(lines(tmp_path / "log")) == 1


def test_a_second_call_takes_the_place_of_the_first(tmp_path: Path) -> None:
    """Records go where the last call said, and the first file is closed with all that was counted for it."""
    configure_logging(console=False, json_file=tmp_path / "one")
    for _ in range(3):
        FRPLogger("test").log_tunnel_event("x", "web")
    configure_logging(console=False, json_file=tmp_path / "two")
    FRPLogger("test").log_tunnel_event("x", "web")
    unconfigure_logging()
    unconfigure_logging()
    assert [record.get("repeated") for record in lines(tmp_path / "one")] == [None, 2]
    assert [record.get("repeated") for record in lines(tmp_path / "two")] == [None]


def test_a_program_that_ends(tmp_path: Path) -> None:
    """What waits and what was counted is written when a program ends without a word."""
    code = (
        "import sys; from frp_wrapper.monitoring import FRPLogger, configure_logging\n"
        "configure_logging(console=False, json_file=sys.argv[1])\n"
        "for event in ('a', 'b', 'b', 'b'): FRPLogger('x').log_tunnel_event(event, 'web')"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "log"], check=True)
    assert [(r["event"], r.get("repeated")) for r in lines(tmp_path / "log")] == [
        ("a", None),
        ("b", None),
        ("b", 2),
    ]


def test_repeated_records_are_folded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that repeats a recent one is counted, also when two alternate, and told at the end."""
    configure_logging(json_file=tmp_path / "log")
    logger = FRPLogger("test")
    for _ in range(215):
        logger.log_tunnel_event("again", "web")
        logger.log_tunnel_event("again", "api")
    logger.log_tunnel_event("other", "web")
    unconfigure_logging()
    records = [
        (record["event"], record["tunnel_id"], record.get("repeated")) for record in lines(tmp_path / "log")
    ]
    assert records == [
        ("again", "web", None), ("again", "api", None), ("other", "web", None),
        ("again", "web", 214), ("again", "api", 214),
    ]  # fmt: skip
    printed = capsys.readouterr().err.splitlines()
    assert [line.split()[2:] for line in printed[-2:]] == [
        ["web", "again", "x214", "(test)"], ["api", "again", "x214", "(test)"],
    ]  # fmt: skip


def test_what_is_no_json(tmp_path: Path) -> None:
    """Values that JSON does not know are written as they print; nothing raises."""
    configure_logging(console=False, json_file=tmp_path / "log")
    FRPLogger("test").log_tunnel_event(
        "x\ud800", "web", error=ValueError("bad"), where=Path("/tmp"), data=b"\xff", big=1 << 70
    )
    FRPLogger("test").log_tunnel_event("y", "\ud800", big=1 << 70)
    unconfigure_logging()
    first, second = lines(tmp_path / "log")
    assert (first["event"], first["error"], first["where"], first["big"]) == (
        "x\\ud800",
        "bad",
        "/tmp",
        str(1 << 70),
    )
    assert (second["tunnel_id"], second["big"]) == ("\\ud800", str(1 << 70))


def test_without_orjson(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The records are the same where orjson is not installed."""
    files = []
    for name in ("with", "without"):
        configure_logging(console=False, json_file=tmp_path / name)
        logger = FRPLogger("test")
        logger.log_tunnel_event(
            "x", "한글", n=1, f=0.1, t=True, none=None, nan=float("nan"), d={"a": [1, "\u2028"]}
        )
        logger.log_tunnel_event("y", 'a"b\\c\n', big=1 << 70, half="\ud800")
        unconfigure_logging()
        files.append([line[45:] for line in (tmp_path / name).read_bytes().splitlines()])  # without the time
        monkeypatch.setitem(sys.modules, "orjson", None)
    assert files[0] == files[1]


GUIDE = (Path(__file__).parents[1] / "docs" / "logging.md").read_text("utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL))
def test_the_guide_runs(block: str, tmp_path: Path) -> None:
    """Each example of the guide runs as it stands, but for the place of the file, and says nothing but what it logs."""
    source = block.replace("/var/log/frp", str(tmp_path))
    result = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert "Traceback" not in result.stderr
    if "json_file" in block:
        example = re.search(r"```text\n(.*?)```\n\n```json\n(.*?)```", GUIDE, re.DOTALL)
        assert example
        assert result.stderr[12:] == example[1][12:]
        assert (tmp_path / "tunnels.jsonl").read_text()[44:] == example[2][44:]


@pytest.mark.integration
def test_frpcs_lines_are_records(frps_path: object, frpc_path: object, tmp_path: Path) -> None:
    """Frpc's own lines come through with their tunnel, and the token is in none of them."""
    configure_logging(console=False, json_file=tmp_path / "log")
    with (
        FRPServer() as server,
        FRPClient("localhost", server.bind_port, auth_token=server.auth_token) as client,
    ):
        client.expose_tcp(1, name="web")
        token = server.auth_token
    unconfigure_logging()
    records = [record for record in lines(tmp_path / "log") if record["logger"] == "frpc"]
    assert ("tunnel_connected", "web") in [(record["event"], record["tunnel_id"]) for record in records]
    assert token not in (tmp_path / "log").read_text()
