"""Installs frp into the cache, by the first way that works."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from frp_wrapper.errors import BinaryNotFoundError, ConfigError
from frp_wrapper.frp import cache, gobuild, release
from frp_wrapper.frp.progress import Progress
from frp_wrapper.frp.version import program_version

Way = Callable[[str, Path, Progress], str]

_WAYS: Mapping[str, Way] = {"release": release.install, "go": gobuild.install}
_HINT = (
    "Give a mirror of the releases by FRP_WRAPPER_RELEASE_URL, install Go, or put frpc and frps of the version "
    "on PATH and name them by FRP_WRAPPER_FRPC and FRP_WRAPPER_FRPS."
)


def install(version: str, progress: Progress, *, how: str | None = None, again: bool = False) -> Path:
    """Install a version of frp and give its folder; does nothing when it is there.

    Args:
        version: Such as ``0.71.0``.
        progress: Is told how far it is.
        how: ``auto``, ``release``, ``go`` or ``never``; None: what ``FRP_WRAPPER_INSTALL`` says, else ``auto``.
        again: Install even where it is there.

    Raises:
        BinaryNotFoundError: No way works; the message says what was tried and why each failed.
        ConfigError: There is no such way, or ``version`` is not a version.
    """
    ways = _ways(how)
    _check_version(version)
    try:
        with cache.lock(version, lambda: progress.step("waiting for another process that installs the same")):
            if again or not cache.holds(version):
                _install(version, ways, progress)
    except OSError as exc:
        raise BinaryNotFoundError(
            f"frp {version} cannot be installed into {cache.root()}: {exc}",
            reason="cache_not_writable",
            hint="Make room, or name another folder by FRP_WRAPPER_CACHE.",
        ) from exc
    return cache.folder(version)


def _install(version: str, ways: Mapping[str, Way], progress: Progress) -> None:
    failures = []
    for name, way in ways.items():
        try:
            _install_by(way, version, progress)
        except (release.ReleaseError, gobuild.BuildError) as exc:
            failures.append(f"by {name}: {exc}")
        else:
            return
    tried = "\n  ".join(failures) or "nothing, as FRP_WRAPPER_INSTALL=never forbids it"
    raise BinaryNotFoundError(
        f"frp {version} is not there and could not be installed. Tried:\n  {tried}\n", hint=_HINT
    )


def _install_by(way: Way, version: str, progress: Progress) -> None:
    with cache.new_folder(version) as folder:
        origin = way(version, folder, progress)
        for program in cache.PROGRAMS:
            found = program_version(folder / program)
            if found != version:
                raise release.ReleaseError(f"{program} says that it is {found or 'nothing'}, not {version}")
        (folder / "origin.txt").write_text(f"{origin}\n")


def _ways(how: str | None) -> Mapping[str, Way]:
    chosen = how or os.environ.get("FRP_WRAPPER_INSTALL") or "auto"
    if chosen == "auto":
        return _WAYS
    if chosen == "never":
        return {}
    if chosen not in _WAYS:
        raise ConfigError(
            f"{chosen!r} is no way to install frp",
            reason="config_invalid",
            hint="Use auto, release, go or never (FRP_WRAPPER_INSTALL).",
        )
    return {chosen: _WAYS[chosen]}


def _check_version(version: str) -> None:
    parts = version.split(".")
    if len(parts) != 3 or not all(part.isdecimal() and len(part) < 5 for part in parts):
        raise ConfigError(f"{version!r} is not a version of frp", hint="Give it as 0.71.0, without a v.")
