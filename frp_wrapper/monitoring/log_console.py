"""Lines of a log for people, on stderr."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any, TextIO

from frp_wrapper.monitoring.log_fold import Record

__all__ = ["Console"]

_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "1;31"}
_TUNNEL_WIDTH = 18
_EVENT_WIDTH = 32
_ENDS_A_WORD = frozenset(" =\"'")


class Console:
    r"""Prints one line for each record: time (UTC), level, tunnel, event, fields, and who speaks.

    What comes from outside cannot begin another line or steer the terminal: whatever is not printable is written as
    Python would write it in a string, ``\x1b``. Colours are for terminals, where neither ``NO_COLOR`` nor
    ``TERM=dumb`` is set.
    """

    def __init__(self) -> None:
        self._stream: TextIO | None = None
        self._coloured = False
        self._printing = False
        self.lost = 0
        """Lines that stderr did not take: it is gone, or a program's own stand-in for it raised."""

    def print(self, stamp: str, record: Record, repeated: int) -> None:
        """Print a record; never raises. One that comes while stderr itself logs is not printed but counted."""
        if self._printing:
            self.lost += 1
            return
        self._printing = True
        try:
            self._choose(sys.stderr)
            if self._stream is not None:
                self._stream.write(self._line(stamp, record, repeated) + "\n")
        except Exception:  # noqa: BLE001 - stderr may be anything that the host has put there
            self.lost += 1
        finally:
            self._printing = False

    def _choose(self, stream: TextIO | None) -> None:
        """Take the stderr of this moment, and see whether it takes colours."""
        if stream is not self._stream:
            plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
            self._stream, self._coloured = stream, stream is not None and not plain and stream.isatty()

    def _line(self, stamp: str, record: Record, repeated: int) -> str:
        level, name, event, fields = record
        event = event if event.isprintable() else repr(event)
        words = [
            stamp[11:23],
            self._colour(f"{level:8}", _COLOURS.get(level, "0")),
            self._colour(f"{_shown(_tunnel(fields)):{_TUNNEL_WIDTH}}", "1"),
            f"{f'{event} x{repeated}' if repeated else event:{_EVENT_WIDTH}}",
            *(f"{_shown(key)}={_shown(value)}" for key, value in fields.items() if key != "tunnel_id"),
            self._colour(f"({_shown(name)})", "2"),
        ]
        return " ".join(words)

    def _colour(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._coloured else text


def _tunnel(fields: Mapping[str, Any]) -> object:
    """Give the tunnel that a record is about; that of an error stands in its context."""
    context = fields.get("context")
    return fields.get("tunnel_id") or (isinstance(context, Mapping) and context.get("tunnel_id")) or "-"


def _shown(value: object) -> str:
    """Give a word as it is, and all else as Python writes it: in quotes, and without what is not printable."""
    if isinstance(value, str) and value.isprintable() and not _ENDS_A_WORD & set(value):
        return value or "''"
    return repr(value)
