"""What collectors of logs put before a line: docker, compose, kubectl, journald, syslog, pm2, and people who paste."""

from __future__ import annotations

import re
from datetime import datetime
from typing import NamedTuple

__all__ = ["Prefix", "peel", "without_joint", "without_label"]

_ISO = r"\d{4}[-/]\d\d[-/]\d\d[T ]\d\d:\d\d:\d\d(?:[.,]\d{1,9})?(?:Z|[+-]\d\d:?\d\d)?"
_ISO_ZONE = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)"
_ZONE = "(?:UTC|GMT|WET|WEST|CET|CEST|EET|EEST|MSK|IST|CST|HKT|SGT|JST|KST|AEST|AEDT|EST|EDT|CDT|MST|MDT|PST|PDT|BST)"
_CLASSIC = (
    r"(?:[A-Z][a-z]{2} )?(?:[A-Z][a-z]{2}|\d{1,2}[月월]) {1,2}\d{1,2} \d\d:\d\d:\d\d(?:\.\d{1,6})?(?: \d{4})?"
)
_PRI = r"(?:<\d{1,3}>)?"
_HOST = r"[\w.:-]{1,255}"
_TAGS = (
    rf"{_PRI}{_CLASSIC} (?:{_HOST} )?([\w.@/-]{{1,80}})(?:\[\d{{1,10}}\])?: ",
    rf"{_PRI}({_ISO_ZONE}) {_HOST} ([\w.@/-]{{1,80}})(?:\[\d{{1,10}}\])?: ",
    rf"<\d{{1,3}}>1 ({_ISO_ZONE}) {_HOST} (\S{{1,48}}) \S{{1,128}} \S{{1,32}} (?:-|\[[^\]]{{0,300}}\]) ?",
    r"(frp[cs][\w.@-]{0,40})\[\d{1,10}\]: ",
)
_OTHERS = (  # a word is read from its start only: else a long one would take the square of its length
    r"\[pod/[^\]]{1,400}\] ",
    r"(?<![\w.@-])(?:\d{1,3}\|)?([\w.@-]{1,100}+) {0,40}+\| ?",
    rf"({_ISO})(?: {_ZONE}(?= ))?(?: \| (?:stdout|stderr) \|| (?:stdout|stderr)(?: [FP])?)? {{1,2}}",
)
_MARKS = (r"[ \t]{0,40}(?:[>*•-][ \t]{1,8}|[>`|]|\d{1,4}[.):][ \t]{1,8})",)
_PART = re.compile("|".join((*_TAGS, *_OTHERS, *_MARKS)))
_TIME_GROUPS, _TAG_GROUPS = (2, 4, 8), (1, 3, 5, 6, 7)
_LABEL = re.compile(
    r"(?:[^:\uff1a\[]{1,30}\uff1a|[^\x00-\x7f:\uff1a][^:\uff1a\[]{0,30}:|(?i:error|err|msg|logs?|output) ?[:=])[ \t]{0,4}"
)
"""What somebody says of a line before it: ``error:``, ``it says:``."""
_JOINT = re.compile(f"(?:{'|'.join((*_TAGS, *_OTHERS))}){{1,3}}$")
_LONGEST_JOINT = 200
_MOST = 6
"""Prefixes before a line: one of each collector that it went through, and the marks of a quotation."""


class Prefix(NamedTuple):
    """What stood before a line.

    Attributes:
        end: Where the line itself begins.
        tag: The name of the program, by syslog or journald; None where there is none.
        time: When a collector took the line; None where none wrote it with its zone.
    """

    end: int
    tag: str | None
    time: datetime | None


def peel(line: str) -> Prefix:
    """Say where a line begins behind the prefixes of collectors, and what they tell."""
    end, tag, time = 0, None, None
    for _ in range(_MOST):
        part = _PART.match(line, end)
        if part is None:
            break
        end = part.end()
        tag = next((part[group] for group in _TAG_GROUPS if part[group]), tag)
        time = time or next((_aware(part[group]) for group in _TIME_GROUPS if part[group]), None)
    return Prefix(end, tag, time)


def without_label(line: str) -> str | None:
    """Take off what somebody says of a line before it, and what a collector put between; None: nothing is said."""
    label = _LABEL.match(line)
    return line[label.end() + peel(line[label.end() :]).end :] if label else None


def without_joint(message: str, prefix: str) -> str:
    """Take the prefix of the next line off the end of a message, where both stand in one line."""
    if prefix.strip() and message.endswith(prefix):
        return message.removesuffix(prefix).rstrip()
    joint = _JOINT.search(message, max(0, len(message) - _LONGEST_JOINT))
    return (message[: joint.start()] if joint else message).rstrip()


def _aware(text: str) -> datetime | None:
    """Read a time that has a zone; Go writes more digits of a second than Python reads."""
    text = re.sub(r"([.,]\d{6})\d+", r"\1", text.replace("/", "-").replace(",", "."))
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return time if time.tzinfo else None
