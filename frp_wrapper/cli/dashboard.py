"""``--dashboard``: the page of a client, for the commands that run one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import click

from frp_wrapper.attached import AttachedClient
from frp_wrapper.client import FRPClient
from frp_wrapper.monitoring.dashboard import MonitoringDashboard

__all__ = ["dashboard_option", "shown_at"]

_PORT = 9999

dashboard_option = click.option(
    "--dashboard",
    "dashboard_port",
    is_flag=False,
    flag_value=_PORT,
    type=click.IntRange(0, 65535),
    metavar="[PORT]",
    help=f"Show it all in the browser too, at this port of this machine ({_PORT} if none is given; 0: any).",
)


@contextlib.contextmanager
def shown_at(client: FRPClient | AttachedClient, port: int | None) -> Iterator[None]:
    """Serve a client's dashboard for a block, and print its address, which holds the token; None: do not."""
    if port is None:
        yield
        return
    dashboard = MonitoringDashboard(client)
    dashboard.start(port)
    try:
        click.echo(f"dashboard: {dashboard.url}")
        yield
    finally:
        dashboard.stop()
