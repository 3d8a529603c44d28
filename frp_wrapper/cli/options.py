"""Options that several commands share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TextIO, TypeVar

import click

from frp_wrapper.client import FRPClient
from frp_wrapper.config import ClientOptions, TLSConfig

Command = TypeVar("Command", bound=Callable[..., Any])


def client_options(command: Command) -> Command:
    """Add the options that make a client; the command gets a ``client`` that is not connected."""

    @functools.wraps(command)
    def with_client(  # noqa: PLR0917 - click passes them by name
        server: str,
        port: int,
        token: str | None,
        token_file: TextIO | None,
        user: str,
        ca_file: str | None,
        server_dashboard: str | None,
        frp_version: str | None,
        frpc: str | None,
        **arguments: Any,
    ) -> Any:
        if token_file is not None:
            token = token_file.read().strip()
        options: ClientOptions = {"user": user, "server_dashboard": server_dashboard}
        if ca_file is not None:
            options["tls"] = TLSConfig(trusted_ca_file=ca_file)
        client = FRPClient(server, port, auth_token=token, frpc_path=frpc, frp_version=frp_version, **options)
        return command(client=client, **arguments)

    for option in reversed(_CLIENT_OPTIONS):
        with_client = option(with_client)
    return with_client  # type: ignore[return-value]


server_dashboard_option = click.option(
    "--server-dashboard", envvar="FRP_WRAPPER_SERVER_DASHBOARD", metavar="URL",
    help="frps's own dashboard, http://user:password@host:7500, to show what frps has counted too. Better set "
    "FRP_WRAPPER_SERVER_DASHBOARD: others on this machine can read the password from the process list.",
)  # fmt: skip
_CLIENT_OPTIONS = (
    click.option(
        "--server", "-s", envvar="FRP_WRAPPER_SERVER", required=True, metavar="HOST",
        help="Host of frps (or FRP_WRAPPER_SERVER).",
    ),
    click.option(
        "--port", "-p", envvar="FRP_WRAPPER_PORT", default=7000, show_default=True, metavar="PORT",
        help="Port of frps (or FRP_WRAPPER_PORT).",
    ),
    click.option(
        "--token", envvar="FRP_WRAPPER_TOKEN", metavar="TOKEN",
        help="What frps asks for. Others on this machine can read it from the process list: better set "
        "FRP_WRAPPER_TOKEN, or use --token-file.",
    ),
    click.option("--token-file", type=click.File(), metavar="FILE", help="Read the token from a file; - for stdin."),
    click.option("--user", default="", metavar="USER", help="frp's user, the first part of all names on the server."),
    click.option("--ca-file", metavar="FILE", help="Check the server's certificate against this CA."),
    server_dashboard_option,
    click.option("--frp-version", metavar="VERSION", help="Use this version of frp; installed if need be."),
    click.option("--frpc", metavar="PATH", help="Use this frpc."),
)  # fmt: skip
