"""Writes the generated pages: ``python docs/generate.py``."""

from collections.abc import Callable, Mapping
from pathlib import Path

from frp_wrapper.monitoring.event_types import DEFINITIONS, TUNNEL_DATA, EventDefinition
from frp_wrapper.reasons import REASONS

ERRORS = """# Why things fail, and what to do

Every error of this package carries a `.reason` (a code that does not change), a `.hint` (what to do), and both in its
message. The texts of frp, of all versions, lead to these codes; `frp_wrapper.reasons.explain(text)` does the same for a
text from elsewhere. This page is written by `python3 dev.py docs`.

| reason | what happened | what to do |
|---|---|---|
"""

EVENT_TYPES = """# The types of events

How to get them: [events](events.md). This page is written by `python3 dev.py docs` from the definitions in
`frp_wrapper/monitoring/event_types.py`, which tests hold the events to.

What is about a tunnel has these keys in its data (what is about a visitor of a secret tunnel only its `tunnel_id`):

"""


def errors() -> str:
    """Give the page of errors."""
    rows = sorted(REASONS.values(), key=lambda reason: reason.code)
    return ERRORS + "".join(f"| `{row.code}` | {row.cause} | {row.hint} |\n" for row in rows)


def event_types() -> str:
    """Give the page of event types."""
    return EVENT_TYPES + _keys(TUNNEL_DATA) + "".join(map(_section, DEFINITIONS.values()))


def _section(definition: EventDefinition) -> str:
    parts = [
        f"\n## {definition.type.name}",
        f"`{definition.type.value}`. {definition.when}",
        *(
            ["Data: the keys of a tunnel" + (", and" if definition.data else ".")]
            if definition.about_tunnel
            else ["Data:"]
        ),
        *([_keys(definition.data).rstrip()] if definition.data else []),
        f"What to do: {definition.todo}\n",
    ]
    return "\n\n".join(parts)


def _keys(keys: Mapping[str, str]) -> str:
    return "".join(f"- `{key}`: {meaning}\n" for key, meaning in keys.items())


PAGES: Mapping[str, Callable[[], str]] = {"errors.md": errors, "event-types.md": event_types}
"""Every generated page."""

if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(__file__).with_name(name).write_text(page(), encoding="utf-8")
