"""The benchmarks go with the code that they measure."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "benchmarks"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__main__")


@pytest.mark.parametrize("name", NAMES)
def test_a_benchmark_finds_what_it_measures(name: str) -> None:
    """Every name of ours that a benchmark needs is there; peers may be missing, as they are in an extra of their own."""
    try:
        importlib.import_module(f"benchmarks.{name}")
    except ModuleNotFoundError as exc:
        missing = exc.name or ""
        if missing.partition(".")[0] in ("frp_wrapper", "benchmarks", "tests"):
            raise
        pytest.skip(f"{missing} is not installed")


def test_the_one_command_shows_tables_of_one_shape() -> None:
    """Whatever the one command runs gives rows of the shared kind, which it can print."""
    from benchmarks.__main__ import NAMES as SHOWN
    from benchmarks.compare import Row

    for name in SHOWN:
        with contextlib.suppress(ModuleNotFoundError):  # a peer
            module = importlib.import_module(f"benchmarks.{name}")
            assert module.rows.__annotations__["return"] == "list[Row]"
            assert module.Row is Row


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the relay needs epoll")
@pytest.mark.parametrize("name", ["ours", "streams", "haproxy"])
def test_a_relay_to_compare_relays(name: str) -> None:
    """What goes into a relay comes out of it, and the relay ends with the block."""
    from benchmarks import relay_peers

    with socket.create_server(("127.0.0.1", 0)) as service:
        thread = threading.Thread(target=echo, args=(service,), daemon=True)
        thread.start()
        with getattr(relay_peers, name)(service.getsockname()[1]) as peer:
            if peer is None:
                pytest.skip(f"{name} is not installed")
            with socket.create_connection(("127.0.0.1", peer.port), timeout=10) as connection:
                connection.sendall(b"there and back")
                assert connection.recv(100) == b"there and back"
        assert peer.process.poll() is not None


def echo(service: socket.socket) -> None:
    """Give back the first bytes of each connection."""
    with contextlib.suppress(OSError):
        while True:
            connection, _ = service.accept()
            with connection:
                connection.sendall(connection.recv(100))


@pytest.mark.parametrize("name", ["load", "relay"])
def test_programs_compile(name: str, tmp_path: Path) -> None:
    """The programs in C are valid without a warning."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("no compiler, or another system")
    command = [compiler, "-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-o", tmp_path / name]
    subprocess.run([*command, FOLDER / "native" / f"{name}.c"], check=True)


def test_a_row_compares_either_way() -> None:
    """The ratio says how many times as good ours is, whether more or less of it is better, and of what is missing nothing."""
    from benchmarks.compare import Row

    less = Row("time", 2.0, "s", "other", 4.0, times=2)
    more = Row("speed", 2.0, "1/s", "other", 4.0, times=0.6, more_is_better=True)
    assert (less.ratio, less.verdict) == (2.0, "met")
    assert (more.ratio, more.verdict) == (0.5, "missed")
    assert Row("time", 2.0, "s", "other: not installed", None, times=2).verdict == "not measured"
