"""``frpw logs`` on logs of real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from frp_wrapper import FRPClient, TunnelError
from frp_wrapper.frp.binary import find
from frp_wrapper.frp.frpc import free_port
from frp_wrapper.monitoring.log_report import report
from tests.processes import start

ROOT = Path(__file__).parents[2]
RUN = "0123456789abcdef"
LOG = f"""\
2026-07-01 10:00:00.123 [I] [client/service.go:312] try to connect to server...
2026-07-01 10:00:00.200 [I] [client/service.go:332] [{RUN}] login to server success, get run id [{RUN}]
2026-07-01 10:00:01.000 [W] [client/control.go:170] [{RUN}] [web] start error: port already used
2026-07-01 10:00:31.000 [W] [client/control.go:170] [{RUN}] [web] start error: port already used
2026-07-01 10:01:00.000 [E] [proxy/proxy.go:190] [{RUN}] [ssh] connect to local service [127.0.0.1:22] error: dial tcp 127.0.0.1:22: connect: connection refused
a line of another program
"""


def frpw(*arguments: object, text: str = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command with this on its stdin; it must end with this code."""
    result = subprocess.run(
        [sys.executable, "-m", "frp_wrapper", "logs", *map(str, arguments)],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == code, result.stderr
    return result


def test_parse() -> None:
    """``parse`` gives a line of JSON for each line of frp, with the reason of a failure."""
    records = [json.loads(line) for line in frpw("parse", "-", text=LOG).stdout.splitlines()]
    assert [record["type"] for record in records] == [
        "connecting", "client_connected", "tunnel_error", "tunnel_error", "connection_error",
    ]  # fmt: skip
    assert (records[2]["tunnel_id"], records[2]["reason"]) == ("web", "port_in_use")


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--level", "warning"), 3),
        (("--tunnel", "ssh"), 1),
        (("--type", "tunnel_error", "--type", "connecting"), 3),
        (("--reason", "local_service_down"), 1),
    ],
)
def test_filters(arguments: tuple[str, ...], count: int) -> None:
    """Level, tunnel, type and reason choose records."""
    assert len(frpw("parse", *arguments, "-", text=LOG).stdout.splitlines()) == count


def test_explain() -> None:
    """``explain`` says what failed, how often, since when, which tunnels, and what to do."""
    text = frpw("explain", "-", text=LOG).stdout
    assert text.startswith(
        "5 records of frp, 1 line of others, from 2026-07-01 10:00:00.123 to 2026-07-01 10:01:00.000"
    )
    assert "what happened: 2 tunnel_error, 1 connecting, 1 client_connected, 1 connection_error" in text
    assert "2 x port_in_use" in text
    assert "from 2026-07-01 10:00:01.000 to 2026-07-01 10:00:31.000" in text
    assert "tunnels: web" in text
    assert "1 x local_service_down" in text
    assert "What to do: Choose another port" in text
    found = json.loads(frpw("explain", "--json", "-", text=LOG).stdout)
    assert (found["findings"][0]["reason"], found["findings"][0]["count"]) == ("port_in_use", 2)
    assert found["types"]["tunnel_error"] == 2


def test_a_log_without_faults() -> None:
    """A log in which nothing failed is said to be one; an empty one too."""
    assert "nothing went wrong" in frpw("explain", "-", text=LOG.splitlines()[0]).stdout
    assert frpw("explain", "-", text="").stdout.startswith("0 records of frp\nnothing")


def test_a_type_that_is_none_is_named() -> None:
    """A type that no record can have is refused, with those that may have been meant."""
    stderr = frpw("parse", "--type", "tunel_error", "-", text=LOG, code=2).stderr
    assert "there is no type 'tunel_error'; did you mean tunnel_error" in " ".join(stderr.split())


def test_a_login_that_failed_counts_once() -> None:
    """What frpc says up to three times of one failed login counts once."""
    refused = "token in login doesn't match token from configuration"
    log = f"""\
2024/10/02 08:13:10 [E] [service.go:273] {refused}
2024/10/02 08:13:10 [W] [service.go:101] login to server failed: {refused}
{refused}
"""
    assert [(finding.reason, finding.count) for finding in report(log.splitlines()).findings] == [
        ("auth_failed", 1)
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str, tmp_path: Path) -> None:
    """A log is read in whatever encoding it was saved."""
    line = f"2026-07-01 10:00:01.000 [I] [client/control.go:170] [{RUN}] [한글] start proxy success\r\n"
    (tmp_path / "log").write_bytes(line.encode(encoding) * 2)
    records = [json.loads(line) for line in frpw("parse", tmp_path / "log").stdout.splitlines()]
    if encoding == "utf-16-be":  # without a mark nobody can tell; the names suffer
        assert [record["type"] for record in records] == ["tunnel_connected"] * 2
    else:
        assert [record["tunnel_id"] for record in records] == ["한글"] * 2


def test_a_line_that_is_far_too_long(tmp_path: Path) -> None:
    """A line of many megabytes is passed over in bounded memory, and what follows it is read."""
    with (tmp_path / "log").open("w") as file:
        for _ in range(50):
            file.write("x" * 1_000_000)
        file.write("\n" + LOG)
    assert len(frpw("parse", tmp_path / "log").stdout.splitlines()) == 5


def follow(log: Path) -> subprocess.Popen[str]:
    """Follow a log."""
    return start(
        sys.executable, "-m", "frp_wrapper", "logs", "parse", "--follow", log,
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


def kind(process: subprocess.Popen[str]) -> str:
    """Wait for a record and give its type."""
    assert process.stdout is not None
    return str(json.loads(process.stdout.readline())["type"])


def test_follow(tmp_path: Path) -> None:
    """``--follow`` waits for more, gives a line when it is whole, and ends with Ctrl-C in order."""
    log = tmp_path / "frpc.log"
    log.write_text(LOG.splitlines(keepends=True)[0])
    process = follow(log)
    assert kind(process) == "connecting"
    line = LOG.splitlines(keepends=True)[1]
    with log.open("a") as file:
        file.write(line[:40])
        file.flush()
        time.sleep(0.5)
        file.write(line[40:])
    assert kind(process) == "client_connected"
    process.send_signal(signal.SIGINT)
    assert "".join(process.communicate(timeout=20)).strip() == ""
    assert process.returncode == 130


@pytest.mark.parametrize("how", ["renamed", "emptied"])
def test_follow_a_log_that_is_begun_anew(how: str, tmp_path: Path) -> None:
    """``--follow`` goes on with the new file when the old one was set aside or emptied, as frp and logrotate do."""
    log = tmp_path / "frpc.log"
    log.write_text("".join(LOG.splitlines(keepends=True)[:2]))
    process = follow(log)
    assert [kind(process), kind(process)] == ["connecting", "client_connected"]
    if how == "renamed":
        log.rename(tmp_path / "frpc.2026-07-01.log")
    log.write_text(LOG.splitlines(keepends=True)[4])
    assert kind(process) == "connection_error"


def test_follow_tells_of_a_crash(tmp_path: Path) -> None:
    """A crash is told as one record when nothing follows it, for the program has ended."""
    log = tmp_path / "frpc.log"
    log.write_text(
        "panic: close of closed channel\n\ngoroutine 1 [running]:\nmain.main()\n\t/src/main.go:12 +0x1d\n"
    )
    process = follow(log)
    assert process.stdout is not None
    record = json.loads(process.stdout.readline())
    assert (record["type"], record["lines"]) == ("panic", 5)


@pytest.mark.integration
@pytest.mark.parametrize("version", ["0.71.0", "0.61.2", "0.52.3"])
def test_a_log_of_real_frps(version: str, tmp_path: Path) -> None:
    """Every line of a real frps, of several versions, is recognised; a refused tunnel is explained."""
    port = free_port()
    (tmp_path / "frps.toml").write_text(
        f'bindAddr = "127.0.0.1"\nbindPort = {port}\nlog.to = "console"\nlog.level = "trace"\nlog.disablePrintColor = false\n'
    )
    with (tmp_path / "log").open("w") as log:
        process = start(find("frps", version=version), "-c", tmp_path / "frps.toml", stdout=log, stderr=log)
        client = FRPClient("localhost", port, frp_version=version)
        client.connect(retry=True)  # it may not listen yet
        tunnel = client.expose_tcp(1, name="web")
        with pytest.raises(TunnelError):
            client.expose_tcp(1, name="other", remote_port=tunnel.public_port)
        client.close()
        process.kill()
        process.wait()
    found = report((tmp_path / "log").read_text().splitlines(), "frps")
    assert found.others == 0
    assert found.types.get("detail", 0) < found.records / 2
    assert "port_in_use" in [finding.reason for finding in found.findings]
