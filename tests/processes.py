"""Processes that tests start: Ctrl-C reaches them whatever started the tests, and none outlives its test."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import psutil

_started: list[subprocess.Popen[str]] = []


def start(*command: object, **options: Any) -> subprocess.Popen[str]:
    """Start a process with text pipes as `subprocess.Popen` does; it is killed at the end of the test."""
    command = tuple(str(part) for part in command)
    process = subprocess.Popen(command, text=True, preexec_fn=hear_ctrl_c, **options)  # noqa: PLW1509 - sets a signal only
    _started.append(process)
    return process


def hear_ctrl_c() -> None:
    """Undo what a shell does to background jobs: it has them ignore SIGINT, and their children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def end_all() -> None:
    """Kill what still runs of the processes that were started, and close their pipes."""
    while _started:
        process = _started.pop()
        if process.poll() is None:
            process.kill()
            process.wait()
        for pipe in (process.stdout, process.stderr):
            with contextlib.suppress(OSError, ValueError, AttributeError):
                pipe.close()  # type: ignore[union-attr]


def freeze(pid: int | None) -> None:
    """Have a process stand still; every thread of it does when this returns."""
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    while not all(_state(thread.id) == "T" for thread in psutil.Process(pid).threads()):
        time.sleep(0.001)


def thaw(pid: int | None) -> None:
    """Let a frozen process go on."""
    assert pid is not None
    os.kill(pid, signal.SIGCONT)


def _state(thread: int) -> str:
    return Path(f"/proc/{thread}/stat").read_text().rpartition(") ")[2][:1]


def require_no_thread_of_ours(but: set[threading.Thread]) -> None:
    """Fail when a thread of ours still runs that is not among these."""
    ours = [t for t in threading.enumerate() if t not in but and t.name.startswith("frp-wrapper-")]
    for thread in ours:
        thread.join(5.0)
    left = [thread.name for thread in ours if thread.is_alive()]
    assert not left, f"threads left behind: {left}"


def has_ended(pid: int) -> bool:
    """Say whether a process has ended; an orphan that init has still to reap has."""
    try:
        process = psutil.Process(pid)
        return process.status() == psutil.STATUS_ZOMBIE and process.ppid() != os.getpid()
    except psutil.NoSuchProcess:
        return True
