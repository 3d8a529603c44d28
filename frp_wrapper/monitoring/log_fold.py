"""Records that repeat a recent one are counted instead of written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Folding", "Record", "Repeats"]

Record = tuple[str, str, str, Mapping[str, Any]]
"""Level, name of the logger, event and fields."""
_WINDOW = 5.0
"""Seconds after a line in which the same record is counted only."""
_RECENT = 32
"""Records that are compared with; frpc says two or three lines in turn, for each tunnel, while its server is away."""


@dataclass(slots=True)
class Repeats:
    """A record that came again, and was counted.

    Attributes:
        key: What is the same in all of them.
        record: The record.
        since: When the line was written that they repeat.
        last: When the last of them came.
        count: How many they are, without that line.
    """

    key: bytes
    record: Record
    since: float
    last: float
    count: int


class Folding:
    """Knows the last 32 to 64 different records. Not safe for several threads: its owner holds a lock."""

    def __init__(self) -> None:
        self._written: dict[bytes, float] = {}
        self._before: dict[bytes, float] = {}
        """What was in ``_written`` when that was last full: forgotten together, which costs less than one by one."""
        self._repeats: dict[bytes, Repeats] = {}
        self._now = 0.0
        self._due = 0.0
        self.ended: list[Repeats] = []
        """What has to be told now: its window has ended, or so many others came that it is forgotten."""

    def take(self, key: bytes, record: Record, now: float) -> int:
        """Take a record, and see to what `ended`.

        Returns:
            For how many records a line must stand that is written now; 0: there is none to write.
        """
        written = self._written.get(key) or self._before.get(key)
        if written is None:
            stands_for = 1
        elif 0 <= now - written < _WINDOW:  # less than 0: the clock was set back
            stands_for = 0
            self._count(key, record, written, now)
        else:
            repeats = self._repeats.pop(key, None)
            stands_for = 1 if repeats is None else repeats.count + 1
        if stands_for:
            self._written[key] = now
            if len(self._written) >= _RECENT:
                self._turn()
        if self._repeats and not self._now <= now < self._due:
            self._end(now)
        self._now = now
        return stands_for

    def end_all(self) -> None:
        """Let all windows end, and know nothing."""
        self.ended += self._repeats.values()
        self._written, self._before, self._repeats = {}, {}, {}

    def _count(self, key: bytes, record: Record, written: float, now: float) -> None:
        repeats = self._repeats.get(key)
        if repeats is None:
            self._due = min(self._due, written + _WINDOW) if self._repeats else written + _WINDOW
            self._repeats[key] = Repeats(key, record, written, now, 1)
        else:
            repeats.count += 1
            repeats.last = now

    def _turn(self) -> None:
        self._before, self._written = self._written, {}
        for key in self._repeats.keys() - self._before:
            self._tell(key)

    def _end(self, now: float) -> None:
        for key, repeats in list(self._repeats.items()):
            if not 0 <= now - repeats.since < _WINDOW:
                self._tell(key)
        self._due = min((repeats.since for repeats in self._repeats.values()), default=now) + _WINDOW

    def _tell(self, key: bytes) -> None:
        repeats = self._repeats.pop(key, None)
        if repeats is not None:  # a signal handler that logs may have been faster
            self.ended.append(repeats)
