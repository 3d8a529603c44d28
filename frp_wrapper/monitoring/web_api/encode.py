"""JSON as the dashboard writes it: compact, UTF-8, an unknown number as null."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from typing import Any

__all__ = ["encode"]


def encode(value: Any) -> bytes:
    """Give a value as JSON; what JSON has no form for is written as it prints."""
    return _dump(value)


def _encoder() -> Callable[[Any], bytes]:
    try:
        import orjson  # noqa: PLC0415 - an extra
    except ImportError:
        return _with_stdlib
    options = orjson.OPT_NON_STR_KEYS

    def with_orjson(value: Any) -> bytes:
        try:
            return orjson.dumps(value, _plain, options)
        except TypeError:  # a number beyond 64 bits, half of a surrogate pair: the standard library can
            return _with_stdlib(value)

    return with_orjson


def _with_stdlib(value: Any) -> bytes:
    try:
        return _to_text(value).encode()
    except ValueError:  # NaN or infinity somewhere, or half of a surrogate pair
        return _to_text(_finite(value)).encode()


def _to_text(value: Any) -> str:
    return json.dumps(value, default=_plain, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, set | frozenset):
        return sorted(value, key=str)
    return str(value)


def _finite(value: Any) -> Any:
    """Give a copy that JSON can carry: no NaN, no infinity, no half characters."""
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {_finite(str(key)): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if value is None or isinstance(value, int):
        return value
    return _finite(_plain(value))


_dump = _encoder()
