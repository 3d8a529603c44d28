"""The fields of a record as plain values: masked, bounded, and such that JSON can carry them."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from datetime import date
from enum import Enum
from itertools import islice
from math import isfinite
from types import NoneType
from typing import Any, TypeVar

from frp_wrapper.monitoring.log_mask import (
    MASK,
    is_harmless,
    known,
    masked_text,
    names_a_secret,
    remember,
)

T = TypeVar("T")

__all__ = [
    "MAX_TEXT",
    "MAX_VALUES",
    "cleaned",
    "cleaned_text",
    "printed",
    "printed_traceback",
    "rewritten",
    "rewritten_text",
]

MAX_TEXT = 16_384
"""Characters that the texts of one record may have together; what is beyond is cut, and the cut is marked."""
MAX_VALUES = 1_000
"""Values that one record may have, with those inside others; what is beyond is left out, and that is marked."""
_MAX_DEPTH = 8
_FEW = 50
"""So many fields with texts that `is_harmless` knows are within all bounds without being counted."""
_PLAIN = frozenset((int, float, bool, NoneType))
_OURS = frozenset(("timestamp", "level", "logger", "event", "repeated", "exc_info"))
_LARGE_BITS = 63
_LARGEST_BITS = 10_000
"""The decimal digits of a larger number would take noticeable time."""


def cleaned(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give fields as `rewritten` does; the same object where nothing is to be changed, which is most often."""
    names, harmless = known.names, known.harmless
    for name, value in fields.items():
        if name not in names:
            break
        kind = type(value)
        if kind is str:
            if value not in harmless and not is_harmless(value):
                break
        elif kind not in _PLAIN:
            break
    else:
        if len(fields) <= _FEW:
            return fields
    return rewritten(fields)


def rewritten(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Give the fields of a record as JSON knows them, masked, and within `MAX_TEXT` and `MAX_VALUES`; never raises.

    A name that a record has already gets a ``_`` behind it; ``exc_info`` becomes ``exception``, the traceback as a text.
    """
    return _Rewriting().fields(fields)


def cleaned_text(text: str) -> str:
    """Give one text as `rewritten` does."""
    return text if text in known.harmless else _Rewriting().text(text)


def rewritten_text(text: str) -> str:
    """Give one text masked, bounded, and such that it can be encoded."""
    return _Rewriting().text(text)


def printed(value: object) -> str:
    """Give ``str(value)``, or a word about the value where that raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - code of whoever made the value
        return f"<{type(value).__name__} that cannot be printed>"


class _Rewriting:
    """A walk through one record with what is left of its bounds."""

    def __init__(self) -> None:
        self._names, self._harmless = known.names, known.harmless  # before the secrets: see `known`
        self._characters = MAX_TEXT
        self._values = MAX_VALUES

    def fields(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        given = dict(fields)
        error = given.pop("exc_info", None)
        given = {f"{name}_" if name in _OURS else name: value for name, value in given.items()}
        made = self._mapping(given, 0)
        if error and (text := printed_traceback(error)):
            made["exception"] = self.text(text)
        return made

    def text(self, text: str) -> str:
        left = self._characters
        if text in self._harmless and len(text) <= left and text.isascii():
            self._characters -= len(text)
            return text
        masked = masked_text(text[: left + known.longest])  # with a secret that the cut would halve
        if not masked.isascii():
            masked = masked.encode(errors="backslashreplace").decode()  # surrogates cannot be written
        self._characters = max(left - len(masked), 0)
        if len(text) <= left and len(masked) <= left:
            return masked
        return f"{masked[:left]}... [cut: {len(text)} characters]"

    def value(self, value: Any, depth: int) -> Any:
        self._values -= 1
        kind = type(value)
        if kind is str:
            return self.text(value)
        if kind in _PLAIN:
            return _number(value)
        try:
            return self._other(value, kind, depth)
        except Exception:  # noqa: BLE001 - code of whoever made the value, or another thread is changing it
            return f"<{kind.__name__} that cannot be printed>"

    def _other(self, value: Any, kind: type, depth: int) -> Any:
        if kind is dict or kind is list or kind is tuple:  # asked first, as it costs least
            return self._container(value, depth)
        if isinstance(value, Enum):
            return self.value(value.value, depth)
        if isinstance(value, str):
            return self.text(str(value))
        if isinstance(value, (int, float)):
            return _number(value)
        if isinstance(value, (list, tuple, AbstractSet, Mapping)):
            return self._container(value, depth)
        return self.text(_as_text(value, self._characters + known.longest + 1))

    def _container(self, value: Any, depth: int) -> Any:
        if depth >= _MAX_DEPTH:
            return "..."
        if isinstance(value, Mapping):
            return self._mapping(value, depth + 1)
        made = [self.value(inner, depth + 1) for inner in self._first(value)]
        if len(made) < len(value):
            made.append(f"... {len(value) - len(made)} more")
        return tuple(made) if isinstance(value, tuple) else made  # tuple: structlog's positional arguments

    def _mapping(self, values: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        made: dict[str, Any] = {}
        first = self._first(values.items())
        for key, value in first:
            name = key if type(key) is str else printed(key)
            text = self._name(name)  # before the value, which may use up the bounds
            made[text] = self._named(name, value, depth)
        if len(first) < len(values):
            made["..."] = f"{len(values) - len(first)} more"
        return made

    def _first(self, values: Iterable[T]) -> list[T]:
        return list(islice(values, max(self._values, 0)))

    def _name(self, name: str) -> str:
        if name in self._names:
            return name
        text = self.text(name)
        if text == name and name not in _OURS and not names_a_secret(name):
            remember(self._names, name)
        return text

    def _named(self, name: str, value: Any, depth: int) -> Any:
        if value is None or value is True or value is False or name in self._names:
            return self.value(value, depth)
        return MASK if names_a_secret(name) else self.value(value, depth)


def _number(value: float | None) -> Any:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, float):
        return float(value) if isfinite(value) else None  # as JSON has no word for it
    bits = value.bit_length()
    if bits <= _LARGE_BITS:
        return int(value)
    return str(value) if bits <= _LARGEST_BITS else f"<int of {bits} bits>"


def _as_text(value: object, limit: int) -> str:
    if isinstance(value, (bytes, bytearray)):
        return value[:limit].decode(errors="backslashreplace")
    return value.isoformat() if isinstance(value, date) else printed(value)


def printed_traceback(error: object) -> str:
    """Give the traceback of an exception, of ``sys.exc_info()``, or for True, of the exception that is being handled."""
    if isinstance(error, tuple):
        error = error[1] if len(error) > 1 else None
    elif not isinstance(error, BaseException):
        error = sys.exc_info()[1]
    return "".join(traceback.format_exception(error)) if isinstance(error, BaseException) else ""
