"""The log templates of every frp version, found by their first words and read with nothing but ``str.find``.

A Go format such as ``new proxy [%s] error: %v`` is cut at its placeholders. A message is read from left to right, literal by
literal, and no step is ever taken back: the time is linear in the length of the message, however hostile it is.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, NamedTuple

__all__ = ["Catalogue", "Catalogues", "Template", "Values", "catalogues", "rows"]

_PLACEHOLDER = re.compile(r"%[-+]?\d*[a-zA-Z]")
_FIRST_WORD = re.compile(r"[^ %\[:,(]{0,40}")
_FIRST_WORDS = re.compile(r"[^ %\[:,(]{0,40} [^ %\[]{1,40}(?= )")
"""Two whole words: few templates share them."""
_DURATION = re.compile(r"(?:\d+h)?(?:\d+m(?!s))?(?:\d+(?:\.\d+)?(?:s|ms|µs|us|ns))?")
_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "µs": 1e-6, "us": 1e-6, "ns": 1e-9}
_MIN_LITERAL = 12
"""Letters that a line without frp's header must share with a template before it is taken for frp's."""
_LONGEST = 4096
"""Characters of a message that may begin with a value; to look for its first fixed part takes longest."""
_NAME = "[%s] "
_FIRST_ERA = "ProxyName [%s]"
_MOST_ALIKE = 4096
"""Characters of a message that are compared with templates which it is not quite."""
_MORE = (" ", ",", ":", ";", ".", "(", "!")
"""What may follow a message that a fork of frp, or a later version, has made longer."""

Values = dict[str, Any]


class Template:
    """One message of frp: what it means, who prints it, and the names of its values.

    Args:
        row: A line of ``templates.jsonl``: ``template``, ``event``, ``program`` (None: both), and where they say anything
            ``level``, ``fields``, ``raw`` (printed without a header), ``named`` (a name stands before it), ``generic``
            (others print it too), ``likely`` (others print it too, but real logs hold it as frp's, where no other is named as the
            writer), ``elsewhere`` (another event, by program or by a part of the caller), ``reason`` (where the error text
            alone would mislead).
    """

    __slots__ = (
        "_converted",
        "_fields",
        "_first",
        "_last",
        "_steps",
        "elsewhere",
        "event",
        "has_error",
        "is_generic",
        "is_likely",
        "is_named",
        "level",
        "literal_size",
        "program",
        "reason",
        "text",
    )  # fmt: skip

    def __init__(self, row: Mapping[str, Any]) -> None:
        text, fields = str(row["template"]), list(row.get("fields", ()))
        self.event: str = row["event"]
        self.program: str | None = row["program"]
        self.level: str = row.get("level", "info")
        self.elsewhere: Mapping[str, str] = row.get("elsewhere", {})
        self.reason: str | None = row.get("reason")
        self.is_generic = bool(row.get("generic"))
        self.is_likely = bool(row.get("likely"))
        self.is_named = bool(row.get("named")) or text.startswith(_NAME) or "tunnel_id" in fields
        self.has_error = "error" in fields or self.reason is not None
        for prefix in (_NAME, _FIRST_ERA):
            if text.startswith(prefix):  # the name is read before the message is looked up
                text, fields = text.removeprefix(prefix).lstrip(", "), fields[1:]
        self.text = text
        self.literal_size = len(_PLACEHOLDER.sub("", text))
        """How many characters are fixed; of two templates that match, the one with more is meant."""
        kinds = [kind[-1] for kind in _PLACEHOLDER.findall(text)]
        self._first, *rest = _PLACEHOLDER.split(text)
        self._fields = fields
        self._steps = list(zip(fields, rest, strict=True))[:-1]
        self._last = rest[-1] if rest else ""
        self._converted = [
            (field, convert)
            for field, kind in zip(fields, kinds, strict=True)
            if (convert := _conversion(field, kind)) is not None
        ]

    @property
    def is_telling(self) -> bool:
        """Whether a message that matches can only be frp's, or is nearly always."""
        return self.is_likely or (self.literal_size >= _MIN_LITERAL and not self.is_generic)

    @property
    def has_values(self) -> bool:
        """Whether messages differ from the template."""
        return bool(self._fields)

    @property
    def first(self) -> str:
        """What stands before the first value."""
        return self._first

    def values(self, message: str) -> Values | None:
        """Give the values in a message by name, or None when it is another message."""
        if not message.startswith(self._first):
            return None
        at = len(self._first)
        values: Values = {}
        for field, literal in self._steps:
            end = message.find(literal, at)
            if end == -1:
                return None
            values[field] = message[at:end]
            at = end + len(literal)
        if self._last and not (message.endswith(self._last) and len(message) - len(self._last) >= at):
            return None
        values[self._fields[-1]] = message[at : len(message) - len(self._last)]
        for field, convert in self._converted:
            convert(field, values)
        return values

    def part(self, message: str) -> tuple[int, Values]:
        """Count the fixed characters that a message which was cut off has in common with this template, and read the rest.

        Returns:
            Their number, 0 when it is another message, and the values that are whole.
        """
        if not message.startswith(self._first):
            return (len(message), {}) if self._first.startswith(message) else (0, {})
        at = shared = len(self._first)
        values: Values = {}
        for field, literal in (
            self._steps if self._last == "" else [*self._steps, (self._fields[-1], self._last)]
        ):
            end = message.find(literal, at)
            size = len(literal) if end != -1 else _overlap(message, literal)
            if size:
                shared += size
                values[field] = message[at : end if end != -1 else len(message) - size]
            if end == -1:
                break
            at = end + size
        return shared, values


def _overlap(message: str, literal: str) -> int:
    """Count how much of the start of a literal the message ends with."""
    return next((size for size in range(len(literal) - 1, 0, -1) if message.endswith(literal[:size])), 0)


def _conversion(field: str, kind: str) -> Callable[[str, Values], None] | None:
    if field == "address":
        return _add_port
    if field == "wait":
        return _as_seconds
    return {"d": _as_number, "q": _unquoted}.get(kind)


def _as_number(field: str, values: Values) -> None:
    if values[field].isdecimal() and len(values[field]) < 20:
        values[field] = int(values[field])


def _unquoted(field: str, values: Values) -> None:
    """Read what Go wrote with ``%q``; what cannot be read stays as it is."""
    try:
        value = json.loads(values[field])
    except (ValueError, RecursionError):
        return
    if isinstance(value, str):
        values[field] = value


def _add_port(field: str, values: Values) -> None:
    port = values[field].rpartition(":")[2]
    if port.isdecimal() and len(port) < 6:
        values["port"] = int(port)


def _as_seconds(field: str, values: Values) -> None:
    """Read a Go duration such as ``1m2.5s``."""
    text = values[field]
    if 0 < len(text) < 40 and _DURATION.fullmatch(text):
        parts = re.findall(r"(\d+(?:\.\d+)?)(\D+)", text)
        values[field] = sum(float(number) * _UNITS[unit] for number, unit in parts)


class Catalogue:
    """Templates, found by the first words of a message."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._exact: dict[str, Template] = {}
        self._by_two: dict[str, list[Template]] = {}
        self._by_one: dict[str, list[Template]] = {}
        self._all: dict[str, list[Template]] = {}
        """By the first word, those without values too."""
        for template in sorted(templates, key=lambda template: -template.literal_size):
            self._add(template)
        self._words = sorted(self._all)

    def find(self, message: str) -> tuple[Template, Values] | None:
        """Give the template that a message was made from, with its values."""
        exact = self._exact.get(message)
        if exact is not None:
            return exact, {}
        words = _FIRST_WORDS.match(message)
        if words is not None:
            for template in self._by_two.get(words[0], ()):
                if (values := template.values(message)) is not None:
                    return template, values
        for word in (_first_word(message), "") if len(message) < _LONGEST else (_first_word(message),):
            for template in self._by_one.get(word, ()):
                if (values := template.values(message)) is not None:
                    return template, values
        return None

    def resemble(
        self, message: str, level: str | None = None, least: int = _MIN_LITERAL
    ) -> tuple[Template, Values] | None:
        """Give the template of a message that was cut off at its end, or has something added there.

        Args:
            message: What is left of it.
            level: At which level it was printed; decides where the text alone fits several.
            least: How many fixed characters the two must share.
        """
        message = message[:_MOST_ALIKE]
        likely: list[tuple[int, Template, Values]] = []
        for template in self._beginning_like(message):
            if not template.has_values and message.startswith(tuple(template.text + more for more in _MORE)):
                return template, {}
            shared, values = (
                template.part(message) if template.has_values else (_common(template.text, message), {})
            )
            if shared >= least:
                likely.append((shared, template, values))
        most = max((shared for shared, _, _ in likely), default=0)
        best = [(template, values) for shared, template, values in likely if shared == most]
        best = [one for one in best if one[0].level == level] or best
        return best[0] if len({template.event for template, _ in best}) == 1 else None

    def _beginning_like(self, message: str) -> Iterator[Template]:
        """Give the templates with the first word of a message, or with one that begins so where it ends in that word."""
        word = _first_word(message)
        if word in self._all or word != message:
            yield from self._all.get(word, ())
            return
        at = bisect_left(self._words, word)
        while at < len(self._words) and self._words[at].startswith(word):
            yield from self._all[self._words[at]]
            at += 1

    def _add(self, template: Template) -> None:
        self._all.setdefault(_first_word(template.first), []).append(template)
        if not template.has_values:
            self._exact.setdefault(template.text, template)
            return
        words = _FIRST_WORDS.match(template.first)
        if words is not None:
            self._by_two.setdefault(words[0], []).append(template)
        else:
            self._by_one.setdefault(_first_word(template.first), []).append(template)


def _common(text: str, message: str) -> int:
    return len(message) if text.startswith(message) else 0


def _first_word(message: str) -> str:
    word = _FIRST_WORD.match(message)
    assert word is not None
    return word[0]


class Catalogues(NamedTuple):
    """The messages of frp by the way that they are printed."""

    messages: Catalogue
    """Behind a header."""
    first_era: Catalogue
    """Behind a header and ``ProxyName [name], ``, up to v0.9."""
    raw: Catalogue
    """Without a header: start-up errors, and what commands print."""


def rows() -> list[dict[str, Any]]:
    """Give the lines of ``templates.jsonl``."""
    text = files("frp_wrapper.monitoring").joinpath("templates.jsonl").read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


@cache
def catalogues() -> Catalogues:
    """Load the templates, once."""
    messages: list[Template] = []
    first_era: list[Template] = []
    raw: list[Template] = []
    for row in rows():
        where = raw if row.get("raw") else first_era if row["template"].startswith(_FIRST_ERA) else messages
        where.append(Template(row))
    return Catalogues(Catalogue(messages), Catalogue(first_era), Catalogue(raw))
