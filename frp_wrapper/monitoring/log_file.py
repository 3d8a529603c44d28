"""A file of log lines that is set aside when it is full or old."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import stat
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import IO

from frp_wrapper.monitoring.log_archive import Archive

__all__ = ["RotatingFile"]

_LOOK = 1.0
"""Seconds between looks at the file: it may have been removed, or set aside by another process that writes to it."""
_TRIES = 100
_MID_LINE = 0.01
"""Seconds that another process may take to write a line."""
_FIRST_STAMP = re.compile(rb'\{"timestamp":"([-+:.\dT]{10,40})"')


class RotatingFile:
    """Appends lines to a file; not safe for several threads: its owner holds a lock.

    A line is one ``write``: it is whole or not there, whenever the process ends, and several processes may have the same
    file. What a full disk takes of a line is taken back. The size is counted here rather than asked of the system for
    each line. What is not a regular file (``/dev/stdout``, a FIFO) is written to, and no more.

    Args:
        path: The file, made with mode 0600; its folder is made if need be.
        max_bytes: A file that would grow beyond this is set aside; where that cannot be done, it does not grow.
        max_age: One whose first line is older than so many seconds is set aside too.
        keep_bytes: So much is kept of what was set aside; the oldest go first.
        keep_age: So many seconds is it kept.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int, max_age: float, keep_bytes: int, keep_age: float) -> None:
        self._path = path.resolve() if path.is_file() else path.absolute()
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._archive = Archive(self._path, keep_bytes, keep_age)
        self._descriptor = -1
        self._state = os.stat_result((0,) * 10)
        self._size = 0
        self._full = 0
        self._born = 0.0
        self._looked = 0.0
        self._look_at = 0.0
        self.lost = 0
        """Lines that could not be written: the disk is full, or the file cannot be opened again or set aside."""
        self._open(time.time())
        self._archive.tend()  # of a process that was killed

    @property
    def room(self) -> int:
        """So many bytes fit in before the file is set aside."""
        return max(self._full - self._size, 0)

    def write(self, lines: bytes, now: float) -> None:
        """Append whole lines at the time ``now``; what cannot be written is counted, not raised."""
        due = not self._looked <= now < self._look_at or self._size + len(lines) > self._full
        if due and not self._look(now, len(lines)):
            self.lost += lines.count(b"\n")
            return
        written = 0
        try:
            while written < len(lines):
                written += os.write(self._descriptor, lines[written:] if written else lines)
        except OSError:
            written -= self._take_back(lines, written)
        self._size += written

    def close(self) -> None:
        """Close the file, and wait for what is being compressed."""
        if self._descriptor != -1:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)
        self._archive.close()

    def after_fork(self) -> None:
        """Leave to the parent, in a child, what the parent has begun."""
        self._archive.after_fork()

    def _take_back(self, lines: bytes, written: int) -> int:
        """Remove what a full disk has taken of a line, if nobody has written behind it, and give its length."""
        whole = lines.rfind(b"\n", 0, written) + 1
        self.lost += lines.count(b"\n", whole)
        if written == whole:
            return 0
        with contextlib.suppress(OSError):
            end = os.lseek(self._descriptor, 0, os.SEEK_CUR)
            if os.fstat(self._descriptor).st_size == end:
                os.ftruncate(self._descriptor, end - (written - whole))
                return written - whole
        return 0

    def _look(self, now: float, more: int) -> bool:
        """See to the file; False: it cannot take ``more`` bytes."""
        self._looked = self._look_at = now
        try:
            if not self._is_in_place():
                self._open(now)
        except OSError:
            return False
        self._born = min(self._born, now) if self._size else now  # min: the clock was set back
        if self._size and (self._size + more > self._full or now - self._born >= self._max_age):
            try:
                self._set_aside(now)
            except OSError:
                return self._size + more <= self._full
        self._look_at = min(now + _LOOK, self._born + self._max_age)
        return True

    def _is_in_place(self) -> bool:
        """Say whether the path still leads to what is open here, and note its size: others may write to it too."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        self._size = found.st_size
        return os.path.samestat(found, self._state)

    def _set_aside(self, now: float) -> None:
        with contextlib.suppress(FileNotFoundError):  # another process has just done it
            self._path.rename(self._archive.free_name())
        self._open(now)
        self._archive.tend()

    def _open(self, now: float) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(_TRIES):
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                state = os.fstat(descriptor)
                if not stat.S_ISREG(state.st_mode):
                    self._full, self._look_at = sys.maxsize, float("inf")
                elif self._claim(descriptor, state):
                    self._begin(descriptor, state, now)
                else:
                    continue
                self._adopt(descriptor)
            except FileNotFoundError:  # set aside by another process while we looked
                continue
            finally:
                if descriptor != self._descriptor:
                    os.close(descriptor)
            return
        raise OSError(f"{self._path} is set aside faster than it can be opened")

    def _claim(self, descriptor: int, state: os.stat_result) -> bool:
        """Keep others from compressing a file; False: it has been set aside since it was opened."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: one process only
            pass
        try:
            return os.path.samestat(self._path.stat(), state)
        except FileNotFoundError:
            return False

    def _begin(self, descriptor: int, state: os.stat_result, now: float) -> None:
        """Note where a file stands; what a killed process has left at its end must not spoil the next line."""
        if state.st_uid == os.geteuid():
            os.fchmod(descriptor, 0o600)
        self._state, self._size, self._full = state, state.st_size, self._max_bytes
        self._born = self._look_at = now
        if state.st_size:
            with self._path.open("rb") as file:
                self._born = _first_time(file.read(64)) or state.st_mtime
                if os.path.samestat(os.fstat(file.fileno()), state) and _is_left_open(file):
                    self._size += os.write(descriptor, b"\n")

    def _adopt(self, descriptor: int) -> None:
        """Go on with another file under the same number, which is never closed in between: it could become the host's."""
        if self._descriptor == -1:
            self._descriptor = descriptor
        else:
            os.dup2(descriptor, self._descriptor, inheritable=False)


def _is_left_open(file: IO[bytes]) -> bool:
    """Say whether a file ends within a line, and not only because another process is writing it at this moment."""
    ends = [_end(file)]
    if ends[0][1] != b"\n":
        time.sleep(_MID_LINE)
        ends.append(_end(file))
    return len(ends) > 1 and ends[0] == ends[1]


def _end(file: IO[bytes]) -> tuple[int, bytes]:
    size = file.seek(0, os.SEEK_END)
    return size, os.pread(file.fileno(), 1, max(size - 1, 0))


def _first_time(line: bytes) -> float | None:
    match = _FIRST_STAMP.match(line)
    with contextlib.suppress(ValueError):
        return datetime.fromisoformat(match[1].decode()).timestamp() if match else None
    return None
