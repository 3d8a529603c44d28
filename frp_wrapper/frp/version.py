"""Asks an frp program for its version."""

from __future__ import annotations

import re
import subprocess
from functools import lru_cache
from pathlib import Path

_TIMEOUT = 10.0


def program_version(path: Path) -> str | None:
    """Give what ``PATH --version`` prints, such as ``0.71.0``; None when it is no frp program."""
    try:
        state = path.stat()
    except OSError:
        return None
    return _ask(path, state.st_mtime_ns, state.st_size)


@lru_cache(maxsize=64)
def _ask(path: Path, _modified: int, _size: int) -> str | None:
    try:
        answer = subprocess.run(
            [str(path), "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    match = re.fullmatch(rb"(\d+\.\d+\.\d+)\s*", answer.stdout)
    return match[1].decode() if match else None
