"""Lines for people: colours, hostile text, and a stderr that is gone."""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frp_wrapper.monitoring import FRPLogger, configure_logging, unconfigure_logging


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Undo what a test has configured."""
    yield
    unconfigure_logging()


@pytest.mark.parametrize(
    ("terminal", "environment", "coloured"),
    [(True, {}, True), (False, {}, False), (True, {"NO_COLOR": "1"}, False), (True, {"TERM": "dumb"}, False)],
)
def test_colours(
    terminal: bool, environment: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours are for terminals, and for nobody who does not want them; all that is seen is the same without them."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return terminal

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    configure_logging()
    FRPLogger("test").log_error(ValueError("bad"))
    text = stream.getvalue()
    assert ("\x1b[" in text) == coloured
    assert "error    -                  error_occurred" in re.sub(r"\x1b\[[\d;]*m", "", text)


HOSTILE = "a\n12:00:00.000 info forged\r\x1b[2J\x9b2J\u2028\u202e\x00\x7f"


def test_hostile_text_on_the_console(capsys: pytest.CaptureFixture[str]) -> None:
    """Text from outside can neither begin a line nor steer a terminal, wherever it stands."""
    configure_logging()
    FRPLogger("test").log_tunnel_event(HOSTILE, HOSTILE, **{HOSTILE: HOSTILE, "nested": {HOSTILE: [HOSTILE]}})
    printed = capsys.readouterr().err
    assert printed.endswith("\n")
    assert printed[:-1].isprintable()
    assert "\\x1b[2J" in printed


def test_a_console_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When stderr cannot be written the file still is, nothing raises, and what is lost is counted."""
    output = configure_logging(json_file=tmp_path / "log")
    monkeypatch.setattr(sys, "stderr", Path("/dev/full").open("w", buffering=1))  # noqa: SIM115 - it stands for stderr
    FRPLogger("test").log_tunnel_event("tunnel_created", "web")
    assert output.lost == 1
    assert json.loads((tmp_path / "log").read_text())["event"] == "tunnel_created"
    with contextlib.suppress(OSError):
        sys.stderr.close()
    monkeypatch.setattr(sys, "stderr", None)  # as under pythonw
    FRPLogger("test").log_tunnel_event("tunnel_closed", "web")
