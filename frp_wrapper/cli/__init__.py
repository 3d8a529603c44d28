"""The command line: ``frp-wrapper``, or ``frpw`` for short."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType

import click

from frp_wrapper._version import __version__
from frp_wrapper.cli.attach import attach
from frp_wrapper.cli.demo import demo
from frp_wrapper.cli.expose import expose
from frp_wrapper.cli.frp import frp
from frp_wrapper.cli.logs import logs
from frp_wrapper.cli.server import server
from frp_wrapper.cli.up import up
from frp_wrapper.cli.usage import usage
from frp_wrapper.errors import FRPError

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="frp-wrapper")
def cli() -> None:
    """Run frp tunnels, and see what flows through them.

    \b
    frpw demo                                  try it, all on this machine
    frpw expose tcp 3000 --server example.com  share a local port
    frpw up -c tunnels.toml                    run the tunnels of a file
    frpw attach --pid N                        watch an frpc that somebody else runs
    """  # noqa: D301 - click's mark against wrapping is this very escape


for command in (demo, expose, up, attach, server, frp, logs, usage):
    cli.add_command(command)


def main() -> None:
    """Run the command that the arguments name; the exit code is 0, 1 for a failure, 2 for wrong arguments."""
    signal.signal(signal.SIGTERM, _interrupt)  # this process is ours: a service manager's stop is a Ctrl-C
    _show_installation()
    try:
        sys.exit(cli(standalone_mode=False))  # the code of an Exit, else None
    except click.Abort:
        sys.exit(130)
    except click.ClickException as exc:
        exc.show()
        sys.exit(exc.exit_code)
    except FRPError as exc:
        click.secho(f"error: {exc}", fg="red", err=True)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _show_installation() -> None:
    """Where there is no terminal for a progress bar, print a line for each step."""
    if not sys.stderr.isatty():
        logger = logging.getLogger("frp_wrapper.install")
        logger.setLevel(logging.INFO)
        logger.addHandler(logging.StreamHandler())


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
