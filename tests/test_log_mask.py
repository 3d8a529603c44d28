"""What is never written: secrets, wherever they stand; and what is written in part: what is too much."""

from __future__ import annotations

import base64
import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.monitoring.log_fields import MAX_TEXT, MAX_VALUES, cleaned, rewritten
from frp_wrapper.monitoring.log_mask import _Known, known, mask_secret, masked_text

SECRET = 's3cr"et /tök\\en'


@pytest.fixture(autouse=True)
def nothing_known() -> Iterator[None]:
    """Forget the secrets of other tests, and afterwards those of this one."""
    before = dict(vars(known))
    vars(known).update(vars(_Known()))
    yield
    vars(known).update(before)


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ('auth.token = "s3c\\"ret"', 'auth.token = "***"'),  # frpc.toml
        ("token = s3cret", "token = ***"),  # frpc.ini
        ('{"auth": {"token": "s3cret", "method": "token"}}', '{"auth": {"token": "***", "method": "token"}}'),
        ('said \\"password\\": \\"s3cret\\", more', 'said \\"password\\": \\"***\\", more'),  # JSON in JSON
        ("{'http_password': 's3c\\'ret', 'a': 1}", "{'http_password': '***', 'a': 1}"),
        ("http://h/api?token=s3cret&x=1", "http://h/api?token=***&x=1"),
        ("http://user:s3@cret@host:80/x", "http://***@host:80/x"),
        ("dial http://s3cret@host failed", "dial http://***@host failed"),
        ("Authorization: Bearer s3cret", "Authorization: ***"),
        ("Authorization: Digest a=1, b=2\nnext: line", "Authorization: ***\nnext: line"),
        ("sent bearer s3cret.abc-def", "sent bearer ***"),
        ("sent Basic dXNlcjpzM2NyZXQ=", "sent Basic ***"),
        ("Set-Cookie: a=s3cret; Path=/", "Set-Cookie: ***"),
        ("secretKey=s3cret, sk", "secretKey=***, sk"),
        ("api_key: s3cret", "api_key: ***"),
        ("X-Auth-Token: s3cret", "X-Auth-Token: ***"),
        ("token in login doesn't match token from configuration", None),  # frps says so
        ("proxy [keypad] start error: port already used", None),
        ("mail to a@b about http://h/x@y", None),
    ],
)
def test_texts(text: str, masked: str | None) -> None:
    """A text loses what follows the name of a secret, and nothing else."""
    assert masked_text(text) == (masked or text)
    assert masked_text(text) == (masked or text), "also when the text is known"


def test_a_known_secret() -> None:
    """A secret that is known is masked in every spelling: as it is, in JSON, in Python, and in a URL."""
    mask_secret(SECRET)
    for spelling in (SECRET, json.dumps(SECRET)[1:-1], repr(SECRET)[1:-1], "s3cr%22et%20%2Ft%C3%B6k%5Cen"):
        assert masked_text(f"a {spelling} b") == "a *** b"


def test_a_secret_that_becomes_known() -> None:
    """What was harmless before a secret was known is not taken for harmless afterwards."""
    assert cleaned({"message": "not-yet-secret"}) == {"message": "not-yet-secret"}
    mask_secret("not-yet-secret")
    assert cleaned({"message": "not-yet-secret"}) == {"message": "***"}


def test_a_short_secret() -> None:
    """A text that may be any word is masked only where a name says what it is."""
    mask_secret("web")
    assert cleaned({"tunnel": "web", "token": "web"}) == {"tunnel": "web", "token": "***"}


def test_a_secret_in_a_name() -> None:
    """A secret that stands as the name of a field is masked too."""
    mask_secret("a-very-hidden-name")
    assert cleaned({"a-very-hidden-name": 1, "x": {"a-very-hidden-name": 1}}) == {"***": 1, "x": {"***": 1}}


def test_the_secrets_are_bounded() -> None:
    """The last 1,024 secrets are masked; one that is named again counts as new; how many are not is counted."""
    for number in range(1024):
        mask_secret(f"secret-{number}.")
    mask_secret("secret-0.")
    mask_secret("secret-1024.")
    assert masked_text("secret-0. secret-1. secret-2. secret-1024.") == "*** secret-1. *** ***"
    assert known.forgotten == 1


def test_names() -> None:
    """A field whose name speaks of a secret is masked whatever it holds, but that it is empty or a switch may be seen."""
    fields = {
        "auth_token": 123, "http_password": ["a", {"b": "c"}], "Cookie": b"x", "secretKey": "x", "sk": "x", "apiKey": "x",
        "has_token": True, "no_token": None, "risk": "x", "key": "x", "tunnel_id": "x",
    }  # fmt: skip
    assert cleaned(fields) == {
        "auth_token": "***", "http_password": "***", "Cookie": "***", "secretKey": "***", "sk": "***", "apiKey": "***",
        "has_token": True, "no_token": None, "risk": "x", "key": "x", "tunnel_id": "x",
    }  # fmt: skip


def test_nested() -> None:
    """Names and texts inside dicts, lists and other containers are masked as those outside."""
    mask_secret(SECRET)
    inner = OrderedDict(
        token=1, headers=[("Authorization", "x"), {"authorization": "x"}], note={f"is {SECRET}"}
    )
    assert cleaned({"event_data": inner, "more": ({"list": [[f"a {SECRET}"]]},)}) == {
        "event_data": {"token": "***", "headers": [("Authorization", "x"), {"authorization": "***"}], "note": ["is ***"]},
        "more": ({"list": [["a ***"]]},),
    }  # fmt: skip


@dataclass
class Holder:
    """Has a secret that its text does not show."""

    name: str
    auth_token: str = field(repr=False)


class Colour(Enum):
    """A value with a name."""

    RED = "red"


class Unprintable:
    """Cannot be made a text."""

    def __str__(self) -> str:
        raise RuntimeError("no")


def test_what_json_does_not_know() -> None:
    """Every value becomes one of JSON's: what it prints as, masked; nothing raises."""
    mask_secret(SECRET)
    made = cleaned({
        "error": ValueError(f"bad {SECRET}"), "path": Path("/tmp"), "data": b"\xff token=abc", "big": 1 << 70,
        "huge": 1 << 100_000, "nan": float("nan"), "colour": Colour.RED, "at": datetime(2026, 1, 2, tzinfo=UTC),
        "holder": Holder("n", "s3cret"), "half": "\ud800", "unprintable": Unprintable(), 1: 2,
    })  # type: ignore[dict-item]  # fmt: skip
    assert made == {
        "error": "bad ***", "path": "/tmp", "data": "\\xff token=***", "big": str(1 << 70),
        "huge": "<int of 100001 bits>", "nan": None, "colour": "red", "at": "2026-01-02T00:00:00+00:00",
        "holder": "Holder(name='n')", "half": "\\ud800", "unprintable": "<Unprintable that cannot be printed>", "1": 2,
    }  # fmt: skip
    json.dumps(made, allow_nan=False).encode()


def test_names_of_our_own() -> None:
    """A field cannot stand in for what we say about the record."""
    assert cleaned({"level": 1, "timestamp": 2, "x": {"level": 3}}) == {
        "level_": 1,
        "timestamp_": 2,
        "x": {"level": 3},
    }
    assert cleaned({"level": 1}) == {"level_": 1}


def test_harmless_fields_are_given_back() -> None:
    """Fields with nothing to change are not copied: what is most frequent costs least."""
    fields = {"tunnel_id": "web", "port": 3000, "ratio": 0.5, "up": True, "none": None}
    cleaned(fields)
    assert cleaned(fields) is fields


def test_a_traceback() -> None:
    """``exc_info`` becomes a text without the values of variables, and without secrets."""
    mask_secret(SECRET)
    local = "a value of a " + "variable"
    try:
        raise ValueError(f"bad {SECRET}")
    except ValueError as error:
        given = (error, True, (type(error), error, error.__traceback__))
        texts = [cleaned({"exc_info": value})["exception"] for value in given]
    assert len(set(texts)) == 1
    assert texts[0].endswith("ValueError: bad ***\n")
    assert "Traceback" in texts[0]
    assert local not in texts[0]
    assert cleaned({"exc_info": False, "a": 1}) == {"a": 1}


def test_a_long_text_is_cut() -> None:
    """What is too long is cut, and the cut is marked; a secret that lies across it is masked as a whole."""
    mask_secret("long-secret" * 10)
    made = cleaned({"message": "x" * (MAX_TEXT - 20) + "long-secret" * 10 + "y" * 1_000_000})["message"]
    assert "long" not in made
    assert made.endswith("... [cut: 1016474 characters]")
    assert len(made) < MAX_TEXT + 100


def test_many_values_are_cut() -> None:
    """Of too many values, or too deep ones, the first are written, and what is left out is marked."""
    loop: list[Any] = []
    loop.append(loop)
    made = cleaned({"list": list(range(5000)), "dict": dict.fromkeys(range(5000)), "loop": loop})
    assert made["list"][-1].startswith("... 40")
    assert len(json.dumps(made)) < 10_000
    assert rewritten({"loop": loop}) == {"loop": [[[[[[[["..."]]]]]]]]}
    assert len(cleaned({f"field{number}": number for number in range(5000)})) <= MAX_VALUES + 1


def test_a_value_that_changes_meanwhile() -> None:
    """A container that cannot be walked through costs no more than itself."""

    class Changing(dict[str, int]):
        def items(self) -> Any:
            raise RuntimeError("dictionary changed size during iteration")

    assert cleaned({"a": 1, "b": Changing(x=1)}) == {"a": 1, "b": "<Changing that cannot be printed>"}


def test_classes_that_misbehave() -> None:
    """A text, an enumeration or an ``exc_info`` that raises or is none costs its own value, and no more."""

    class Text(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise RuntimeError("no")

    assert cleaned({"a": 1, "b": Text("x")}) == {"a": 1, "b": "<Text that cannot be printed>"}
    assert cleaned({"a": 1, "exc_info": (None,)}) == {"a": 1}
    assert cleaned({"a": 1, "exc_info": True}) == {"a": 1}


words = st.sampled_from(
    ["token", "=", ":", " ", '"', "'", "\\", "password", "Bearer ", "://", "@", "\n", "a", "Basic "]
)


@given(st.lists(words, max_size=40).map("".join), st.integers(0, 40))
def test_no_text_shows_a_known_secret(text: str, at: int) -> None:
    """Wherever in whatever text a known secret stands, it is not in what is left."""
    mask_secret("S3CR3T-T0K3N")
    assert "S3CR3T-T0K3N" not in masked_text(text[:at] + "S3CR3T-T0K3N" + text[at:])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(st.dictionaries(st.text(), values, max_size=5))
def test_whatever_comes_is_json(fields: dict[str, Any]) -> None:
    """Any fields become JSON that can be encoded."""
    json.dumps(rewritten(fields), allow_nan=False).encode()


def test_basic_credentials_in_a_header_that_nobody_names() -> None:
    """Credentials of HTTP's basic scheme are found by their form."""
    credentials = base64.b64encode(b"user:password").decode()
    assert credentials not in masked_text(f"request with basic {credentials} refused")
