"""The list of frp's messages is whole and without contradictions."""

from __future__ import annotations

import re
from collections import defaultdict

import pytest

from frp_wrapper.monitoring._templates import Template, catalogues, rows
from frp_wrapper.monitoring.record_types import TYPES
from frp_wrapper.reasons import REASONS
from tests.monitoring.frp_lines import PLACEHOLDER

LEVELS = {"trace", "debug", "info", "warning", "error"}


def test_no_field_hides_a_key() -> None:
    """No field of a template has the name of a key that every record has, but for run id and tunnel."""
    keys = {"type", "timestamp", "time", "level", "caller", "message", "program", "reason", "lines"}
    assert [row for row in rows() if keys & set(row.get("fields", ()))] == []


def test_every_row_is_sound() -> None:
    """Each template has a field for each value, a level if it has a header, and known types and reasons."""
    for row in rows():
        assert len(row.get("fields", ())) == len(PLACEHOLDER.findall(row["template"])), row
        assert ("level" in row) != row.get("raw", False), row
        assert row.get("level", "info") in LEVELS
        assert {row["event"], *row.get("elsewhere", {}).values()} <= TYPES.keys()
        assert row.get("reason", "unknown") in REASONS
        assert row["program"] in (None, "frpc", "frps")


def test_every_type_is_used() -> None:
    """No type is explained that no record can have."""
    from_rows = {event for row in rows() for event in (row["event"], *row.get("elsewhere", {}).values())}
    assert TYPES.keys() - from_rows == {"login_rejected", "traffic_stats"}


def test_a_text_has_one_meaning() -> None:
    """Two templates that are the same text, but for how Go writes the values, mean the same."""
    events: dict[tuple[bool, str], set[str]] = defaultdict(set)
    for row in rows():
        text = re.sub(PLACEHOLDER, "%", row["template"].removeprefix("[%s] "))
        events[bool(row.get("raw")), text].add(row["event"])
    assert {text: found for text, found in events.items() if len(found) > 1} == {}


@pytest.mark.parametrize(
    ("template", "message", "values"),
    [
        ("a [%s] b: %v", "a [x] b: y", {"one": "x", "two": "y"}),
        ("a [%s] b: %v", "a [x] b] b: y] b: z", {"one": "x] b", "two": "y] b: z"}),
        ("a [%s] b: %v", "a [x] b:", None),
        ("%s is %d", "x is 7", {"one": "x", "two": 7}),
        ("%s is %d", "x is ttt", {"one": "x", "two": "ttt"}),
        ("%q, %s", '"a\\"b", c', {"one": 'a"b', "two": "c"}),
        ("%s%s end", "xy end", {"one": "", "two": "xy"}),
    ],
)
def test_values(template: str, message: str, values: dict[str, object] | None) -> None:
    """Values are what stands between the fixed parts, each as short as can be but for the last."""
    made = Template({"template": template, "event": "detail", "program": None, "fields": ["one", "two"]})
    assert made.values(message) == values


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("20s", 20.0), ("1h2m3.5s", 3723.5), ("250ms", 0.25), ("soon", "soon"), ("1..2s", "1..2s")],
)
def test_durations(text: str, seconds: object) -> None:
    """A duration as Go writes it becomes seconds; what is none stays text."""
    found = catalogues().messages.find(f"wait {text} to reconnect")
    assert found is not None
    assert found[1] == {"wait": seconds}


def test_what_was_cut_off_resembles_one_event_only() -> None:
    """The beginning of several messages that mean different things is none of them; the level can decide."""
    messages = catalogues().messages
    assert messages.resemble("login to server ", least=8) is None
    found = messages.resemble("new proxy [web] ", "warning", 8)
    assert found is not None
    assert (found[0].event, found[1]) == ("tunnel_error", {"tunnel_id": "web"})
