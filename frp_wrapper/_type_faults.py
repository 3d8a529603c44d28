"""Finds options of the wrong type: a string where a list is meant would otherwise be read letter by letter."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, get_type_hints

if TYPE_CHECKING:
    from _typeshed import DataclassInstance
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails


def hidden_options(kind: type[Any]) -> frozenset[str]:
    """Give the options whose values may be secret, and so are in no message."""
    return frozenset(field.name for field in fields(kind) if not field.repr)


def type_faults(config: DataclassInstance) -> list[str]:
    """Give every option whose value has the wrong type as a sentence."""
    from pydantic import ValidationError  # noqa: PLC0415 - not needed to import the package

    values = {field.name: getattr(config, field.name) for field in fields(config)}
    try:
        _model(type(config)).model_validate(values, strict=True)
    except ValidationError as exc:
        return list(dict.fromkeys(_sentences(exc.errors(include_url=False), hidden_options(type(config)))))
    return []


@cache
def _model(kind: type[DataclassInstance]) -> type[BaseModel]:
    from pydantic import ConfigDict, create_model  # noqa: PLC0415

    hints = get_type_hints(kind)
    members: dict[str, Any] = {field.name: (hints[field.name], ...) for field in fields(kind)}
    return create_model(kind.__name__, __config__=ConfigDict(revalidate_instances="always"), **members)


def _sentences(errors: list[ErrorDetails], hidden: frozenset[str]) -> Iterator[str]:
    """Write the faults; of a value that may be one of several classes, only what is wrong with the class it has."""
    precise = {error["loc"][0] for error in errors if error["type"] != "dataclass_exact_type"}
    for error in errors:
        option = error["loc"][0]
        if error["type"] != "dataclass_exact_type":
            path = ".".join(str(part) for part in error["loc"])
            what = error["msg"].removeprefix("Input ")
            value = "" if option in hidden else f" {error['input']!r:.80}"
            yield f"{path}{value}: {what}"
        elif option not in precise:
            yield f"{option} is a {type(error['input']).__name__}, which is none of its classes"
