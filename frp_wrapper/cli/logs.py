"""``frpw logs``: make sense of the logs of frpc and frps."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any

import click

from frp_wrapper.cli.log_lines import followed, lines_of
from frp_wrapper.monitoring.log_report import Report, read_records, report
from frp_wrapper.monitoring.record_types import TYPES
from frp_wrapper.reasons import REASONS

__all__ = ["logs"]

_LEVELS = ("trace", "debug", "info", "warning", "error")
_TYPES_SHOWN = 8


@click.group()
def logs() -> None:
    """Read logs of frpc and frps, of any version, with whatever docker, systemd or kubectl put around them."""


def _known_types(_: click.Context, __: click.Parameter, values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if value not in TYPES:
            near = get_close_matches(value, TYPES, 3)
            hint = f"did you mean {' or '.join(near)}?" if near else "see docs/log-lines.md for all of them."
            raise click.BadParameter(f"there is no type {value!r}; {hint}")
    return values


_file = click.argument(
    "file", type=click.Path(exists=True, dir_okay=False, readable=True, allow_dash=True), default="-"
)
_program = click.option(
    "--program", type=click.Choice(["frpc", "frps"]), help="Whose log it is, if you know."
)


@logs.command()
@_file
@_program
@click.option("--follow", "-f", is_flag=True, help="Wait for more, as tail -F does.")
@click.option(
    "--level", type=click.Choice(_LEVELS), default="trace", help="Only records of this level or above."
)
@click.option("--tunnel", help="Only records of this tunnel.")
@click.option(
    "--type", "types", multiple=True, metavar="TYPE", callback=_known_types,
    help="Only records of this type; repeat for several.",
)  # fmt: skip
@click.option(
    "--reason", "reasons", multiple=True, metavar="CODE", type=click.Choice(sorted(REASONS)),
    help="Only failures with this reason; repeat for several.",
)  # fmt: skip
def parse(  # noqa: PLR0917 - click passes them by name
    file: str,
    program: str | None,
    follow: bool,
    level: str,
    tunnel: str | None,
    types: tuple[str, ...],
    reasons: tuple[str, ...],
) -> None:
    """Turn a log (FILE, or - for stdin) into lines of JSON, one for each record of frp.

    A stack trace is one record; several records in one line are several. Lines of other programs are passed over.
    """
    lowest = _LEVELS.index(level)
    for record in read_records(followed(file) if follow else lines_of(file), program):
        wanted = _LEVELS.index(record["level"]) >= lowest and tunnel in (None, record["tunnel_id"])
        chosen = (not types or record["type"] in types) and (not reasons or record.get("reason") in reasons)
        if wanted and chosen:
            click.echo(json.dumps(record, ensure_ascii=False, default=_iso))


@logs.command()
@_file
@_program
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def explain(file: str, program: str | None, as_json: bool) -> None:
    """Say what happened in a log (FILE, or - for stdin), what went wrong, how often, and what to do."""
    found = report(lines_of(file), program)
    if as_json:
        click.echo(json.dumps(_as_dict(found), ensure_ascii=False))
    else:
        _print(found)


def _print(found: Report) -> None:
    others = f", {_count(found.others, 'line')} of others" if found.others else ""
    when = f", from {found.first} to {found.last}" if found.first is not None else ""
    click.echo(f"{_count(found.records, 'record')} of frp{others}{when}")
    shown = list(found.types.items())[:_TYPES_SHOWN]
    if shown:
        more = f", and {len(found.types) - len(shown)} types more" if len(found.types) > len(shown) else ""
        click.echo(f"what happened: {', '.join(f'{count} {kind}' for kind, count in shown)}{more}")
    if not found.findings:
        click.echo("nothing went wrong")
    for finding in found.findings:
        click.echo()
        click.secho(f"{finding.count} x {finding.reason}", bold=True)
        click.echo(f"  {finding.example}".replace("\n", "\n  "))
        if finding.first is not None:
            click.echo(f"  from {finding.first} to {finding.last}")
        if finding.tunnels:
            click.echo(f"  tunnels: {', '.join(finding.tunnels)}")
        if finding.cause:
            click.echo(f"  {finding.cause}")
        if finding.hint:
            click.secho(f"  What to do: {finding.hint}", fg="green")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _as_dict(found: Report) -> dict[str, Any]:
    names = ("reason", "count", "first", "last", "example", "tunnels", "cause", "hint")
    findings = [{name: getattr(finding, name) for name in names} for finding in found.findings]
    return {
        "records": found.records,
        "others": found.others,
        "first": found.first,
        "last": found.last,
        "types": found.types,
        "findings": findings,
    }


def _iso(value: Any) -> str:
    return value.isoformat() if hasattr(value, "isoformat") else str(value)
