"""When something was up: since when, what part of its life, how often it went and came."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

__all__ = ["FLAPPING_CHANGES", "FLAPPING_WINDOW", "Lifeline"]

FLAPPING_WINDOW = 300.0
"""Seconds within which changes are counted as flapping."""
FLAPPING_CHANGES = 4


class Lifeline:
    """The ups and downs of one tunnel, in fixed memory.

    Args:
        clock: Seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: float | None = None
        self._first: float | None = None
        self._ended: float | None = None
        self._before = 0.0
        self._changes: deque[float] = deque(maxlen=64)
        self._told = False
        self.reconnects = 0
        """How often it came back."""
        self.flaps = 0
        """How often it went away, not counting its end."""

    @property
    def uptime(self) -> float:
        """Seconds since it last came up; 0.0 while it is not."""
        return self._now() - self._since if self._since is not None else 0.0

    @property
    def uptime_percent(self) -> float | None:
        """What part of the time since it first came up it has been up; None: it never was."""
        if self._first is None:
            return None
        now, since = self._now(), self._since
        lived = now - self._first
        up = self._before + (now - since if since is not None else 0.0)
        return 100.0 * up / lived if lived > 0 else 100.0

    def note(self, *, up: bool) -> None:
        """Take in how it is now."""
        if up is (self._since is not None) or self._ended is not None:
            return
        now = self._clock()
        if up:
            self._since = now
            if self._first is None:
                self._first = now
                return
            self.reconnects += 1
        else:
            self._before += self.uptime
            self._since = None
            self.flaps += 1
        self._changes.append(now)

    def end(self) -> None:
        """Note the end of its life; numbers stay as they are."""
        self._before += self.uptime
        self._since = None
        self._ended = self._ended or self._clock()

    def changes(self) -> int:
        """Give how often it changed within `FLAPPING_WINDOW`."""
        since = self._clock() - FLAPPING_WINDOW
        return sum(at > since for at in self._changes)

    def begins_to_flap(self) -> bool:
        """Say whether it has changed too often; not again until it has been steady for a while."""
        flapping = self.changes() >= FLAPPING_CHANGES
        begins = flapping and not self._told
        self._told = flapping
        return begins

    def _now(self) -> float:
        return self._ended if self._ended is not None else self._clock()
