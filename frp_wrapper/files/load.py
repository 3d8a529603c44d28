"""Finds out what kind of file it is, and reads it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from frp_wrapper.errors import ConfigError
from frp_wrapper.files import frpc_ini, frpc_toml, own
from frp_wrapper.files.setup import Draft, Setup

_MAX_FILE = 8 * 1024 * 1024
_ENVIRONMENT = re.compile(r"\{\{-?\s*\.Envs\.(\w+)\s*-?\}\}")
_COMMON = re.compile(r"^\s*\[common\]", re.MULTILINE)


def load(
    path: str | Path,
    environment: Mapping[str, str] = os.environ,
    *,
    folder: Path | None = None,
    strict: bool = True,
) -> Setup:
    """Read a client and its tunnels from a file.

    Args:
        path: A ``tunnels.toml`` of ours, or an ``frpc.toml``, ``frpc.json`` or ``frpc.ini`` of frp. In frp's files
            ``{{ .Envs.NAME }}`` stands for an environment variable, as it does for frpc.
        environment: Where those variables are looked up.
        folder: What ``includes`` are relative to; None: the folder of the file. For frpc it is where it was started.
        strict: Refuse a file with faults. Else they are told in `Setup.faults`: frpc runs with the file already.

    Raises:
        ConfigError: It cannot be read, or has faults; all are listed.
    """
    file = Path(path)
    read_included = partial(_read_tables, environment=environment)
    text = _read(file)
    data = _parse_if_plain(text, file) if not _is_of_another_kind(text, file) else {}
    if own.is_own(data):
        return own.draft(data, file).finish(str(file), strict=strict)
    folder = folder or file.parent
    if data and "{{" not in text:
        return frpc_toml.draft(data, folder, read_included).finish(str(file), strict=strict)
    return _draft(text, file, environment, folder, read_included).finish(str(file), strict=strict)


def parse(text: str, name: str) -> Setup:
    """Read the text of a file that frpc runs with elsewhere; what it includes is left out.

    Args:
        text: The file.
        name: What it is called; its ending says what it is.

    Raises:
        ConfigError: It cannot be understood.
    """
    return _draft(text, Path(name), {}, Path(), lambda _: {}).finish(name, strict=False)


def _draft(
    text: str,
    file: Path,
    environment: Mapping[str, str],
    folder: Path,
    read_included: Callable[[Path], dict[str, Any]],
) -> Draft:
    if file.suffix in (".yaml", ".yml"):
        raise ConfigError(
            f"{file} is YAML, which is not read here", hint="Write it as TOML or JSON; frp takes these too."
        )
    text = _with_environment(text, file, environment)
    if _is_of_another_kind(text, file):
        return frpc_ini.draft(text, file)
    return frpc_toml.draft(_parse(text, file), folder, read_included)


def _is_of_another_kind(text: str, file: Path) -> bool:
    """Say whether a file is neither TOML nor JSON."""
    return file.suffix in (".ini", ".yaml", ".yml") or _COMMON.search(text) is not None


def _read(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_FILE + 1)
    except OSError as exc:
        raise ConfigError(
            f"{file} cannot be read: {exc.strerror}", hint="Check the path and its permissions."
        ) from exc
    if len(content) > _MAX_FILE:
        raise ConfigError(
            f"{file} is larger than {_MAX_FILE} bytes", hint="It can hardly be a configuration."
        )
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file} is not UTF-8: {exc}", hint="Save it as UTF-8.") from exc


def _parse_if_plain(text: str, file: Path) -> dict[str, Any]:
    """Parse a file in which templates may stand where values must; nothing is given of one that only they make valid."""
    try:
        return _parse(text, file)
    except ConfigError:
        if "{{" not in text:
            raise
        return {}


def _parse(text: str, file: Path) -> dict[str, Any]:
    try:
        data = json.loads(text) if file.suffix == ".json" else tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        kind = "JSON" if file.suffix == ".json" else "TOML"
        raise ConfigError(f"{file} is not {kind}: {exc}", hint="Correct the place that is named.") from exc
    if not isinstance(data, dict):
        raise ConfigError(f"{file} holds no table", hint="See docs/tunnels-file.md for what it may hold.")
    return data


def _read_tables(file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    return _parse(_with_environment(_read(file), file, environment), file)


def _with_environment(text: str, file: Path, environment: Mapping[str, str]) -> str:
    """Put environment variables in, as frpc does; other templates are frpc's alone."""
    text = _ENVIRONMENT.sub(lambda match: environment.get(match[1], ""), text)
    if "{{" in text:
        line = text[: text.index("{{")].count("\n") + 1
        raise ConfigError(
            f"{file}, line {line}: only templates of the form {{{{ .Envs.NAME }}}} are read here",
            hint="Write out what the template stands for.",
        )
    return text
