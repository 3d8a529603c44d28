"""The older files of a log: compressed, and removed when they are too old or together too large."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import os
import re
import threading
import time
from pathlib import Path
from typing import IO

__all__ = ["Archive"]

_STAMP = "%Y%m%d-%H%M%S"
_BLOCK = 1 << 16
_PAUSE = 0.25
"""Seconds until a file that another process still writes to is looked at again; a writer moves on within a second."""
_TRIES = 20


class Archive:
    """Names, compresses and removes what was set aside. Compression runs on a thread named ``frp-wrapper-log-gzip``.

    Older files are named ``NAME.20260102-030405-123456789`` after the time (UTC) when they were set aside, with ``.gz``
    once they are compressed, and a ``.gz.part`` beside them meanwhile. Whoever writes to a log holds a shared ``flock``:
    a file that another process has not left yet is compressed later.

    Args:
        path: The log.
        keep_bytes: So much is kept, whatever it is that lies there, at any moment; the oldest go first.
        keep_age: So many seconds is a file kept.
    """

    def __init__(self, path: Path, keep_bytes: int, keep_age: float) -> None:
        self._path = path
        self._keep_bytes = keep_bytes
        self._keep_age = keep_age
        self._names = re.compile(rf"{re.escape(path.name)}\.(\d{{8}}-\d{{6}}-\d{{9}})(\.gz|\.gz\.part)?")
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._skipped: set[str] = set()
        self._closing = threading.Event()

    def free_name(self) -> Path:
        """Give a name for a file that is set aside now."""
        now = time.time_ns()
        while True:
            stamp = f"{time.strftime(_STAMP, time.gmtime(now // 10**9))}-{now % 10**9:09}"
            if stamp not in self._older():
                return self._path.with_name(f"{self._path.name}.{stamp}")
            now += 1  # the clock was set back

    def tend(self) -> None:
        """Remove what is too much, and have the rest compressed; returns at once."""
        self._prune()
        with self._lock:
            self._skipped = set()
            if self._thread is None and not self._closing.is_set() and self._waiting():
                thread = threading.Thread(target=self._run, name="frp-wrapper-log-gzip", daemon=True)
                with contextlib.suppress(RuntimeError):  # the interpreter ends: the next run does it
                    thread.start()
                    self._thread = thread

    def close(self, timeout: float = 30.0) -> None:
        """Wait for what is being compressed; what another process still writes to is left to it."""
        self._closing.set()
        thread = self._thread
        if thread is not None:
            thread.join(timeout)

    def after_fork(self) -> None:
        """Forget, in a child, the thread that has stayed with the parent."""
        self._lock = threading.Lock()
        self._thread = None
        self._closing = threading.Event()

    def _run(self) -> None:
        while (aside := self._next()) is not None:
            if not self._compress(aside):
                self._skipped.add(aside.name)
            self._prune()

    def _next(self) -> Path | None:
        with self._lock:  # whoever sets a file aside after this one has found nothing starts another thread
            waiting = self._waiting()
            if not waiting:
                self._thread = None
            return self._path.with_name(waiting[0]) if waiting else None

    def _waiting(self) -> list[str]:
        names = (f"{self._path.name}.{stamp}" for stamp, sizes in self._older().items() if "" in sizes)
        return sorted(name for name in names if name not in self._skipped)

    def _compress(self, aside: Path) -> bool:
        """Put a compressed file in the place of another; False: not now, as somebody writes to it, or the disk is full."""
        partial = aside.with_name(f"{aside.name}.gz.part")
        try:
            with aside.open("rb") as source:
                if not self._is_left(source):
                    return False
                if not aside.exists():  # another process has done it
                    return True
                self._pack(source, partial)
                partial.rename(aside.with_name(f"{aside.name}.gz"))
                aside.unlink()
        except OSError:  # it stays as it is
            partial.unlink(missing_ok=True)
            return False
        return True

    def _is_left(self, source: IO[bytes]) -> bool:
        """Wait a little for other writers, and keep other processes from compressing the same file."""
        for _ in range(_TRIES):
            closing = self._closing.is_set()  # before: one more try after the last writer has gone on
            try:
                fcntl.flock(source, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if closing:
                    return False
                self._closing.wait(_PAUSE)
            except OSError:  # a file system without locks: one process only
                return True
            else:
                return True
        return False

    def _pack(self, source: IO[bytes], partial: Path) -> None:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb") as raw, gzip.GzipFile("", "wb", 6, raw) as target:  # noqa: PTH123 - private from the first byte
            while block := source.read(_BLOCK):
                target.write(block)
                self._prune()

    def _prune(self) -> None:
        now = time.time()
        oldest = time.strftime(_STAMP, time.gmtime(max(now - self._keep_age, 0)))
        newest = time.strftime(_STAMP, time.gmtime(now + 1))
        older = self._older()
        total = sum(sum(sizes.values()) for sizes in older.values())
        for stamp in sorted(
            older, key=lambda stamp: (stamp < newest, stamp)
        ):  # of a clock since set back: first
            if total > self._keep_bytes or stamp < oldest:
                total -= sum(older[stamp].values())
                for suffix in older[stamp]:
                    with contextlib.suppress(OSError):  # somebody else removed it
                        self._path.with_name(f"{self._path.name}.{stamp}{suffix}").unlink()

    def _older(self) -> dict[str, dict[str, int]]:
        """Give the sizes of the older files, by stamp and what follows it."""
        found: dict[str, dict[str, int]] = {}
        with contextlib.suppress(OSError), os.scandir(self._path.parent) as entries:  # the folder may be gone
            for entry in entries:
                match = self._names.fullmatch(entry.name)
                if match is not None:
                    with contextlib.suppress(FileNotFoundError):
                        found.setdefault(match[1], {})[match[2] or ""] = entry.stat().st_size
        return found
