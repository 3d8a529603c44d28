"""Where installed frp programs live: ``<root>/frp/<version>/{frpc,frps}``."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from frp_wrapper.errors import TimeoutError

try:
    import fcntl
except ImportError:
    raise ImportError(
        "frp_wrapper runs on Linux and macOS; on Windows it has no way yet to end frpc together with its host. "
        "Use it in WSL."
    ) from None

PROGRAMS = ("frpc", "frps")
_LOCK_WAIT = 900.0
"""Seconds to wait for another installer of the same version; a build takes about one minute on two cores."""


def root() -> Path:
    """Give the folder of everything that is kept between runs; ``FRP_WRAPPER_CACHE`` names another one."""
    if named := os.environ.get("FRP_WRAPPER_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "frp-wrapper"
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "frp-wrapper"


def folder(version: str) -> Path:
    """Give the folder of one version, whether it is installed or not."""
    return root() / "frp" / version


def holds(version: str) -> bool:
    """Say whether both programs of a version are installed."""
    return all(os.access(folder(version) / program, os.X_OK) for program in PROGRAMS)


def versions() -> list[str]:
    """Give the installed versions, newest first."""
    try:
        names = [entry.name for entry in (root() / "frp").iterdir() if not entry.name.startswith(".")]
    except OSError:
        return []
    return sorted((name for name in names if holds(name)), key=version_key, reverse=True)


def version_key(version: str) -> tuple[int, ...]:
    """Give what versions are ordered by."""
    return tuple(int(part) for part in version.split(".") if part.isdecimal())


@contextlib.contextmanager
def lock(version: str, on_wait: Callable[[], None]) -> Iterator[None]:
    """Hold the only right to install a version; the kernel frees it if its holder dies.

    Args:
        version: Which version.
        on_wait: Called once if somebody else holds it.

    Raises:
        TimeoutError: Somebody else holds it for 15 minutes.
        OSError: The cache cannot be written.
    """
    locks = root() / "locks"
    locks.mkdir(parents=True, exist_ok=True)
    with (locks / f"{version}.lock").open("w") as file:
        _acquire(file.fileno(), version, on_wait)
        yield


def _acquire(descriptor: int, version: str, on_wait: Callable[[], None]) -> None:
    deadline = time.monotonic() + _LOCK_WAIT
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(
                    f"another process has been installing frp {version} for {_LOCK_WAIT / 60:g} minutes",
                    reason="install_locked",
                    hint=f"End it, or give another cache by FRP_WRAPPER_CACHE (now {root()}).",
                ) from None
            if not waited:
                on_wait()
                waited = True
            time.sleep(0.2)
        else:
            return


@contextlib.contextmanager
def new_folder(version: str) -> Iterator[Path]:
    """Give a private folder that becomes the installed one at the end of the block, or vanishes if the block fails.

    The caller holds the lock, so folders that a killed installer left behind are removed first.
    """
    target = folder(version)
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(f".{version}-*"):
        shutil.rmtree(stale, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=target.parent))
    try:
        yield fresh
        fresh.chmod(0o755)
        if target.exists():  # an incomplete one, by hand or by a full disk
            shutil.rmtree(target)
        fresh.rename(target)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
