"""Fetches an official release of frp, checked against the SHA-256 that this package pins."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import platform
import shutil
import sys
import tarfile
import urllib.error
import urllib.request
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import IO

from frp_wrapper._version import __version__
from frp_wrapper.frp.cache import PROGRAMS, root
from frp_wrapper.frp.progress import Progress

OFFICIAL = "https://github.com/fatedier/frp/releases/download"
_TIMEOUT = 5.0
"""Seconds for a connection, and for each piece of data: a closed network costs seconds, not minutes."""
_ATTEMPTS = 5
"""Tries to go on with a download that broke off."""
_PIECE = 256 * 1024
_MAX_ARCHIVE = 100 * 1024 * 1024
_MAX_PROGRAM = 200 * 1024 * 1024
_MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "arm_hf",
    "armv6l": "arm",
    "riscv64": "riscv64",
    "loongarch64": "loong64",
}


class ReleaseError(Exception):
    """This way of installing did not work, for the reason in the message."""


@cache
def pinned() -> dict[str, dict[str, dict[str, str]]]:
    """Give file and SHA-256 of every known release, by version and platform."""
    text = files("frp_wrapper.frp").joinpath("data/release-digests.json").read_text("utf-8")
    versions: dict[str, dict[str, dict[str, str]]] = json.loads(text)["versions"]
    return versions


def platform_name() -> str:
    """Give frp's word for this machine, such as ``linux_amd64``."""
    machine = platform.machine().lower()
    return f"{sys.platform}_{_MACHINES.get(machine, machine)}"


def install(version: str, target: Path, progress: Progress) -> str:
    """Put the programs of a release into a folder and give the address that they came from.

    Args:
        version: Such as ``0.71.0``.
        target: A private folder.
        progress: Is told of the download.

    Raises:
        ReleaseError: There is no such release for this machine, it cannot be fetched, or it is not the pinned one.
        OSError: The disk is full or not writable.
    """
    try:
        entry = pinned()[version][platform_name()]
    except KeyError:
        raise ReleaseError(f"no SHA-256 of a release {version} for {platform_name()} is known") from None
    base = os.environ.get("FRP_WRAPPER_RELEASE_URL", OFFICIAL).rstrip("/")
    url = f"{base}/v{version}/{entry['file']}"
    downloads = root() / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    archive = downloads / f"{entry['file']}.part"
    try:
        _download(url, archive, progress)
        _check(archive, entry["sha256"], url)
        progress.step("unpacking")
        _unpack(archive, target, entry["file"].removesuffix(".tar.gz"))
    except (ReleaseError, OSError) as exc:
        if not isinstance(exc, _BrokenOffError):
            archive.unlink(missing_ok=True)
        raise
    archive.unlink()
    return url


class _BrokenOffError(ReleaseError):
    """The download broke off; what is there is kept, for the next try to go on from."""


def _download(url: str, archive: Path, progress: Progress) -> None:
    for attempts_left in reversed(range(_ATTEMPTS)):
        before = archive.stat().st_size if archive.exists() else 0
        try:
            _download_rest(url, archive, progress)
        except urllib.error.HTTPError as exc:
            if exc.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # complete already, or not this file: the digest tells
            raise ReleaseError(f"{url}: {exc}") from exc
        except (http.client.HTTPException, TimeoutError, ConnectionError, urllib.error.URLError) as exc:
            got_some = archive.exists() and archive.stat().st_size > before
            if not attempts_left or not got_some:
                raise _BrokenOffError(f"{url}: {exc}") from exc
        except ValueError as exc:
            raise ReleaseError(f"{url}: {exc}") from exc
        else:
            return


def _download_rest(url: str, archive: Path, progress: Progress) -> None:
    have = archive.stat().st_size if archive.exists() else 0
    request = urllib.request.Request(url, headers={"User-Agent": f"frp-wrapper/{__version__}"})  # noqa: S310 - the user's mirror
    if have:
        request.add_header("Range", f"bytes={have}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
        if response.status != http.HTTPStatus.PARTIAL_CONTENT:
            have = 0
        length = response.headers.get("Content-Length")
        total = have + int(length) if length else None
        progress.step(f"fetching {url.rpartition('/')[2]}", total)
        with archive.open("ab" if have else "wb") as file:
            _copy(response, file, have, progress)
    if total is not None and archive.stat().st_size < total:
        raise http.client.IncompleteRead(b"", total - archive.stat().st_size)


def _copy(response: IO[bytes], file: IO[bytes], have: int, progress: Progress) -> None:
    while piece := response.read(_PIECE):
        have += len(piece)
        if have > _MAX_ARCHIVE:
            raise ReleaseError(f"the archive is larger than {_MAX_ARCHIVE} bytes")
        file.write(piece)
        progress.advance(have)


def _check(archive: Path, wanted: str, url: str) -> None:
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != wanted:
        raise ReleaseError(f"{url} is not the release that is pinned: its SHA-256 is {found}, not {wanted}")


def _unpack(archive: Path, target: Path, folder: str) -> None:
    """Write the two programs and nothing else, so that no path in the archive can lead elsewhere."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            for program in PROGRAMS:
                _unpack_member(tar, f"{folder}/{program}", target / program)
    except (tarfile.TarError, EOFError, KeyError) as exc:
        raise ReleaseError(f"{archive.name} cannot be unpacked: {exc}") from exc


def _unpack_member(tar: tarfile.TarFile, name: str, target: Path) -> None:
    member = tar.getmember(name)
    source = tar.extractfile(member) if member.isreg() else None
    if source is None or member.size > _MAX_PROGRAM:
        raise ReleaseError(f"{name} in the archive is not a program")
    with contextlib.closing(source), target.open("xb") as file:
        shutil.copyfileobj(source, file)
    target.chmod(0o755)
