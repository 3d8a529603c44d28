"""One run of a program that must not outlive us, with its output as a pipe that never blocks us."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence

_PR_SET_PDEATHSIG = 1
_READ_SIZE = 65536
_PIPE_SIZE = 1 << 20


def _bind_to_parent() -> Callable[[], None] | None:
    """Give what the child runs before exec so that the kernel kills it when its parent dies; Linux only."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(
        None, use_errno=True
    ).prctl  # looked up before the fork: nothing may allocate after it
    parent = os.getpid()

    def in_child() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # the parent died between fork and prctl: no signal will come
            os._exit(127)

    return in_child


def _enlarge(pipe: int) -> None:
    """Make room for what gathers between two reads; where the system refuses, its default has to do."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe, fcntl.F_SETPIPE_SZ, _PIPE_SIZE)


class Program:
    """A child process; must be made, read and ended on the thread that lives as long as this process.

    Args:
        argv: Program and arguments.
        env: Its whole environment.
        cwd: Its working folder.

    Raises:
        OSError: It cannot be started.
    """

    def __init__(self, argv: Sequence[str], env: Mapping[str, str], cwd: str) -> None:
        self._process = subprocess.Popen(
            list(argv),
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
            preexec_fn=_bind_to_parent(),  # noqa: PLW1509 - the sidecar forks on its only long-lived thread
        )
        assert self._process.stdout is not None
        self._stdout = self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        _enlarge(self._stdout.fileno())
        self.started_at = time.monotonic()

    @property
    def pid(self) -> int:
        """The process id; ours to signal until `poll` has given an exit code."""
        return self._process.pid

    def fileno(self) -> int:
        """Give the descriptor of the output pipe, for a selector."""
        return self._stdout.fileno()

    def read(self) -> bytes | None:
        """Give output that is there now; empty when there is none yet, None at the end of it."""
        try:
            chunk = os.read(self._stdout.fileno(), _READ_SIZE)
        except BlockingIOError:
            return b""
        return chunk or None

    def poll(self) -> int | None:
        """Give the exit code (negative: the signal that ended it), or None while it runs."""
        return self._process.poll()

    def send_signal(self, number: int) -> None:
        """Signal the program if it still runs."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)

    def close(self) -> None:
        """Let go of the pipe; the program has ended."""
        self._stdout.close()
