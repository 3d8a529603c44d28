"""Imports point down: each module may use lower rows only, and importing the package is light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "frp_wrapper"

ROWS = [
    {
        "errors",
        "reasons",
        "failures",
        "config",
        "checks",
        "plugins",
        "refused_ports",
        "relay_options",
        "_type_faults",
        "_lazy",
        "_version",
    },
    {
        "monitoring.logger",
        "monitoring.log_archive",
        "monitoring.log_console",
        "monitoring.log_fields",
        "monitoring.log_file",
        "monitoring.log_fold",
        "monitoring.log_gather",
        "monitoring.log_mask",
        "monitoring.log_output",
        "monitoring.log_report",
        "monitoring.log_ring",
        "monitoring.log_structlog",
        "monitoring.log_tail",
        "monitoring.events",
        "monitoring.handlers",
        "monitoring.history",
        "monitoring.metrics",
        "monitoring.aggregator",
        "monitoring.quantiles",
        "monitoring.rates",
        "_ticker",
        "monitoring.counters",
        "monitoring.registry",
        "monitoring.rules",
        "monitoring.silence",
        "monitoring.track",
        "monitoring.parser",
        "monitoring.record_types",
        "monitoring._log_layout",
        "monitoring._log_prefix",
        "monitoring._meaning",
        "monitoring._multiline",
        "monitoring._templates",
        "metering.connection",
        "metering.ledger",
        "metering.tcp_payload",
        "metering.sock_message",
        "metering.connection_rates",
        "metering.usage",
        "metering.usage_file",
        "metering.visitors",
        "tunnel",
        "session",
        "waiting",
        "pulse",
        "lifeline",
        "monitoring.event_types",
    },
    {"sidecar", "metering.sockdiag", "metering.sock_request", "frp", "files"},
    {"frp.supervisor", "frp.sidecar_process", "frp.frpc", "metering", "monitoring.monitor"},
    {"monitoring.web_api"},
    {
        "attached",
        "attached_run",
        "attached_target",
        "client",
        "client_run",
        "status_watch",
        "server",
        "_expose",
        "monitoring.dashboard",
    },
    {"aio", "cli", "__main__"},
]
"""From the ground up. A name stands for the module and all in it, unless a longer name says otherwise."""


def _row(module: str) -> int:
    matches = [
        (len(name), row)
        for row, names in enumerate(ROWS)
        for name in names
        if module == name or module.startswith(f"{name}.")
    ]
    assert matches, (
        f"{module} is in no row of the architecture: give it one in this test and in docs/architecture.md"
    )
    return max(matches)[1]


def _modules() -> dict[str, Path]:
    files = PACKAGE.rglob("*.py")
    names = {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in files}
    return {name: file for name, file in names.items() if not name.endswith("__init__")}


def _imports(file: Path) -> set[str]:
    """Modules of ours that a file imports when it runs; imports for type checkers only do not count."""
    tree = ast.parse(file.read_text())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    found: set[str] = set()
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("frp_wrapper"):
            base = (node.module or "").removeprefix("frp_wrapper").lstrip(".")
            inner = {f"{base}.{alias.name}".lstrip(".") for alias in node.names} & _modules().keys()
            found |= inner or {base}
    return found - {""}


@pytest.mark.parametrize("module", sorted(_modules()))
def test_a_module_imports_no_higher_row(module: str) -> None:
    """A module imports only modules of its own row or lower ones."""
    too_high = [other for other in _imports(_modules()[module]) if _row(other) > _row(module)]
    assert not too_high


def test_the_import_graph_has_no_cycle() -> None:
    """No module imports itself by way of others."""
    modules = _modules()
    graph = {name: _imports(file) & modules.keys() for name, file in modules.items()}
    done: set[str] = set()

    def visit(name: str, path: tuple[str, ...]) -> None:
        assert name not in path, " -> ".join((*path, name))
        if name not in done:
            for other in graph[name]:
                visit(other, (*path, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_the_sidecar_needs_the_standard_library_only() -> None:
    """The sidecar imports nothing outside the standard library and itself."""
    for file in (PACKAGE / "sidecar").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                top = name.partition(".")[0]
                assert top in sys.stdlib_module_names or name.startswith("frp_wrapper.sidecar"), (file, name)


def test_importing_the_package_loads_nothing_heavy() -> None:
    """``import frp_wrapper`` loads none of the heavy libraries and starts no thread."""
    code = (
        "import sys, threading, frp_wrapper; "
        "heavy = {'asyncio','click','rich','pydantic','structlog','ssl','http.client','starlette','uvicorn'} & set(sys.modules); "
        "print(sorted(heavy), threading.active_count())"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[] 1"


def test_every_public_name_can_be_loaded() -> None:
    """Each name in ``__all__`` exists, and the lazy table and ``__all__`` say the same."""
    import frp_wrapper

    assert sorted({*frp_wrapper._HOMES, "__version__"}) == sorted(frp_wrapper.__all__)
    for name in frp_wrapper.__all__:
        assert getattr(frp_wrapper, name) is not None
