"""Lines that come fast go to the file together: a call of the system for each would cost more than all the rest."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["Gathering"]

_FAST = 0.001
"""Seconds since the line before: one that comes later is written at once."""
_MOST = 16 * 1024
"""Bytes that may wait."""
_LONGEST = 0.05
"""Seconds that a line may wait for others."""


class Lines(Protocol):
    """Takes whole lines; `RotatingFile` does."""

    @property
    def room(self) -> int:
        """So many bytes fit into the file."""

    def write(self, lines: bytes, now: float) -> None:
        """Write them."""


class Gathering:
    """Writes a line at once unless the one before came less than a millisecond earlier.

    What waits is at most 16 KiB, and 50 ms old: then a thread named ``frp-wrapper-log-flush`` writes it, which is started
    when there is something to wait for.

    Args:
        file: Where the lines go.
        lock: Held by whoever calls, except for `close`.
    """

    def __init__(self, file: Lines, lock: threading.RLock) -> None:
        self._file = file
        self._lock = lock
        self._lines: list[bytes] = []
        self._size = 0
        self._limit = 0
        self._last = 0.0
        self._thread: threading.Thread | None = None
        self._waits = threading.Event()
        self._closing = threading.Event()

    def write(self, line: bytes, now: float, *, urgent: bool) -> None:
        """Take a line at the time ``now``; an urgent one is written at once, and what waits before it."""
        size = self._size + len(line)
        fast = 0 <= now - self._last < _FAST
        self._last = now
        if fast and size <= self._limit and not urgent and (self._lines or self._wake()):
            self._lines.append(line)
            self._size = size
        else:
            self.flush(now)
            self._put(line, now)

    def flush(self, now: float) -> None:
        """Write what waits."""
        if self._lines:
            lines, self._lines, self._size = self._lines, [], 0
            self._put(b"".join(lines), now)

    def close(self) -> None:
        """End the thread; the caller has flushed, and does not hold the lock."""
        self._closing.set()
        self._waits.set()
        if self._thread is not None:
            self._thread.join(1.0)

    def after_fork(self, lock: threading.RLock) -> None:
        """Leave to the parent, in a child, what waits, and its thread."""
        self._lock = lock
        self._lines, self._size = [], 0
        self._thread = None
        self._waits = threading.Event()
        self._closing = threading.Event()

    def _put(self, lines: bytes, now: float) -> None:
        self._file.write(lines, now)
        self._limit = min(self._file.room, _MOST)

    def _wake(self) -> bool:
        """Have what waits written soon; False: nobody would, as this is closed or the interpreter ends."""
        if self._closing.is_set():
            return False
        if self._thread is None:
            thread = threading.Thread(target=self._run, name="frp-wrapper-log-flush", daemon=True)
            try:
                thread.start()
            except RuntimeError:
                return False
            self._thread = thread
        self._waits.set()
        return True

    def _run(self) -> None:
        while not self._closing.is_set():
            self._waits.wait()
            self._closing.wait(_LONGEST)
            self._waits.clear()
            with self._lock:
                self.flush(time.time())
