"""``frpw usage``: what tunnels have moved by the calendar."""

from __future__ import annotations

import os
from pathlib import Path

import click
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from frp_wrapper.metering.usage import Traffic, UsageBook
from frp_wrapper.metering.usage_file import read

__all__ = ["default_usage_file", "usage"]


def default_usage_file() -> Path:
    """Give where ``frpw up`` keeps days: below XDG_STATE_HOME, else ``~/.local/state``."""
    base = os.environ.get("XDG_STATE_HOME")
    state = Path(base) if base and Path(base).is_absolute() else Path.home() / ".local" / "state"
    return state / "frp-wrapper" / "usage.json"


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
def usage(file: Path | None) -> None:
    """Show what tunnels have moved today and this month.

    FILE is the usage_file of a client; without it, the one of `frpw up`.
    """
    path = file or default_usage_file()
    if not path.exists():
        raise click.ClickException(f"{path} does not exist: nothing was counted there yet")
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("server", "tunnel"):
        table.add_column(heading, overflow="fold")
    for heading in ("today: sent", "received", "this month: sent", "received", "connections"):
        table.add_column(heading, justify="right", no_wrap=True)
    for server, tunnels in sorted(read(path).items()):
        book = UsageBook(server, path)
        for tunnel in sorted(tunnels):
            moved = book.usage(tunnel)
            table.add_row(
                server,
                tunnel,
                *_bytes(moved.today),
                *_bytes(moved.this_month),
                str(moved.this_month.connections),
            )
    Console().print(table)


def _bytes(moved: Traffic) -> tuple[str, str]:
    return decimal(moved.bytes_sent), decimal(moved.bytes_received)
