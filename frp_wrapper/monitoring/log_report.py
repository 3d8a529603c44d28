"""Reads whole logs of frp: as records, and as a report of what went wrong and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from frp_wrapper.monitoring._multiline import LogReader
from frp_wrapper.monitoring.parser import OutputParser
from frp_wrapper.monitoring.record_types import TYPES
from frp_wrapper.reasons import REASONS

__all__ = ["Finding", "Report", "read_records", "report"]

_SEVERE = frozenset({"warning", "error"})
_MAX_FINDINGS = 10_000
_TUNNELS_SHOWN = 20


def read_records(lines: Iterable[str | None], program: str | None = None) -> Iterator[dict[str, Any]]:
    """Give every record of a log, where several may stand in one line, and one may go over several.

    Args:
        lines: Of a log, in whatever wrapping; None for a pause, behind which no record goes on.
        program: ``frpc`` or ``frps``, when it is known.
    """
    return _records(lines, LogReader(OutputParser(program)))


def _records(lines: Iterable[str | None], reader: LogReader) -> Iterator[dict[str, Any]]:
    for line in lines:
        yield from reader.flush() if line is None else reader.feed(line)
    yield from reader.flush()


@dataclass(slots=True)
class Finding:
    """One kind of failure in a log.

    Attributes:
        reason: The code, see docs/errors.md; for a failure without a known text the type of the record.
        count: How often.
        first: When first, as the log writes it.
        last: When last.
        example: A text of it.
        tunnels: Which tunnels, the most concerned first; at most 20.
        cause: What it means.
        hint: What to do.
    """

    reason: str
    count: int = 0
    first: str | None = None
    last: str | None = None
    example: str = ""
    tunnels: list[str] = field(default_factory=list)
    cause: str = ""
    hint: str = ""


@dataclass(slots=True)
class Report:
    """What a log tells.

    Attributes:
        records: How many records of frp.
        others: Lines that are not frp's.
        first: When the first record was written, as the log writes it.
        last: When the last was.
        types: How many of each type, the most frequent first.
        findings: What failed, the most frequent first.
    """

    records: int
    others: int
    first: str | None
    last: str | None
    types: Mapping[str, int]
    findings: list[Finding]


def report(lines: Iterable[str], program: str | None = None) -> Report:
    """Say what happened in a log, how often, and what to do."""
    reader = LogReader(OutputParser(program))
    types: Counter[str] = Counter()
    findings: dict[str, Finding] = {}
    tunnels: dict[str, Counter[str]] = {}
    first = last = told = None
    for record in _records(lines, reader):
        types[record["type"]] += 1
        first, last = first or record["timestamp"], record["timestamp"] or last
        if not _repeats(record, told):
            _note(record, findings, tunnels)
        told = record.get("error") if record["type"].startswith("login_") else None
    for key, finding in findings.items():
        finding.tunnels = [name for name, _ in tunnels[key].most_common(_TUNNELS_SHOWN)]
    ordered = sorted(findings.values(), key=lambda finding: -finding.count)
    return Report(types.total(), reader.others, first, last, dict(types.most_common()), ordered)


def _repeats(record: Mapping[str, Any], told: str | None) -> bool:
    """Say whether a record is of the same login as the one before: frpc says up to three times why it failed."""
    return (
        told is not None
        and record["type"] in ("login_failed", "login_failed_exit")
        and record.get("error") == told
    )


def _note(record: dict[str, Any], findings: dict[str, Finding], tunnels: dict[str, Counter[str]]) -> None:
    key = _kind_of_failure(record)
    if key is None or (key not in findings and len(findings) >= _MAX_FINDINGS):
        return
    finding = findings.get(key)
    if finding is None:
        reason = REASONS.get(key)
        finding = findings[key] = Finding(
            reason=key,
            first=record["timestamp"],
            example=str(record.get("error") or record["message"]),
            cause=reason.cause if reason else TYPES[key],
            hint=reason.hint if reason else "",
        )
    finding.count += 1
    finding.last = record["timestamp"] or finding.last
    seen = tunnels.setdefault(key, Counter())
    if record["tunnel_id"] and (record["tunnel_id"] in seen or len(seen) < _MAX_FINDINGS):
        seen[record["tunnel_id"]] += 1


def _kind_of_failure(record: Mapping[str, Any]) -> str | None:
    reason = record.get("reason")
    if reason == "ignored":
        return None
    if reason not in (None, "unknown"):
        return str(reason)
    if record["level"] in _SEVERE:
        return str(record["type"])
    return None
