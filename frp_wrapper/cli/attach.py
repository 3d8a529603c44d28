"""``frpw attach``: watch an frpc that somebody else runs, and touch nothing."""

from __future__ import annotations

import contextlib
from datetime import timedelta
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from frp_wrapper.attached import AttachedClient
from frp_wrapper.attached import attach as attach_to
from frp_wrapper.attached_target import UNKNOWN, read_setup
from frp_wrapper.cli.dashboard import dashboard_option, shown_at
from frp_wrapper.cli.view import View, printable, summary_of, watch
from frp_wrapper.errors import FRPError
from frp_wrapper.frp.processes import FrpcProcess, find_all
from frp_wrapper.metering.connection import Connection

__all__ = ["attach"]


@click.command()
@click.option("--pid", type=click.IntRange(1), metavar="N", help="Its process.")
@click.option(
    "--admin",
    envvar="FRP_WRAPPER_ADMIN",
    metavar="URL",
    help="Its admin API, such as http://admin:PASSWORD@127.0.0.1:7400. Others on this machine can read a password here "
    "from the process list: better set FRP_WRAPPER_ADMIN.",
)
@click.option("--log", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Its log file.")
@dashboard_option
def attach(pid: int | None, admin: str | None, log: Path | None, dashboard_port: int | None) -> None:
    """Watch an frpc that somebody else runs, until Ctrl-C; frpc goes on, and is not touched.

    Without an option: list every frpc that can be found here. One of --pid, --admin and --log is enough to watch one;
    what else there is to know is looked for. Its admin API is asked every 30 s, which writes two lines into its log.
    """
    if pid is None and admin is None and log is None:
        _list(find_all())
        return
    with attach_to(pid, admin=admin, log=log) as client:
        with shown_at(client, dashboard_port), contextlib.suppress(KeyboardInterrupt):
            for line in _about(client):
                click.echo(printable(line))
            watch(client, view=AttachedView(client))
        metrics = [*client.metrics.values(), *(service.metrics for service in client.shared)]
        click.echo(summary_of(metrics))


class AttachedView(View):
    """Draws an frpc of somebody else."""

    untold = "not told"

    def __init__(self, client: AttachedClient) -> None:
        super().__init__(client, "Ctrl-C ends this; frpc goes on")
        self._attached = client

    def title(self) -> Text:
        """Say whether frpc runs and is connected."""
        client = self._attached
        who = f"frpc {client.pid}" if client.pid is not None else "frpc"
        where = f"{client.server}:{client.config.port}" if client.server != UNKNOWN else "its server"
        if client.is_connected():
            watched = timedelta(seconds=int(client.get_uptime()))
            return Text(f"{who} is connected to {where}; seen so for {watched}", "green")
        if client.has_ended:
            return Text("frpc has ended; waiting for it to be started again", "red")
        why = client.login_error
        return Text(printable(f"{who} is not connected to {where}{f': {why.what}' if why else ''}"), "red")

    def add_rows(self, table: Table) -> None:
        """Add what counts for several tunnels together."""
        for service in self._attached.shared:
            names = Text(printable(" + ".join(service.tunnels)), "bold")
            table.add_row(
                names, Text("one service:\ncounted together", "dim"), *self.numbers(service.metrics)
            )

    def open_connections(self) -> list[tuple[str, Connection]]:
        """Give the open connections, each with the name of its tunnel, or the names of those it may belong to."""
        shared = self._attached.shared
        together = [(" + ".join(service.tunnels), one) for service in shared for one in service.connections()]
        return super().open_connections() + together


def _about(client: AttachedClient) -> list[str]:
    """Say what is looked at, and what cannot be shown."""
    process = client.process
    lines = [f"frpc {process.pid}, {process.config or 'without a file'}"] if process is not None else []
    lines += [f"its log: {client.log_path}"] if client.log_path is not None else []
    lines += [] if client.admin_is_asked else ["its admin API is not there: the state of tunnels is inferred"]
    return lines + [f"note: {note}" for note in client.notes]


def _list(found: list[FrpcProcess]) -> None:
    if not found:
        click.echo("there is no frpc on this machine, or none that this user may see")
        return
    rows = [("PID", "SERVER", "CONFIGURATION"), *(_row(process) for process in found)]
    for pid, server, config in rows:
        click.echo(printable(f"{pid:>7}  {server:<28}  {config}"))
    click.echo("\nwatch one of them: frpw attach --pid N")


def _row(process: FrpcProcess) -> tuple[str, str, str]:
    server = "?"
    with contextlib.suppress(FRPError):
        setup = read_setup(process)
        server = f"{setup.client.server}:{setup.client.port}" if setup is not None else "?"
    return str(process.pid), server, str(process.config or " ".join(process.arguments[1:]))
