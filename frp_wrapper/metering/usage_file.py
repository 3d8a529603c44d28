"""The file of days: what each tunnel of each server has moved, as JSON; several processes may add to it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from frp_wrapper.errors import ConfigError

__all__ = ["MOST_TUNNELS", "Days", "merge", "prune", "read", "update"]

Days = dict[str, dict[str, list[int]]]
"""For each tunnel and each day (``2026-01-31``) bytes sent, bytes received, connections, errors."""
MOST_TUNNELS = 1000
"""Tunnels of one server that are remembered; those that were idle the longest go first."""
MOST_SERVERS = 100
"""Servers that are remembered: a server at another port is another one."""
_KEEP_DAYS = 62
"""This month and the one before."""
_MOST_BYTES = 64 << 20
_NUMBERS = 4
_TRIES, _PAUSE = 40, 0.05
"""How often, and after how many seconds, the lock is tried again that another process holds."""


def read(path: Path) -> dict[str, Days]:
    """Give the days of all tunnels by server; nothing where there is no file.

    Raises:
        ConfigError: It cannot be read, or is no such file.
    """
    try:
        servers = json.loads(_text(path))["servers"]
        return {str(server): _days(tunnels) for server, tunnels in servers.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise ConfigError(
            f"the file of days {path} cannot be read: {exc}",
            reason="usage_file",
            hint="Name another file, or move this one away to begin anew.",
        ) from exc


def _text(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"it is larger than {_MOST_BYTES >> 20} MiB")
    return content.decode()


def update(
    path: Path, server: str, new: Mapping[str, Mapping[str, list[int]]], today: date
) -> tuple[Days, int]:
    """Add to what the file has, and give all of this server, and how many tunnels of all had to be forgotten.

    Raises:
        ConfigError: It cannot be read, or is no such file; it stays as it is.
        OSError: It cannot be written; it stays as it is.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with _locked(path):
        servers = read(path)
        days = servers.setdefault(server, {})
        merge(days, new)
        forgotten = _prune_all(servers, today)
        _replace(path, json.dumps({"version": 1, "servers": servers}, separators=(",", ":")))
    return days, forgotten


def merge(days: Days, more: Mapping[str, Mapping[str, list[int]]]) -> None:
    """Add up by tunnel and day."""
    for tunnel, by_day in more.items():
        mine = days.setdefault(tunnel, {})
        for day, numbers in by_day.items():
            mine[day] = [sum(pair) for pair in zip(mine.get(day, [0] * _NUMBERS), numbers, strict=True)]


def prune(days: Days, today: date) -> int:
    """Forget old days, and tunnels beyond the bound; give how many tunnels went that still had days."""
    for tunnel, by_day in list(days.items()):
        for day in [day for day in by_day if (today - date.fromisoformat(day)).days > _KEEP_DAYS]:
            del by_day[day]
        if not by_day:
            del days[tunnel]
    longest_idle = sorted(days, key=lambda tunnel: max(days[tunnel]))
    for tunnel in (excess := longest_idle[: max(0, len(days) - MOST_TUNNELS)]):
        del days[tunnel]
    return len(excess)


def _prune_all(servers: dict[str, Days], today: date) -> int:
    """Do the same for all servers, and forget those that were idle the longest beyond their bound."""
    forgotten = sum(prune(days, today) for days in servers.values())
    longest_idle = sorted(servers, key=lambda server: max(map(max, servers[server].values()), default=""))
    for server in longest_idle[: max(0, len(servers) - MOST_SERVERS)]:
        forgotten += len(servers.pop(server))
    return forgotten


def _days(tunnels: Mapping[str, Mapping[str, list[int]]]) -> Days:
    days: Days = {}
    for tunnel, by_day in tunnels.items():
        days[str(tunnel)] = {
            date.fromisoformat(day).isoformat(): [max(0, int(number)) for number in numbers]
            for day, numbers in by_day.items()
        }
        if any(len(numbers) != _NUMBERS for numbers in days[str(tunnel)].values()):
            raise ValueError(f"a day of {tunnel!r} has not {_NUMBERS} numbers")
    return days


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keep other processes out; a file of its own, as the file itself is replaced."""
    descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _wait_for(descriptor)
        yield
    finally:
        os.close(descriptor)


def _wait_for(descriptor: int) -> None:
    for _ in range(_TRIES):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(_PAUSE)
    raise TimeoutError(f"another process has held the lock for {_TRIES * _PAUSE:g} s")


def _replace(path: Path, text: str) -> None:
    part = path.with_name(path.name + ".part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    part.replace(path)
