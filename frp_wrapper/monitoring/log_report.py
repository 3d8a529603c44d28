"""Reads whole logs of frp: as records, and as a report of what went wrong and what to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from frp_wrapper.monitoring._log_layout import clean
from frp_wrapper.monitoring.parser import OutputParser
from frp_wrapper.reasons import REASONS, explain

__all__ = ["Finding", "Report", "read_records", "report"]

_SEVERE = frozenset({"warning", "error"})
_MAX_FINDINGS = 10_000
_TUNNELS_SHOWN = 20


def read_records(lines: Iterable[str], program: str | None = None) -> Iterator[dict[str, Any]]:
    """Give the record of every line that is frp's, with a ``reason`` where it tells of a failure.

    Args:
        lines: Of a log, in whatever wrapping.
        program: ``frpc`` or ``frps``, when it is known.
    """
    parser = OutputParser(program)
    for line in lines:
        record = parser.parse_line(line)
        if record is not None:
            yield _with_reason(record)


def _with_reason(record: dict[str, Any]) -> dict[str, Any]:
    text = record.get("error")
    if isinstance(text, str) and text:
        reason = explain(text)
        record["reason"] = reason.code
    elif record["type"] == "health_check_failed":
        record["reason"] = "health_check_failed"
    return record


@dataclass(slots=True)
class Finding:
    """One kind of failure in a log.

    Attributes:
        reason: The code, see docs/errors.md; for a failure without a known text the type of the line.
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
        records: Lines that are frp's.
        others: Lines that are not.
        types: How many of each type.
        findings: What failed, the most frequent first.
    """

    records: int
    others: int
    types: Mapping[str, int]
    findings: list[Finding]


def report(lines: Iterable[str], program: str | None = None) -> Report:
    """Say what happened in a log, how often, and what to do."""
    parser = OutputParser(program)
    types: Counter[str] = Counter()
    findings: dict[str, Finding] = {}
    tunnels: dict[str, Counter[str]] = {}
    others = 0
    for line in lines:
        record = parser.parse_line(line)
        if record is None:
            others += bool(clean(line).strip())  # a colour alone is the end of the line before
            continue
        types[record["type"]] += 1
        _note(_with_reason(record), findings, tunnels)
    for key, finding in findings.items():
        finding.tunnels = [name for name, _ in tunnels[key].most_common(_TUNNELS_SHOWN)]
    ordered = sorted(findings.values(), key=lambda finding: -finding.count)
    return Report(types.total(), others, dict(types.most_common()), ordered)


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
            cause=reason.cause if reason else "",
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
