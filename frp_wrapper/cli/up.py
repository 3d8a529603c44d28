"""``frpw up``: run the tunnels of a file."""

from __future__ import annotations

import contextlib
from pathlib import Path

import click

from frp_wrapper.cli.dashboard import dashboard_option, shown_at
from frp_wrapper.cli.options import server_dashboard_option
from frp_wrapper.cli.usage import default_usage_file
from frp_wrapper.cli.view import summary, watch
from frp_wrapper.client import FRPClient
from frp_wrapper.errors import ConfigError

__all__ = ["up"]


@click.command()
@click.option(
    "--config", "-c", "path", type=click.Path(path_type=Path), default=Path("tunnels.toml"), show_default=True,
    help="A tunnels.toml, or a frpc.toml, frpc.json or frpc.ini of frp.",
)  # fmt: skip
@click.option(
    "--token", envvar="FRP_WRAPPER_TOKEN", help="Instead of the file's; better by FRP_WRAPPER_TOKEN."
)
@server_dashboard_option
@click.option("--frp-version", help="Use this version of frp; installed if need be.")
@click.option("--frpc", metavar="PATH", help="Use this frpc.")
@click.option("--check", is_flag=True, help="Only say whether the file is without faults.")
@dashboard_option
def up(  # noqa: PLR0917 - click passes them by name
    path: Path,
    token: str | None,
    server_dashboard: str | None,
    frp_version: str | None,
    frpc: str | None,
    check: bool,
    dashboard_port: int | None,
) -> None:
    """Run the tunnels and visitors of a file until Ctrl-C.

    Waits for a server that is not there yet. A tunnel that the server refuses is shown with the reason, and tried again.
    What tunnels move is kept by day, for `frpw usage`.
    """
    if check:
        FRPClient.from_file(path, auth_token=token, server_dashboard=server_dashboard)
        click.echo(f"{path} is fine")
        return
    client = _client(
        path, auth_token=token, server_dashboard=server_dashboard, frpc_path=frpc, frp_version=frp_version
    )
    with shown_at(client, dashboard_port), contextlib.suppress(KeyboardInterrupt):
        client.connect(timeout=None, retry=True)
        watch(client)
    click.echo(summary(client))
    client.close()


def _client(path: Path, **options: str | None) -> FRPClient:
    """Make the client; a file of days that is broken must not keep tunnels from running."""
    try:
        return FRPClient.from_file(path, usage_file=default_usage_file(), **options)
    except ConfigError as exc:
        if exc.reason != "usage_file":
            raise
        click.secho(f"warning: {exc}", fg="yellow", err=True)
        return FRPClient.from_file(path, **options)
