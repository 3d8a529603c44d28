#!/usr/bin/env python3
"""Everything a clone can do, with its own set-up: ``python3 dev.py demo|test|test-fast|lint|docs|bench``.

Needs Python 3.11 or later, and Go (or pip, which can bring it) where no release of frp can be fetched. The first run
makes a virtual environment in ``.venv``; later ones use it again.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
FRP_VERSIONS = ("0.71.0", "0.68.1", "0.65.0", "0.61.2", "0.52.3")
"""The default, and those of the compatibility tests."""
FAST = "not integration and not compat and not stress and not install and not browser"


def run(*command: str | Path, **environment: str) -> int:
    """Run a command from the project's folder and give its exit code."""
    try:
        return subprocess.run(
            [str(part) for part in command], cwd=ROOT, env=os.environ | environment, check=False
        ).returncode
    except KeyboardInterrupt:  # the command has had it too, and has ended in order
        return 130


def prepare(extra: str) -> None:
    """Make the virtual environment and install the project with the ``extra`` in it, where that is not done yet."""
    stamp = VENV / f"installed{extra}"
    wanted = hashlib.sha256((ROOT / "pyproject.toml").read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    print(f"setting up {VENV} ...", flush=True)
    if not PYTHON.exists():
        venv.create(VENV, with_pip=True)
    code = run(
        PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--editable", f".{extra}"
    )
    if code:
        sys.exit(f"cannot install the project into {VENV}: see above")
    stamp.write_text(wanted)


def demo(arguments: list[str]) -> int:
    """Bring up a server, a client and two tunnels with traffic, and show them live."""
    prepare("")
    return run(VENV / "bin" / "frpw", "demo", *arguments)


def test(arguments: list[str]) -> int:
    """Run all tests, against real frp programs that are built from the Go module."""
    prepare("[dev]")
    # before the tests, which would wait for it within their time limits
    return run(PYTHON, "-m", "frp_wrapper", "frp", "install", *FRP_VERSIONS, FRP_WRAPPER_INSTALL="go") or run(
        PYTHON, "-m", "pytest", "-n", "auto", *arguments, FRP_WRAPPER_INSTALL="go"
    )


def test_fast(arguments: list[str]) -> int:
    """Run the tests that need no frp program."""
    prepare("[dev]")
    return run(PYTHON, "-m", "pytest", "-n", "auto", "-m", FAST, *arguments)


def lint(arguments: list[str]) -> int:
    """Check style, format and types."""
    prepare("[dev]")
    return (
        run(PYTHON, "-m", "ruff", "check", *arguments)
        or run(PYTHON, "-m", "ruff", "format", "--check")
        or run(PYTHON, "-m", "mypy")
    )


def docs(arguments: list[str]) -> int:
    """Write the generated pages anew."""
    prepare("[dev]")
    return run(PYTHON, "docs/generate.py", *arguments)


def bench(arguments: list[str]) -> int:
    """Measure what is often done, beside what others do it with."""
    prepare("[bench]")
    return run(PYTHON, "-m", "benchmarks", *arguments)


COMMANDS = {"demo": demo, "test": test, "test-fast": test_fast, "lint": lint, "docs": docs, "bench": bench}


def main() -> int:
    """Run the command that was named."""
    if sys.version_info < (3, 11):  # noqa: UP036 - a clone may meet any Python
        sys.exit(f"Python 3.11 or later is needed; this is {sys.version.split()[0]}")
    name = sys.argv[1] if len(sys.argv) > 1 else ""
    if name not in COMMANDS:
        sys.exit("usage: python3 dev.py " + "|".join(COMMANDS) + " [arguments]")
    return COMMANDS[name](sys.argv[2:])


if __name__ == "__main__":
    sys.exit(main())
