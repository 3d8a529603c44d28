"""Logging: the specification's scenario, silence by default, and the output that `configure_logging` sets up."""

from __future__ import annotations

import contextlib
import gzip
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from frp_wrapper import FRPClient, FRPServer
from frp_wrapper.monitoring import FRPLogger, LogLevel, configure_logging, unconfigure_logging
from frp_wrapper.monitoring.log_file import RotatingFile
from frp_wrapper.monitoring.log_output import mask_secret


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
        "assert not structlog.is_configured() and not logging.getLogger().handlers"
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


def test_a_console_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When stderr cannot be written the file still is, and nothing raises."""
    configure_logging(json_file=tmp_path / "log")
    monkeypatch.setattr(sys, "stderr", Path("/dev/full").open("w", buffering=1))  # noqa: SIM115 - it stands for stderr
    logger = FRPLogger("test")
    logger.log_tunnel_event("tunnel_created", "web")
    assert logger.failures == 1
    assert lines(tmp_path / "log")[0]["event"] == "tunnel_created"
    with contextlib.suppress(OSError):
        sys.stderr.close()


def test_console_and_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both are written at once: a line for people, and one of JSON that only this user can read."""
    configure_logging(json_file=tmp_path / "logs" / "frp.jsonl")
    FRPLogger("test").log_tunnel_event("tunnel_created", "web", local_port=3000)
    FRPLogger("test").logger.warning("by structlog", tunnel_id="api")
    first, second = lines(tmp_path / "logs" / "frp.jsonl")
    assert {
        "level": "info", "logger": "test", "event": "tunnel_created", "tunnel_id": "web", "local_port": 3000,
    }.items() <= first.items()  # fmt: skip
    assert first["timestamp"].endswith("+00:00")
    assert (second["event"], second["tunnel_id"], second["level"]) == ("by structlog", "api", "warning")
    assert (tmp_path / "logs" / "frp.jsonl").stat().st_mode & 0o777 == 0o600
    assert "test: tunnel_created tunnel_id='web' local_port=3000" in capsys.readouterr().err


def test_the_level_of_the_output(tmp_path: Path) -> None:
    """Records below the configured level are dropped, by whatever way they come."""
    configure_logging("warning", console=False, json_file=tmp_path / "log")
    FRPLogger("test").log_tunnel_event("a", "b")
    FRPLogger("test").logger.info("c")
    FRPLogger("test").log_error(ValueError("d"))
    assert [record["event"] for record in lines(tmp_path / "log")] == ["error_occurred"]


def test_secrets_are_masked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Neither a field that names a secret nor a known secret inside a text is written."""
    configure_logging(json_file=tmp_path / "log")
    mask_secret('s3cr"et-token')
    FRPLogger("test").log_tunnel_event(
        "x", "web", auth_token="abc", http_password="def", message='said s3cr"et-token loudly'
    )
    written = (tmp_path / "log").read_text() + capsys.readouterr().err
    for secret in ("abc", "def", 's3cr"et', 's3cr\\"et'):
        assert secret not in written
    assert "said *** loudly" in written


def test_repeated_records_are_folded(tmp_path: Path) -> None:
    """A record that repeats the one before is counted and told with the next, or at the end."""
    configure_logging(console=False, json_file=tmp_path / "log")
    logger = FRPLogger("test")
    for _ in range(215):
        logger.log_tunnel_event("again", "web")
    logger.log_tunnel_event("other", "web")
    logger.log_tunnel_event("other", "web")
    unconfigure_logging()
    records = [(record["event"], record.get("repeated")) for record in lines(tmp_path / "log")]
    assert records == [("again", None), ("again", 214), ("other", None), ("other", 1)]


def test_what_is_no_json(tmp_path: Path) -> None:
    """Values that JSON does not know are written as they print; nothing raises."""
    configure_logging(console=False, json_file=tmp_path / "log")
    FRPLogger("test").log_tunnel_event(
        "x", "web", error=ValueError("bad"), where=Path("/tmp"), data=b"\xff", big=1 << 70
    )
    (record,) = lines(tmp_path / "log")
    assert (record["error"], record["where"]) == ("bad", "/tmp")


def read_all(folder: Path) -> list[bytes]:
    """Give the lines of a log and its older files."""
    packed = [gzip.decompress(path.read_bytes()) for path in sorted(folder.glob("log.*.gz"))]
    return b"".join([*packed, (folder / "log").read_bytes()]).splitlines()


def test_rotation_loses_nothing(tmp_path: Path) -> None:
    """A full file is set aside and compressed; every line of every thread is there, once."""
    file = RotatingFile(tmp_path / "log", max_bytes=10_000, max_age=3600, keep_bytes=1 << 30)

    def write(name: int) -> None:
        for number in range(1000):
            file.write(b"%d %d %s\n" % (name, number, b"x" * 40))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    written = read_all(tmp_path)
    assert len(written) == len(set(written)) == 4000
    assert file.lost == 0
    assert (tmp_path / "log").stat().st_size <= 10_000
    assert not [path for path in tmp_path.iterdir() if path.name != "log" and path.suffix != ".gz"]


def test_the_total_is_bounded(tmp_path: Path) -> None:
    """Of older files the oldest go when all together are too large."""
    file = RotatingFile(tmp_path / "log", max_bytes=5_000, max_age=3600, keep_bytes=12_000)
    import os

    for _ in range(100):
        file.write(os.urandom(500).hex().encode() + b"\n")
    file.close()
    older = sorted(tmp_path.glob("log.*"))
    assert all(path.suffix == ".gz" for path in older)
    assert 6_000 < sum(path.stat().st_size for path in older) <= 12_000


def test_what_a_killed_process_left_is_compressed(tmp_path: Path) -> None:
    """A file that was set aside and not yet compressed when its process was killed is compressed by the next."""
    (tmp_path / "log.20260102-030405-000000001").write_bytes(b"old\n")
    RotatingFile(tmp_path / "log", max_bytes=1 << 20, max_age=3600, keep_bytes=1 << 20).close()
    assert read_all(tmp_path) == [b"old"]


def test_an_old_file_is_set_aside(tmp_path: Path) -> None:
    """Age rotates too."""
    file = RotatingFile(tmp_path / "log", max_bytes=1 << 20, max_age=0.05, keep_bytes=1 << 20)
    file.write(b"old\n")
    time.sleep(0.1)
    file.write(b"new\n")
    file.close()
    assert (tmp_path / "log").read_bytes() == b"new\n"
    assert read_all(tmp_path) == [b"old", b"new"]


def test_a_file_is_taken_up_again(tmp_path: Path) -> None:
    """A second run appends to what is there."""
    for text in (b"one\n", b"two\n"):
        file = RotatingFile(tmp_path / "log", max_bytes=1 << 20, max_age=3600, keep_bytes=1 << 20)
        file.write(text)
        file.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    """What cannot be written is counted, and does not raise into the program that logs."""
    (tmp_path / "log").symlink_to("/dev/full")
    file = RotatingFile(tmp_path / "log", max_bytes=1 << 20, max_age=3600, keep_bytes=1 << 20)
    file.write(b"x\n")
    file.close()
    assert file.lost == 1


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
