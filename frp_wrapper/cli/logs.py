"""``frpw logs``: make sense of the logs of frpc and frps."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, TextIO

import click

from frp_wrapper.monitoring.log_report import Report, read_records, report

__all__ = ["logs"]

_LEVELS = ("trace", "debug", "info", "warning", "error")
_POLL = 0.2


@click.group()
def logs() -> None:
    """Read logs of frpc and frps, of any version, with whatever docker, systemd or kubectl put around them."""


_file = click.argument("file", type=click.File(errors="replace"), default="-")
_program = click.option(
    "--program", type=click.Choice(["frpc", "frps"]), help="Whose log it is, if you know."
)


@logs.command()
@_file
@_program
@click.option("--follow", "-f", is_flag=True, help="Wait for more, as tail -f does.")
@click.option(
    "--level", type=click.Choice(_LEVELS), default="trace", help="Only records of this level or above."
)
@click.option("--tunnel", help="Only records of this tunnel.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", help="Only records of this type; repeat for several."
)
def parse(  # noqa: PLR0917 - click passes them by name
    file: TextIO,
    program: str | None,
    follow: bool,
    level: str,
    tunnel: str | None,
    types: tuple[str, ...],
) -> None:
    """Turn a log (FILE, or - for stdin) into lines of JSON."""
    lowest = _LEVELS.index(level)
    for record in read_records(_follow(file) if follow else file, program):
        wanted = _LEVELS.index(record["level"]) >= lowest and tunnel in (None, record["tunnel_id"])
        if wanted and (not types or record["type"] in types):
            click.echo(json.dumps(record, ensure_ascii=False, default=_iso))


@logs.command()
@_file
@_program
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(file: TextIO, program: str | None, as_json: bool) -> None:
    """Say what went wrong in a log (FILE, or - for stdin), how often, and what to do."""
    found = report(file, program)
    if as_json:
        click.echo(json.dumps(_as_dict(found), ensure_ascii=False))
    else:
        _print(found)


def _follow(file: TextIO) -> Iterator[str]:
    """Give whole lines as they come, until Ctrl-C."""
    partial = ""
    while True:
        partial += file.readline()
        if partial.endswith("\n"):
            yield partial
            partial = ""
        else:
            time.sleep(_POLL)


def _print(found: Report) -> None:
    click.echo(f"{found.records} lines of frp" + (f", {found.others} of others" if found.others else ""))
    if not found.findings:
        click.echo("nothing went wrong")
    for finding in found.findings:
        click.echo()
        click.secho(f"{finding.count} x {finding.reason}", bold=True)
        click.echo(f"  {finding.example}")
        if finding.first is not None:
            click.echo(f"  from {finding.first} to {finding.last}")
        if finding.tunnels:
            click.echo(f"  tunnels: {', '.join(finding.tunnels)}")
        if finding.cause:
            click.echo(f"  {finding.cause}")
        if finding.hint:
            click.secho(f"  What to do: {finding.hint}", fg="green")


def _as_dict(found: Report) -> dict[str, Any]:
    names = ("reason", "count", "first", "last", "example", "tunnels", "cause", "hint")
    findings = [{name: getattr(finding, name) for name in names} for finding in found.findings]
    return {"records": found.records, "others": found.others, "types": found.types, "findings": findings}


def _iso(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
