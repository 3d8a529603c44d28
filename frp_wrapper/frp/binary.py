"""Finds the frp programs: the one that is named, else an installed one, else it installs them."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from frp_wrapper.errors import BinaryNotFoundError, ConfigError
from frp_wrapper.frp import cache
from frp_wrapper.frp.version import program_version

if TYPE_CHECKING:
    from frp_wrapper.frp.progress import Progress

DEFAULT_VERSION = "0.71.0"


def find(
    program: str,
    *,
    path: str | Path | None = None,
    version: str | None = None,
    progress: Progress | None = None,
    may_install: bool = True,
) -> Path:
    """Give the path of an frp program.

    The first of these counts: ``path``; the environment (``FRP_WRAPPER_FRPC``, ``FRP_WRAPPER_FRPS``); what was
    installed earlier; ``PATH``; an installation now. With a ``version`` only a program of that version counts.

    Args:
        program: ``frpc`` or ``frps``.
        path: The program, if it is known.
        version: Such as ``0.65.0``; None: 0.71.0, or whatever is on ``PATH``.
        progress: Is told of an installation; None: a progress bar on stderr.
        may_install: False: only look.

    Raises:
        BinaryNotFoundError: There is none, and none could be installed.
        ConfigError: ``path`` or the environment names something that is no such program.
    """
    if program not in cache.PROGRAMS:
        raise ConfigError(f"{program!r} is no program of frp", hint="It is frpc or frps.")
    named = _named(program, path, version)
    if named is not None:
        return named
    wanted = version or DEFAULT_VERSION
    if cache.holds(wanted):
        return cache.folder(wanted) / program
    on_path = shutil.which(program)
    if on_path and program_version(Path(on_path)) in (
        {version} if version else _usable_versions(Path(on_path))
    ):
        return Path(on_path)
    if not may_install:
        raise BinaryNotFoundError(
            f"there is no {program} {wanted} here", hint="Install it: frpw frp install."
        )
    return _install(wanted, progress) / program


def binary_version(path: Path) -> str:
    """Give the version of an frp program.

    Raises:
        ConfigError: It is no frp program.
    """
    version = program_version(path)
    if version is None:
        raise ConfigError(
            f"{path} is not an frp program: it does not answer --version with a version",
            reason="binary_not_usable",
            hint="Name frpc or frps of a release of frp, for this machine and executable.",
        )
    return version


def origin(path: Path) -> str:
    """Say where a program came from, as far as is known."""
    note = path.parent / "origin.txt"
    return note.read_text().strip() if note.is_file() else "not installed by frp-wrapper"


def _usable_versions(path: Path) -> set[str]:
    version = program_version(path)
    return {version} if version else set()


def _named(program: str, path: str | Path | None, version: str | None) -> Path | None:
    source = f"FRP_WRAPPER_{program.upper()}"
    named = path or os.environ.get(source)
    if not named:
        return None
    found = Path(named).expanduser()
    if not found.is_file():
        raise BinaryNotFoundError(
            f"there is no program {found}, which {'the argument' if path else source} names",
            hint="Correct the path, or leave it out to have frp found or installed.",
        )
    if version and binary_version(found) != version:
        raise ConfigError(
            f"{found} is frp {binary_version(found)}, not {version}",
            reason="version_mismatch",
            hint="Name the path or the version, not both.",
        )
    binary_version(found)
    return found.absolute()


def _install(version: str, progress: Progress | None) -> Path:
    # what fetches and builds frp is a quarter of the package's weight, and is needed once in the life of a machine
    from frp_wrapper.frp.install import install  # noqa: PLC0415
    from frp_wrapper.frp.progress import on_terminal  # noqa: PLC0415

    if progress is not None:
        return install(version, progress)
    with on_terminal() as bar:
        return install(version, bar)
