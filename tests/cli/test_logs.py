"""``frpw logs`` on logs of real programs."""

from __future__ import annotations

import json
import os
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


def frpw(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command with this on its stdin."""
    return subprocess.run(
        [sys.executable, "-m", "frp_wrapper", "logs", *arguments],
        cwd=ROOT, input=text, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip


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
    ],
)
def test_filters(arguments: tuple[str, ...], count: int) -> None:
    """Level, tunnel and type choose records."""
    assert len(frpw("parse", *arguments, "-", text=LOG).stdout.splitlines()) == count


def test_explain() -> None:
    """``explain`` says what failed, how often, since when, which tunnels, and what to do."""
    text = frpw("explain", "-", text=LOG).stdout
    assert text.startswith("5 lines of frp, 1 of others")
    assert "2 x port_in_use" in text
    assert "from 2026-07-01 10:00:01.000 to 2026-07-01 10:00:31.000" in text
    assert "tunnels: web" in text
    assert "What to do: Choose another port" in text
    found = json.loads(frpw("explain", "--json", "-", text=LOG).stdout)
    assert (found["findings"][0]["reason"], found["findings"][0]["count"]) == ("port_in_use", 2)
    assert found["types"]["tunnel_error"] == 2


def test_a_log_without_faults() -> None:
    """A log in which nothing failed is said to be one; an empty one too."""
    assert "nothing went wrong" in frpw("explain", "-", text=LOG.splitlines()[0]).stdout
    assert frpw("explain", "-", text="").stdout.startswith("0 lines of frp")


def test_follow(tmp_path: Path) -> None:
    """``--follow`` waits for more, and gives a line when it is whole."""
    log = tmp_path / "frpc.log"
    log.write_text(LOG.splitlines(keepends=True)[0])
    process = start(
        sys.executable, "-m", "frp_wrapper", "logs", "parse", "--follow", log,
        cwd=ROOT, stdout=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )  # fmt: skip
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "connecting"
    line = LOG.splitlines(keepends=True)[1]
    with log.open("a") as file:
        file.write(line[:40])
        file.flush()
        time.sleep(0.5)
        file.write(line[40:])
    assert json.loads(process.stdout.readline())["type"] == "client_connected"


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
