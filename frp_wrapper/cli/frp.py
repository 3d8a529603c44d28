"""``frpw frp``: the frp programs on this machine."""

from __future__ import annotations

import click

from frp_wrapper.errors import FRPError
from frp_wrapper.frp import binary, cache, release
from frp_wrapper.frp.install import install
from frp_wrapper.frp.progress import on_terminal

__all__ = ["frp"]


@click.group()
def frp() -> None:
    """Find, install and list the frp programs."""


@frp.command(name="install")
@click.argument("versions", nargs=-1, metavar="[VERSION]...")
@click.option(
    "--how",
    type=click.Choice(["auto", "release", "go"]),
    help="release: the official archive, checked against its pinned SHA-256; go: built from the Go module. "
    "Default: FRP_WRAPPER_INSTALL, else auto (first the one, then the other).",
)
@click.option("--force", is_flag=True, help="Install again what is there.")
def install_command(versions: tuple[str, ...], how: str | None, force: bool) -> None:
    """Install frpc and frps of one or more versions (default: the one this package is tested with)."""
    for version in versions or (binary.DEFAULT_VERSION,):
        with on_terminal() as bar:
            folder = install(version.removeprefix("v"), bar, how=how, again=force)
        click.echo(f"frp {version} is in {folder}")


@frp.command()
@click.option(
    "--version", "version", help="Of this version; default: what a client without a version would use."
)
def which(version: str | None) -> None:
    """Say which programs would be used, and where they come from; installs nothing."""
    missing = False
    for program in cache.PROGRAMS:
        try:
            path = binary.find(program, version=version, may_install=False)
        except FRPError as exc:
            click.secho(f"{program}  {exc.what}", fg="red", err=True)
            missing = True
        else:
            click.echo(f"{program}  {binary.binary_version(path)}  {path}  ({binary.origin(path)})")
    if missing:
        raise click.exceptions.Exit(1)


@frp.command()
def versions() -> None:
    """List the versions that are installed, and those whose release can be checked."""
    installed = cache.versions()
    for version in installed:
        click.echo(f"{version}  installed in {cache.folder(version)}")
    known = [
        version
        for version, platforms in release.pinned().items()
        if release.platform_name() in platforms and version not in installed
    ]
    for version in sorted(known, key=cache.version_key, reverse=True):
        click.echo(f"{version}  release known")
