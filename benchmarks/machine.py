"""What benchmarks that run processes share: programs in C, cores, a quiet machine, and what processes took."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import time
from pathlib import Path

import psutil

NATIVE = Path(__file__).parent / "native"
CORES = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
"""Those that we may use, before any of us is kept on one."""

FEW_SOCKETS = 1000


def compiled(name: str, folder: Path) -> Path | None:
    """Compile a program of `NATIVE` into a folder; None: there is no compiler."""
    compiler = shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        return None
    program = folder / name
    subprocess.run([compiler, "-O2", "-pthread", "-o", program, NATIVE / f"{name}.c"], check=True)
    return program


def pin(core: int, pid: int | None = None) -> None:
    """Keep a process (None: this one), its threads and its children on one core, where there are several."""
    for member in family(pid or os.getpid()):
        for thread in member.threads():
            os.sched_setaffinity(thread.id, {CORES[core % len(CORES)]})


def family(pid: int) -> list[psutil.Process]:
    """Give a process and those below it."""
    process = psutil.Process(pid)
    return [process, *process.children(recursive=True)]


def cpu_seconds(*pids: int) -> float:
    """Give what processes have taken, with those below them that run."""
    return sum(sum(member.cpu_times()[:2]) for pid in pids for member in family(pid))


def own_seconds() -> float:
    """Give what this process has taken, with all that it has started."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return cpu_seconds(os.getpid()) + ended.ru_utime + ended.ru_stime


def machine_seconds() -> float:
    """Give what all programs of this machine have taken."""
    times = psutil.cpu_times()
    return float(sum(times[:8]) - times.idle - times.iowait)


def wait_for_quiet(seconds: float = 20.0, look: float = 0.5) -> bool:
    """Wait until the other programs of this machine take less than a tenth of a core; False: they did not.

    Args:
        seconds: How long to wait for it.
        look: How long it must be quiet.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = machine_seconds()
        time.sleep(look)
        if machine_seconds() - before < 0.1 * look + 0.01:  # the kernel counts in hundredths of a second
            return True
    return False


def wait_for_old_sockets(seconds: float = 75.0) -> None:
    """Wait until the connections that have ended are out of the kernel's table, which takes a minute."""
    deadline = time.monotonic() + seconds
    while waiting_sockets() > FEW_SOCKETS and time.monotonic() < deadline:
        time.sleep(1.0)


def waiting_sockets() -> int:
    """Give how many ended connections the kernel still keeps; 0 where it does not tell."""
    try:
        text = Path("/proc/net/sockstat").read_text("ascii")
    except OSError:
        return 0
    found = re.search(r"^TCP: .*\btw (\d+)", text, re.MULTILINE)
    return int(found[1]) if found else 0
