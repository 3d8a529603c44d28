"""``frpw server``: a supervised frps of one's own."""

from __future__ import annotations

import contextlib
import threading
from typing import Any, TextIO

import click

from frp_wrapper.server import FRPServer

__all__ = ["server"]


@click.command()
@click.option(
    "--bind-port", "-p", default=7000, show_default=True, help="Where clients connect; 0: a free port."
)
@click.option(
    "--bind-host", default="127.0.0.1", show_default=True, help="0.0.0.0 to be reachable from elsewhere."
)
@click.option(
    "--token", envvar="FRP_WRAPPER_TOKEN", help="Better by FRP_WRAPPER_TOKEN. Default: a random one."
)
@click.option("--token-file", type=click.File(), help="Read the token from a file; - for stdin.")
@click.option(
    "--http-port", "vhost_http_port", type=int, help="Where http tunnels are reachable; 0: a free port."
)
@click.option("--https-port", "vhost_https_port", type=int, help="Where https tunnels are reachable.")
@click.option("--domain", "subdomain_host", help="The domain below which --subdomain of a tunnel is.")
@click.option(
    "--allow-ports", multiple=True, metavar="FROM-TO", help="Ports that tunnels may have. Repeat for several."
)
@click.option(
    "--dashboard-port", type=int, help="frps's own dashboard, on loopback, with random credentials."
)
@click.option("--frp-version", help="Use this version of frp; installed if need be.")
@click.option("--frps", "frps_path", metavar="PATH", help="Use this frps.")
def server(token: str | None, token_file: TextIO | None, **options: Any) -> None:
    """Run frps until Ctrl-C; if it dies it is started again."""
    if token_file is not None:
        token = token_file.read().strip()
    with FRPServer(auth_token=token, **options) as running, contextlib.suppress(KeyboardInterrupt):
        _describe(running, token_is_new=token is None)
        threading.Event().wait()


def _describe(running: FRPServer, *, token_is_new: bool) -> None:
    config = running.config
    click.secho(f"frps listens at {config.bind_host}:{running.bind_port}", bold=True)
    for name, port in (("http", config.vhost_http_port), ("https", config.vhost_https_port)):
        if port is not None:
            click.echo(f"{name} tunnels are reachable at port {port}")
    if config.dashboard_port is not None:
        click.echo(f"its dashboard: http://127.0.0.1:{config.dashboard_port}/ as {config.dashboard_user}")
        click.echo(f"               with the password {config.dashboard_password}")
    if token_is_new:
        click.echo(f"token: {running.auth_token}")
    click.echo(
        f"try: FRP_WRAPPER_TOKEN=... frpw expose tcp 3000 --server {config.bind_host} --port {running.bind_port}"
    )
