"""The log templates of every frp version, as patterns that cost what a dictionary lookup costs.

A Go format such as ``new proxy [%s] error: %v`` becomes a regular expression of atomic groups, so that no message, however
hostile, makes it backtrack: matching takes time linear in the length of the message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from importlib.resources import files
from typing import Any

_PLACEHOLDER = re.compile(r"%[-+]?\d*[a-zA-Z]")
_FIRST_WORD = re.compile(r"[^ %\[:,(]*")
_MIN_LITERAL = 12
"""Letters that a line without frp's header must share with a template before it is taken for frp's."""


@dataclass(frozen=True)
class Template:
    """One message of frp: what it means, who prints it, and the names of its values."""

    text: str
    event: str
    program: str | None
    fields: tuple[str, ...]
    raw: bool
    """Printed without the log header."""

    @cached_property
    def literal_size(self) -> int:
        """How many characters are fixed; of two templates that match, the one with more is meant."""
        return len(_PLACEHOLDER.sub("", self.text))

    @property
    def is_telling(self) -> bool:
        """Whether a line that matches can only be frp's."""
        return self.literal_size >= _MIN_LITERAL

    @cached_property
    def _converted(self) -> dict[str, str]:
        kinds = [kind[-1] for kind in _PLACEHOLDER.findall(self.text)]
        return {field: kind for field, kind in zip(self.fields, kinds, strict=True) if kind in "dq"}

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        first, *rest = _PLACEHOLDER.split(self.text)
        if not rest:
            return re.compile(re.escape(first), re.DOTALL)
        *middle, last = rest
        steps = "".join(f"(?>(.*?){re.escape(literal)})" for literal in middle)
        return re.compile(f"{re.escape(first)}{steps}(.*){re.escape(last)}", re.DOTALL)

    def values(self, message: str) -> dict[str, Any] | None:
        """Give the values in a message by name, or None when it is another message."""
        match = self._pattern.fullmatch(message)
        if match is None:
            return None
        values: dict[str, Any] = dict(zip(self.fields, match.groups(), strict=True))
        for field, kind in self._converted.items():
            values[field] = _converted(values[field], kind)
        return values


def _converted(text: str, kind: str) -> str | int:
    """Read a value that Go wrote with ``%d`` or ``%q``; what cannot be read stays as it is."""
    if kind == "d":
        return int(text) if text.isdecimal() else text
    try:
        value = json.loads(text)
    except ValueError:
        return text
    return value if isinstance(value, str) else text


@dataclass(frozen=True)
class Catalogue:
    """All templates, found by the first word of a message."""

    by_word: Mapping[str, tuple[Template, ...]]

    def find(self, message: str, *, raw: bool = False) -> tuple[Template, dict[str, Any]] | None:
        """Give the template that a message was made from, with its values; ``raw``: for lines without a header."""
        word = _FIRST_WORD.match(message)
        assert word is not None
        for template in self.by_word.get(word[0], ()) or self.by_word.get("", ()):
            if template.raw == raw and (values := template.values(message)) is not None:
                return template, values
        return None


@cache
def catalogue() -> Catalogue:
    """Load the templates, once."""
    groups: dict[str, list[Template]] = {}
    text = files("frp_wrapper.monitoring").joinpath("templates.jsonl").read_text("utf-8")
    for line in text.splitlines():
        row = json.loads(line)
        fields = tuple(row.get("fields", ()))
        template = Template(row["template"], row["event"], row["program"], fields, row.get("raw", False))
        word = _FIRST_WORD.match(template.text)
        assert word is not None
        groups.setdefault(word[0], []).append(template)
    return Catalogue(
        {word: tuple(sorted(group, key=lambda t: -t.literal_size)) for word, group in groups.items()}
    )
