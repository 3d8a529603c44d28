"""A log file that goes on growing: what is new in it, also after it was set aside, begun anew or cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import BinaryIO

__all__ = ["LogTail"]


class LogTail:
    """Reads a log as its program writes it; never waits.

    Args:
        path: The log; it need not be there yet.
        history: Bytes of what is in it already that are read, whole lines only; None: all.
    """

    def __init__(self, path: Path, *, history: int | None = 0) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._is_within_line = False
        with contextlib.suppress(OSError):
            self._file = self._path.open("rb")
            self._skip(history)

    def read(self, size: int) -> bytes:
        """Give what is new, at most ``size`` bytes; nothing while there is nothing new.

        A line that has no end when the file is set aside gets one.
        """
        if self._file is None:
            self._open()
        chunk = self._read(size)
        if not chunk and self._is_replaced():
            chunk = self._read(size)  # what was written between the two looks
            if not chunk:
                self._open()
                chunk = (b"\n" if self._is_within_line else b"") + self._read(size)
        if chunk:
            self._is_within_line = not chunk.endswith(b"\n")
        return chunk

    def _read(self, size: int) -> bytes:
        return self._file.read(size) if self._file is not None else b""

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> None:
        """Begin at the start of the file of this name; one that is not there leaves all as it is."""
        with contextlib.suppress(OSError):
            file = self._path.open("rb")
            self.close()
            self._file = file

    def _skip(self, history: int | None) -> None:
        assert self._file is not None
        size = os.fstat(self._file.fileno()).st_size
        if history is not None and size > history:
            self._file.seek(size - history - 1)
            self._file.readline()  # the rest of a line, or the end of the one before

    def _is_replaced(self) -> bool:
        if self._file is None:
            return False
        try:
            now, then = self._path.stat(), os.fstat(self._file.fileno())
        except OSError:  # set aside, and the new one is not there yet
            return False
        return (now.st_dev, now.st_ino) != (then.st_dev, then.st_ino) or now.st_size < self._file.tell()
