"""A file of log lines that is rotated by size and age, compressed, and bounded in all."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import threading
import time
from pathlib import Path

_SUFFIX = ".gz"


class RotatingFile:
    """Appends lines to a file; a full or old one is set aside, compressed, and at last removed.

    The size is counted here rather than asked of the system for each line. Older files are named
    ``NAME.20260102-030405-123456789.gz``. Compression runs on a thread named ``frp-wrapper-log-gzip``.

    Args:
        path: The file; its folder is made if need be.
        max_bytes: A file that would grow beyond this is set aside.
        max_age: One that is older than so many seconds too.
        keep_bytes: So much is kept of older files, as they lie on the disk; the oldest go first.

    Raises:
        OSError: The file cannot be opened.
    """

    def __init__(self, path: Path, max_bytes: int, max_age: float, keep_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._max_age = max_age
        self._keep_bytes = keep_bytes
        self._lock = threading.Lock()
        self._packing = threading.Lock()
        self._workers: list[threading.Thread] = []
        self._descriptor = -1
        self._size = 0
        self._born = 0.0
        self.lost = 0
        """Lines that could not be written: the disk was full, or the file could not be opened again."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._open()
        for aside in path.parent.glob(
            f"{path.name}.????????-??????-?????????"
        ):  # of a process that was killed
            self._pack(aside)

    def write(self, line: bytes) -> None:
        """Append one line, with its line end; a line that cannot be written is counted, not raised."""
        with self._lock:
            if self._size + len(line) > self._max_bytes or time.time() - self._born > self._max_age:
                self._rotate()
            try:
                self._size += os.write(self._descriptor, line)
            except OSError:
                self.lost += 1

    def close(self) -> None:
        """Close the file, and wait for what is being compressed."""
        with self._lock:
            workers = self._workers
            if self._descriptor != -1:
                os.close(self._descriptor)
                self._descriptor = -1
        for worker in workers:
            worker.join(30)

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        state = os.fstat(self._descriptor)
        self._size = state.st_size
        self._born = time.time() if not state.st_size else state.st_mtime

    def _rotate(self) -> None:
        if not self._size:  # a line that is larger than a whole file
            self._born = time.time()
            return
        now = time.time_ns()
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now // 10**9))
        aside = self._path.with_name(f"{self._path.name}.{stamp}-{now % 10**9:09}")
        os.close(self._descriptor)
        try:
            self._path.rename(aside)
            self._open()
        except OSError:
            self._descriptor, self._size = -1, 0
            self.lost += 1
            with contextlib.suppress(OSError):
                self._open()
            return
        self._pack(aside)

    def _pack(self, aside: Path) -> None:
        self._workers = [worker for worker in self._workers if worker.is_alive()]
        worker = threading.Thread(
            target=self._compress, args=(aside,), name="frp-wrapper-log-gzip", daemon=True
        )
        self._workers.append(worker)
        worker.start()

    def _compress(self, aside: Path) -> None:
        partial = aside.with_name(aside.name + ".part")
        with self._packing:  # one at a time: what is half done must not be counted or removed by another
            try:
                with aside.open("rb") as source, gzip.open(partial, "wb", compresslevel=6) as target:
                    shutil.copyfileobj(source, target)
                partial.chmod(0o600)
                partial.rename(aside.with_name(aside.name + _SUFFIX))
                aside.unlink()
            except OSError:  # the disk is full: it stays as it is
                partial.unlink(missing_ok=True)
            self._prune()

    def _prune(self) -> None:
        older = sorted(self._path.parent.glob(f"{self._path.name}.*{_SUFFIX}"), reverse=True)
        kept = 0
        for path in older:
            with contextlib.suppress(OSError):  # somebody else removed it
                kept += path.stat().st_size
                if kept > self._keep_bytes:
                    path.unlink()
