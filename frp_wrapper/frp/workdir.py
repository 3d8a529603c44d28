"""The private folder of one client or server: configuration, store, counters; 0700, gone when its owner is."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

_PREFIX = "frp-wrapper-"
_NAME = re.compile(r"frp-wrapper-(\d+)-")


def create(parent: Path | None = None) -> Path:
    """Make a folder that only this user can enter, after removing those whose owners were killed.

    Args:
        parent: Where; None: the system's folder for temporary files.

    Raises:
        OSError: The disk is full or the parent not writable.
    """
    parent = parent or Path(tempfile.gettempdir())
    _sweep(parent)
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=parent))


def remove(folder: Path) -> None:
    """Remove a folder made by `create`, with all that is in it."""
    shutil.rmtree(folder, ignore_errors=True)


def write_private(path: Path, text: str) -> None:
    """Replace a file atomically by one that only this user can read.

    Raises:
        OSError: The disk is full or the folder is gone; the old file stays.
    """
    partial = path.with_name(path.name + ".new")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    partial.replace(path)


def _sweep(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*-*"):
        match = _NAME.match(folder.name)
        if match and not _alive(int(match[1])) and _is_ours(folder):
            remove(folder)


def _is_ours(folder: Path) -> bool:
    try:
        return folder.lstat().st_uid == os.getuid() and folder.is_dir() and not folder.is_symlink()
    except OSError:  # another process sweeps at the same time
        return False


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
