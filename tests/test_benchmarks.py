"""The benchmarks go with the code that they measure."""

from __future__ import annotations

import contextlib
import importlib
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
