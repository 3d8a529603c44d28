"""``frpw expose``: share a local service, and see what flows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, TypeVar

import click

from frp_wrapper.cli.dashboard import dashboard_option, shown_at
from frp_wrapper.cli.options import client_options
from frp_wrapper.cli.view import summary, watch
from frp_wrapper.client import FRPClient
from frp_wrapper.config import MeterMode
from frp_wrapper.tunnel import Tunnel

__all__ = ["expose"]

Command = TypeVar("Command", bound=Callable[..., Any])


@click.group()
def expose() -> None:
    """Make a local service reachable through a server, until Ctrl-C.

    Prints the public address, then what flows: connections, bytes and rates, live.
    """


def _tunnel_options(command: Command) -> Command:
    for option in reversed(_TUNNEL_OPTIONS):
        command = option(command)
    return client_options(dashboard_option(command))


_TUNNEL_OPTIONS = (
    click.option("--name", metavar="NAME", help="Unique on the server. Default: made up."),
    click.option(
        "--local-host", default="127.0.0.1", show_default=True, metavar="HOST", help="Where the service runs."
    ),
    click.option(
        "--meter", type=click.Choice(["auto", "passive", "relay", "off"]), default="auto", show_default=True,
        help="passive: by the kernel's counters, nothing in the way; relay: also learns visitors' addresses, counts "
        "datagrams, and refuses; auto: the relay where it is needed, else passive.",
    ),
    click.option(
        "--allow", multiple=True, metavar="NETWORK",
        help="Let only visitors from this address or network in; repeat for several. Not for http.",
    ),
    click.option("--deny", multiple=True, metavar="NETWORK", help="Refuse visitors from there, whatever is allowed."),
    click.option(
        "--max-connections", type=int, metavar="N", help="Refuse visitors while so many connections are open."
    ),
    click.option("--encrypt", "use_encryption", is_flag=True, help="Encrypt between frpc and frps."),
    click.option("--compress", "use_compression", is_flag=True, help="Compress between frpc and frps."),
    click.option("--bandwidth", "bandwidth_limit", metavar="LIMIT", help="Such as 1MB or 500KB a second."),
)  # fmt: skip
_remote_port = click.option(
    "--remote-port", type=int, metavar="PORT", help="On the server. Default: frps chooses."
)
_local_port = click.argument("local_port", type=int)
_domains = click.option(
    "--domain", "custom_domains", multiple=True, metavar="DOMAIN", help="Repeat for several."
)
_subdomain = click.option("--subdomain", metavar="NAME", help="Below the server's own domain.")


@expose.command()
@_local_port
@_remote_port
@_tunnel_options
def tcp(client: FRPClient, dashboard_port: int | None, **options: Any) -> None:
    """Share a TCP service."""
    _run(client, lambda: client.expose_tcp(**options), options, dashboard_port)


@expose.command()
@_local_port
@_remote_port
@_tunnel_options
def udp(client: FRPClient, dashboard_port: int | None, **options: Any) -> None:
    """Share a UDP service."""
    _run(client, lambda: client.expose_udp(**options), options, dashboard_port)


@expose.command()
@_local_port
@_domains
@_subdomain
@click.option(
    "--host-header", "host_header_rewrite", metavar="HOST", help="The Host header that the service sees."
)
@click.option("--auth", metavar="USER:PASSWORD", help="Ask visitors for these.")
@_tunnel_options
def http(client: FRPClient, dashboard_port: int | None, auth: str | None, **options: Any) -> None:
    """Share a web service at a domain, on the server's HTTP port."""
    if auth is not None:
        options["http_user"], _, options["http_password"] = auth.partition(":")
    _run(client, lambda: client.expose_http(**options), options, dashboard_port)


@expose.command()
@_local_port
@_domains
@_subdomain
@_tunnel_options
def https(client: FRPClient, dashboard_port: int | None, **options: Any) -> None:
    """Share a TLS service at a domain, on the server's HTTPS port; TLS passes through to it."""
    _run(client, lambda: client.expose_https(**options), options, dashboard_port)


@expose.command()
@_local_port
@click.argument("path")
@_domains
@_tunnel_options
def path(
    client: FRPClient, dashboard_port: int | None, custom_domains: tuple[str, ...], **options: Any
) -> None:
    """Share a web service below a PATH of the server's own name (or of --domain)."""
    if custom_domains:
        options["custom_domains"] = custom_domains
    _run(client, lambda: client.expose_path(**options), options, dashboard_port)


def _run(
    client: FRPClient, expose_it: Callable[[], Tunnel], options: dict[str, Any], dashboard_port: int | None
) -> None:
    meter: MeterMode = options["meter"]
    with client:
        with shown_at(client, dashboard_port), contextlib.suppress(KeyboardInterrupt):
            for url in expose_it().urls:
                click.secho(url, bold=True)
            watch(client, note=None if meter != "off" else "meter=off: nothing is counted")
        click.echo(summary(client))
