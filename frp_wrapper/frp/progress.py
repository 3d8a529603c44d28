"""How an installation tells its user how far it is."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Protocol

from frp_wrapper.monitoring.logger import FRPLogger


class Progress(Protocol):
    """Shows the steps of an installation."""

    def step(self, text: str, total: int | None = None) -> None:
        """Begin a step; ``total`` bytes are to come, None: nobody knows."""

    def advance(self, done: int) -> None:
        """So many bytes (or parts) of this step are done in all."""


class Silent:
    """Shows nothing."""

    def step(self, text: str, total: int | None = None) -> None:
        """Show nothing."""

    def advance(self, done: int) -> None:
        """Show nothing."""


@contextlib.contextmanager
def on_terminal() -> Iterator[Progress]:
    """Show a progress bar on stderr where that is a terminal; the steps go to the log in any case."""
    # rich is loaded here because only an installation needs it
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415
    from rich.progress import Progress as Bar  # noqa: PLC0415

    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
    )
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        yield _Terminal(bar)


class _Terminal:
    def __init__(self, bar: object) -> None:
        from rich.progress import Progress as Bar  # noqa: PLC0415

        assert isinstance(bar, Bar)
        self._bar = bar
        self._logger = FRPLogger("install")
        self._task = bar.add_task("frp", total=None)

    def step(self, text: str, total: int | None = None) -> None:
        self._bar.reset(self._task, total=total, description=text)
        self._logger.logger.info("frp_install", step=text)

    def advance(self, done: int) -> None:
        self._bar.update(self._task, completed=done)
