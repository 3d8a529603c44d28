"""The lines of a log that ``frpw logs`` is given: a file in whatever encoding, stdin, or a file that goes on growing."""

from __future__ import annotations

import io
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from frp_wrapper.monitoring.log_tail import LogTail

__all__ = ["followed", "lines_of"]

_LONGEST = 1_048_576
"""Characters of a line; what is beyond is passed over."""
_POLL = 0.2
_QUIET = 1.0
"""Seconds without a new line before a record that could have gone on is taken to be whole."""


def lines_of(path: str) -> Iterator[str]:
    """Give the lines of a file, or of stdin for ``-``."""
    if path == "-":
        yield from _bounded(_as_text(sys.stdin.buffer))
        return
    with Path(path).open("rb") as file:
        yield from _bounded(_as_text(file))


def followed(path: str) -> Iterator[str | None]:
    """Give whole lines as they come, also when the file is set aside and begun anew; None when it is quiet for a while."""
    if path == "-":
        yield from lines_of(path)
        return
    tail = LogTail(Path(path), history=None)
    try:
        yield from _growing(tail)
    finally:
        tail.close()


def _growing(tail: LogTail) -> Iterator[str | None]:
    partial, quiet = b"", 0.0
    while True:
        chunk = tail.read(_LONGEST)
        if chunk:
            *lines, partial = (partial + chunk).split(b"\n")
            partial = partial[:_LONGEST]
            for line in lines:
                yield line.decode("utf-8", "replace")
            quiet = 0.0
            continue
        time.sleep(_POLL)
        quiet += _POLL
        if _QUIET <= quiet < _QUIET + _POLL:
            yield None


def _as_text(file: BinaryIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(file, encoding=_encoding(file), errors="replace")


def _encoding(file: BinaryIO) -> str:
    """Tell what PowerShell and Notepad write from what all others write."""
    head = cast("io.BufferedReader", file).peek(4)[:4]
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    return "utf-16-le" if head[1:2] == b"\x00" else "utf-8-sig"


def _bounded(text: io.TextIOWrapper) -> Iterator[str]:
    while line := text.readline(_LONGEST):
        yield line
        while line and not line.endswith("\n"):
            line = text.readline(_LONGEST)
