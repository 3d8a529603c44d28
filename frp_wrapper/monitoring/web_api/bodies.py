"""Reads what a request carries: JSON, bounded in bytes and time."""

from __future__ import annotations

import asyncio
import json
from typing import Any, NoReturn

from starlette.requests import Request

from frp_wrapper.monitoring.web_api.faults import ApiError

__all__ = ["MAX_BODY", "optional_text", "positive_number", "read_object"]

MAX_BODY = 64 * 1024
_MAX_SECONDS = 10.0
_LONGEST_TEXT = 200


async def read_object(request: Request) -> dict[str, Any]:
    """Give the JSON object that a request carries.

    Raises:
        ApiError: It is something else, too long, or does not come.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise ApiError(
            415, "json_needed", "the body must be JSON", "Send Content-Type: application/json.", _CLOSE
        )
    try:
        async with asyncio.timeout(_MAX_SECONDS):
            body = await _read(request)
    except TimeoutError:
        raise ApiError(
            408, "too_slow", f"the body did not come within {_MAX_SECONDS:g} s", "Try again.", _CLOSE
        ) from None
    try:
        value = json.loads(body, parse_constant=_no_constant)
    except (ValueError, RecursionError) as exc:
        raise ApiError(400, "bad_json", f"the body is not JSON: {exc}"[:200], "Correct it.") from exc
    if not isinstance(value, dict):
        raise ApiError(400, "bad_body", "the body must be a JSON object", 'Such as {"seconds": 60}.')
    return value


_CLOSE = ((b"connection", b"close"),)


async def _read(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_BODY:
            raise ApiError(
                413, "too_long", f"the body may have {MAX_BODY} bytes at most", "Send less.", _CLOSE
            )
    return bytes(body)


def optional_text(body: dict[str, Any], name: str) -> str | None:
    """Give a text of a body; None: it is not there.

    Raises:
        ApiError: It is no text, or a long one.
    """
    value = body.get(name)
    if value is not None and not (isinstance(value, str) and 0 < len(value) <= _LONGEST_TEXT):
        raise _bad(name, f"a text of 1 to {_LONGEST_TEXT} characters")
    return value


def positive_number(body: dict[str, Any], name: str, most: float) -> float:
    """Give a number of a body that must be there.

    Raises:
        ApiError: It is missing, no number, or out of range.
    """
    value = body.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value <= most:
        raise _bad(name, f"a number above 0, {most:g} at most")
    return float(value)


def only(body: dict[str, Any], *names: str) -> None:
    """Refuse a body with other members.

    Raises:
        ApiError: It has some.
    """
    for name in body:
        if name not in names:
            raise ApiError(
                400,
                "bad_body",
                f"there is no option {name[:_LONGEST_TEXT]!r}",
                f"There are {', '.join(names)}.",
            )


def _bad(name: str, meant: str) -> ApiError:
    return ApiError(400, "bad_body", f"{name} must be {meant}", f"Correct {name}.")


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no JSON number")
