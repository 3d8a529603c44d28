"""What the documents say is so: examples run, and generated pages are current."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from frp_wrapper import EventType, FRPServer
from frp_wrapper.files import load
from frp_wrapper.monitoring.rules import NAMES, built_in_rules
from frp_wrapper.reasons import REASONS, explain
from tests.processes import start

ROOT = Path(__file__).parents[1]


def test_generated_pages_are_current() -> None:
    """Pages that are written from the code say what the code says."""
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert {"errors.md", "event-types.md", "log-lines.md"} <= module.PAGES.keys()
    for name, page in module.PAGES.items():
        assert (ROOT / "docs" / name).read_text("utf-8") == page(), f"run `python3 dev.py docs` for {name}"


def test_the_example_of_lines_of_frp(capsys: pytest.CaptureFixture[str]) -> None:
    """The example of the page of log lines prints what it says."""
    text = (ROOT / "docs" / "log-lines.md").read_text("utf-8")
    block = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    assert block
    exec(compile(block[1], "log-lines.md", "exec"), {})
    assert capsys.readouterr().out == "tunnel_error web port_in_use\n"


def test_every_reason_in_the_code_is_known() -> None:
    """No error carries a reason that the page does not explain."""
    source = "\n".join(path.read_text() for path in (ROOT / "frp_wrapper").rglob("*.py"))
    used = set(re.findall(r'(?:reason|default_reason) ?= ?"([a-z_]+)"', source))
    assert used <= REASONS.keys()


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("port already used", "port_in_use"),
        ("proxy [web] already exists", "name_in_use"),
        ("router config conflict", "domain_in_use"),
        ("token in login doesn't match token from configuration", "auth_failed"),
        ("dial tcp 1.2.3.4:7000: connect: connection refused", "server_unreachable"),
        ("Please upgrade your frpc version to at least 0.51.0", "version_mismatch"),
        (
            "dial tcp 1.2.3.4:7000: connectex: No connection could be made because the target machine actively refused it.",
            "server_unreachable",
        ),
        (
            "read tcp 1.2.3.4:1->5.6.7.8:2: wsarecv: An existing connection was forcibly closed by the remote host.",
            "server_closed",
        ),
        ("i/o deadline reached", "server_timeout"),
        ("missing v2 crypto negotiation", "protocol_error"),
        ("type [http] not support when vhost_http_port is not set", "vhost_not_enabled"),
        ("accept tcp [::]:80: accept4: too many open files", "too_many_open_files"),
        ("unexpected EOF", "server_closed"),
        ("no EOFs", "unknown"),
        ("something new", "unknown"),
        ("", "unknown"),
    ],
)
def test_texts_of_frp(text: str, code: str) -> None:
    """A text of frp leads to its reason; an unknown one to ``unknown``."""
    assert explain(text).code == code


def test_links_lead_somewhere() -> None:
    """Every relative link of the documents leads to a file."""
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_example_of_the_file_is_sound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The tunnels.toml in the documents has no fault."""
    monkeypatch.setenv("FRP_TOKEN", "t")
    monkeypatch.setenv("FRPS_DASHBOARD", "http://admin:password@frp.example.com:7500")
    text = (ROOT / "docs" / "tunnels-file.md").read_text("utf-8")
    match = re.search(r"```toml\n(.*?)```", text, re.DOTALL)
    assert match
    (tmp_path / "tunnels.toml").write_text(match[1])
    assert len(load(tmp_path / "tunnels.toml").tunnels) == 6


@pytest.fixture
def server(frps_path: object, frpc_path: object) -> Iterator[FRPServer]:
    """Give a running server."""
    with FRPServer() as running:
        yield running


@pytest.mark.integration
@pytest.mark.parametrize("name", ["who_is_connected", "asyncio_client"])
def test_examples_run(name: str, frps_path: object, frpc_path: object) -> None:
    """Each example that needs nothing runs to its end and prints something."""
    result = subprocess.run(
        [sys.executable, ROOT / "examples" / f"{name}.py"],
        capture_output=True, text=True, timeout=60, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    assert result.stdout


@pytest.mark.integration
def test_the_example_that_shares_a_port(server: FRPServer) -> None:
    """The example prints the address and ends with Ctrl-C."""
    arguments = ["3000", "localhost", server.auth_token, str(server.bind_port)]
    process = start(
        sys.executable, ROOT / "examples" / "share_a_port.py", *arguments,
        stdout=subprocess.PIPE, env=os.environ | {"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    match = re.fullmatch(r"tcp://localhost:(\d+)\n", process.stdout.readline())
    assert match
    socket.create_connection(("127.0.0.1", int(match[1])), timeout=5).close()
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert process.returncode == 0


@pytest.mark.integration
def test_the_readme_as_written(
    frps_path: object, frpc_path: object, capsys: pytest.CaptureFixture[str]
) -> None:
    """The README's example with a server of one's own runs as it stands, but for the fixed HTTP port."""
    text = (ROOT / "README.md").read_text("utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    source = next(block for block in blocks if "FRPServer(vhost_http_port=8080)" in block)
    exec(compile(source.replace("8080", "0"), "README.md", "exec"), {})
    assert re.fullmatch(r"http://localhost:\d+/api\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    "name", ["README.md", "docs/attach.md", "docs/logging.md", "docs/monitoring.md", "docs/events.md"]
)
def test_both_languages_have_the_same_examples(name: str) -> None:
    """The Korean page shows the code of the English one, comments and words aside."""
    english = (ROOT / name).read_text("utf-8")
    korean = (ROOT / "docs" / "ko" / Path(name).name).read_text("utf-8")
    assert code_of(english) == code_of(korean)
    assert english.count("\n| `") == korean.count("\n| `")  # the rows of tables


def test_the_pages_name_what_there_is() -> None:
    """Every event type and built-in rule stands in its guide."""
    events, monitoring = (
        (ROOT / "docs" / f"{name}.md").read_text("utf-8") for name in ("events", "monitoring")
    )
    assert [kind.name for kind in EventType if f"`{kind.name}`" not in events] == []
    names = [*(rule.name for rule in built_in_rules()), *NAMES]
    assert [name for name in names if f"`{name}`" not in monitoring] == []


def code_of(page: str) -> list[str]:
    """Give the code blocks of a page, without comments and strings that are meant for people."""
    blocks = re.findall(r"```\w+\n(.*?)```", page, re.DOTALL)
    return [re.sub(r"\s*#.*|\"[^\"]*:?\"", "", block) for block in blocks]


def test_the_page_of_the_dashboard_names_every_route_and_metric() -> None:
    """``docs/dashboard.md`` has every path of the interface, and no metric that there is not."""
    from frp_wrapper.monitoring.web_api import exposition
    from frp_wrapper.monitoring.web_api.openapi import document

    text = (ROOT / "docs" / "dashboard.md").read_text("utf-8")
    for path, operations in document("")["paths"].items():
        for method in operations:
            assert re.search(rf"`{method.upper()} {re.escape(path)}[?`]", text), (method, path)
    source = Path(exposition.__file__).read_text()
    for name in re.findall(r"`frp_wrapper_(?:tunnel_)?(\w+?)(?:_total)?`", text):
        assert f'"{name}"' in source, name
