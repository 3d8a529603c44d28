"""The frpc processes of this machine, whoever started them: what ``/proc`` tells of them. Nothing is sent to them."""

from __future__ import annotations

import contextlib
import mmap
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from frp_wrapper.errors import ProcessError

__all__ = [
    "FrpcProcess",
    "find_all",
    "inspect",
    "listening",
    "require_readable",
    "socket_inodes",
    "writing",
]

_PROC = Path("/proc")
_DEFAULT_CONFIG = "./frpc.ini"
"""What frpc reads when it is told nothing."""
_CONFIG_FLAGS = ("-c", "--config")
_SOURCE = b"github.com/fatedier/frp/client"
"""Stands in every frpc, whatever its file is called."""
_STARTED = 19
"""Place of the start time among the fields of ``stat`` after the name."""
_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class FrpcProcess:
    """One frpc.

    Attributes:
        pid: Its process id.
        started: When it started, in the kernel's ticks: with the pid it tells a process from all others.
        arguments: Its command line.
        config: Its configuration file as it sees it; None: it has none, or where it lies is hidden from us.
        file: The same file as it is reached from here; another one when frpc runs in a container.
        environment: Its environment; empty where that is hidden from us.
    """

    pid: int
    started: int
    arguments: tuple[str, ...]
    config: Path | None
    file: Path | None
    environment: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def is_running(self) -> bool:
        """Whether it still runs."""
        return _started(self.pid) == self.started

    def output(self) -> Path | None:
        """Give the file that its output goes to; None: a terminal, a pipe, or hidden from us."""
        with contextlib.suppress(OSError):
            link = self._link("fd/1")
            if link.is_file():
                return link
        return None

    def is_same(self, other: FrpcProcess) -> bool:
        """Say whether the other one is this one started again: it has the same configuration."""
        if self.config is None or other.config is None:
            return self.arguments == other.arguments
        return self.config == other.config

    def path(self, name: str) -> Path:
        """Give where a file is reached from here that frpc calls so."""
        with contextlib.suppress(OSError):
            name = os.path.normpath((_PROC / str(self.pid) / "cwd").readlink() / name)
        return _from_here(self.pid, name)

    def _link(self, name: str) -> Path:
        return self.path(str((_PROC / str(self.pid) / name).readlink()))


def find_all() -> list[FrpcProcess]:
    """Give every frpc that can be seen from here, by its name, in the order of their pids."""
    found = []
    for entry in sorted(_PROC.glob("[0-9]*"), key=lambda entry: int(entry.name)):
        with contextlib.suppress(ProcessError):
            if _is_called_frpc(int(entry.name)):
                found.append(_read(int(entry.name)))
    return found


def inspect(pid: int) -> FrpcProcess:
    """Look at a process that should be an frpc.

    Raises:
        ProcessError: There is no such process, or it is no frpc.
    """
    if not (_PROC / "self").exists():
        raise ProcessError(
            "processes can be looked at on Linux only",
            reason="process_not_readable",
            hint="Watch the frpc by its admin API or its log.",
        )
    process = _read(pid)
    if not _is_called_frpc(pid) and not _is_made_from_frp(pid):
        raise ProcessError(
            f"process {pid} is {Path(process.arguments[0]).name!r}, which is no frpc",
            reason="not_frpc",
            hint="`frpw attach` without a pid lists every frpc that runs here.",
        )
    return process


def require_readable(process: FrpcProcess) -> None:
    """Refuse a process whose sockets cannot be told from others'.

    Raises:
        ProcessError: Another user's, or one in another network namespace.
    """
    try:
        next((_PROC / str(process.pid) / "fd").iterdir(), None)
        network, ours = ((_PROC / str(pid) / "ns" / "net").readlink() for pid in (process.pid, "self"))
    except PermissionError as exc:
        raise ProcessError(
            f"the open files of process {process.pid} may not be seen by this user",
            reason="process_not_readable",
            hint="Run this as the user of that frpc, or as root; or watch it by its admin API or its log.",
        ) from exc
    except OSError as exc:
        raise _gone(process.pid) from exc
    if network != ours:
        raise ProcessError(
            f"process {process.pid} is in another network namespace, such as that of a container: its sockets "
            "cannot be seen from here",
            reason="other_network_namespace",
            hint=f"Run this in there (nsenter -t {process.pid} -n), or watch it by its admin API or its log.",
        )


def socket_inodes(pid: int) -> set[int]:
    """Give the inodes of the sockets that a process has open; none once it has ended.

    Raises:
        PermissionError: It is another user's.
    """
    inodes: set[int] = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                link = os.readlink(entry.path)  # noqa: PTH115 - there may be thousands, each second
                if link.startswith("socket:["):
                    inodes.add(int(link[8:-1]))
    return inodes


def listening(port: int) -> FrpcProcess | None:
    """Give the frpc that listens at a TCP port of this machine; None: none that can be seen from here."""
    inodes = set(_listeners(port))
    if not inodes:
        return None
    for process in find_all():
        with contextlib.suppress(PermissionError):
            if inodes & socket_inodes(process.pid):
                return process
    return None


def writing(file: Path) -> FrpcProcess | None:
    """Give the frpc that has a file open; None: none that can be seen from here."""
    wanted = file.stat()
    for process in find_all():
        with contextlib.suppress(OSError):
            for entry in (_PROC / str(process.pid) / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    if os.path.samestat(entry.stat(), wanted):
                        return process
    return None


def _listeners(port: int) -> Iterator[int]:
    """Give the inodes of sockets that listen at a port."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in (_PROC / "net" / table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield int(fields[9])


def _read(pid: int) -> FrpcProcess:
    started, arguments = _started(pid), _arguments(pid)
    if started is None or not arguments:
        raise _gone(pid)
    config = _config(pid, arguments)
    return FrpcProcess(
        pid,
        started,
        arguments,
        config,
        _from_here(pid, str(config)) if config is not None else None,
        _environment(pid),
    )


def _gone(pid: int) -> ProcessError:
    return ProcessError(
        f"there is no process {pid}, or it has ended",
        reason="no_such_process",
        hint="`frpw attach` without a pid lists every frpc that runs here.",
    )


def _started(pid: int) -> int | None:
    try:
        fields = (_PROC / str(pid) / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[_STARTED])


def _arguments(pid: int) -> tuple[str, ...]:
    try:
        line = (_PROC / str(pid) / "cmdline").read_bytes()
    except OSError:
        return ()
    return tuple(part.decode("utf-8", "surrogateescape") for part in line.removesuffix(b"\0").split(b"\0"))


def _environment(pid: int) -> dict[str, str]:
    try:
        parts = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return {}
    pairs = (part.decode("utf-8", "surrogateescape").partition("=") for part in parts)
    return {name: value for name, _, value in pairs}


def _is_called_frpc(pid: int) -> bool:
    with contextlib.suppress(OSError):
        if "frpc" in (_PROC / str(pid) / "comm").read_text("utf-8", "replace"):
            return True
    return False


def _is_made_from_frp(pid: int) -> bool:
    """Look into the program of a process: frpc may have been given another name."""
    try:
        with (
            (_PROC / str(pid) / "exe").open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as program,
        ):
            return program.find(_SOURCE) >= 0
    except (OSError, ValueError):
        return False


def _config(pid: int, arguments: tuple[str, ...]) -> Path | None:
    named = _named_config(arguments)
    if named is None:
        return None
    with contextlib.suppress(OSError):
        return Path(os.path.normpath((_PROC / str(pid) / "cwd").readlink() / named))
    return Path(named) if named.startswith("/") else None


def _named_config(arguments: tuple[str, ...]) -> str | None:
    """Give the file that a command line names; None for a command line that is the configuration itself."""
    for place, argument in enumerate(arguments[1:], 1):
        for flag in _CONFIG_FLAGS:
            if argument == flag and place + 1 < len(arguments):
                return arguments[place + 1]
            if argument.startswith(f"{flag}="):
                return argument.removeprefix(f"{flag}=")
        if argument.startswith("-c") and len(argument) > len("-c"):
            return argument.removeprefix("-c")
    is_itself = any(not argument.startswith("-") for argument in arguments[1:])  # such as `frpc tcp ...`
    return None if is_itself or "--config_dir" in " ".join(arguments) else _DEFAULT_CONFIG


def _from_here(pid: int, path: str) -> Path:
    """Give where a file of a process is reached from here, by the process's own root if it has another one."""
    try:
        theirs, ours = ((_PROC / str(one) / "ns" / "mnt").readlink() for one in (pid, "self"))
    except OSError:
        return Path(path)
    return Path(path) if theirs == ours else Path(f"/proc/{pid}/root{path}")
