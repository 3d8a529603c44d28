"""The log templates of every frp version, as patterns that cost what a dictionary lookup costs.

A Go format such as ``new proxy [%s] error: %v`` becomes a regular expression of atomic groups, so that no message, however
hostile, makes it backtrack: matching takes time linear in the length of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"%[-+]?\d*[a-zA-Z]")
_FIRST_WORD = re.compile(r"[^ %\[:,(]*")
_FIRST_WORDS = re.compile(r"[^ %\[:,(]* [^ %\[]+(?= )")
"""Two whole words: few templates share them."""
_MIN_LITERAL = 12
"""Letters that a line without frp's header must share with a template before it is taken for frp's."""

Values = dict[str, Any]


class Template:
    """One message of frp: what it means, who prints it, and the names of its values."""

    __slots__ = ("_converted", "_fields", "_pattern", "event", "literal_size", "program", "text")

    def __init__(self, text: str, event: str, program: str | None, fields: tuple[str, ...]) -> None:
        self.text = text
        self.event = event
        self.program = program
        self.literal_size = len(_PLACEHOLDER.sub("", text))
        """How many characters are fixed; of two templates that match, the one with more is meant."""
        kinds = [kind[-1] for kind in _PLACEHOLDER.findall(text)]
        self._fields = fields
        self._converted = [(field, kind) for field, kind in zip(fields, kinds, strict=True) if kind in "dq"]
        self._pattern: re.Pattern[str] | None = None

    @property
    def is_telling(self) -> bool:
        """Whether a line that matches can only be frp's."""
        return self.literal_size >= _MIN_LITERAL

    @property
    def has_values(self) -> bool:
        """Whether messages differ from the template."""
        return bool(self._fields)

    def values(self, message: str) -> Values | None:
        """Give the values in a message by name, or None when it is another message."""
        pattern = self._pattern or self._compile()
        match = pattern.fullmatch(message)
        if match is None:
            return None
        values: Values = dict(zip(self._fields, match.groups(), strict=True))
        for field, kind in self._converted:
            values[field] = _converted(values[field], kind)
        return values

    def _compile(self) -> re.Pattern[str]:
        """Build the pattern, when it is first needed: all at once would take a tenth of a second."""
        first, *rest = _PLACEHOLDER.split(self.text)
        if rest:
            *middle, last = rest
            steps = "".join(f"(?>(.*?){re.escape(literal)})" for literal in middle)
            first = f"{re.escape(first)}{steps}(.*){re.escape(last)}"
        else:
            first = re.escape(first)
        self._pattern = re.compile(first, re.DOTALL)
        return self._pattern


def _converted(text: str, kind: str) -> str | int:
    """Read a value that Go wrote with ``%d`` or ``%q``; what cannot be read stays as it is."""
    if kind == "d":
        return int(text) if text.isdecimal() else text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


class Catalogue:
    """Templates, found by the first words of a message."""

    def __init__(self, templates: Iterable[Template]) -> None:
        self._exact: dict[str, Template] = {}
        self._by_two: dict[str, list[Template]] = {}
        self._by_one: dict[str, list[Template]] = {}
        for template in sorted(templates, key=lambda template: -template.literal_size):
            self._add(template)

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
        for word in (_first_word(message), ""):
            for template in self._by_one.get(word, ()):
                if (values := template.values(message)) is not None:
                    return template, values
        return None

    def _add(self, template: Template) -> None:
        if not template.has_values:
            self._exact[template.text] = template
            return
        literal = template.text[: _PLACEHOLDER.search(template.text).start()]  # type: ignore[union-attr]
        words = _FIRST_WORDS.match(literal)
        if words is not None:
            self._by_two.setdefault(words[0], []).append(template)
        else:
            self._by_one.setdefault(_first_word(literal), []).append(template)


def _first_word(message: str) -> str:
    word = _FIRST_WORD.match(message)
    assert word is not None
    return word[0]


@cache
def catalogues() -> tuple[Catalogue, Catalogue]:
    """Load the templates, once: those of lines with frp's header, and those of lines without."""
    with_header: list[Template] = []
    raw: list[Template] = []
    text = files("frp_wrapper.monitoring").joinpath("templates.jsonl").read_text("utf-8")
    for line in text.splitlines():
        row: Mapping[str, Any] = json.loads(line)
        template = Template(row["template"], row["event"], row["program"], tuple(row.get("fields", ())))
        (raw if row.get("raw") else with_header).append(template)
    return Catalogue(with_header), Catalogue(raw)
