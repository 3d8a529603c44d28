"""Writes ``docs/errors.md`` from ``frp_wrapper/reasons.py``: ``python docs/generate.py``."""

from pathlib import Path

from frp_wrapper.reasons import REASONS

HEAD = """# Why things fail, and what to do

Every error of this package carries a `.reason` (a code that does not change), a `.hint` (what to do), and both in its
message. The texts of frp, of all versions, lead to these codes; `frp_wrapper.reasons.explain(text)` does the same for a
text from elsewhere. This page is written by `python3 dev.py docs`.

| reason | what happened | what to do |
|---|---|---|
"""


def errors() -> str:
    """Give the text of ``docs/errors.md``."""
    rows = sorted(REASONS.values(), key=lambda reason: reason.code)
    return HEAD + "".join(f"| `{row.code}` | {row.cause} | {row.hint} |\n" for row in rows)


if __name__ == "__main__":
    Path(__file__).with_name("errors.md").write_text(errors(), encoding="utf-8")
