"""Our own file: ``[client]``, ``[tunnels.NAME]`` and ``[visitors.NAME]``, with the names of the Python options."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from frp_wrapper.files.setup import Draft, Table

_TABLES = ("client", "tunnels", "visitors")
_SECRETS = ("auth_token", "server_dashboard")
"""Keys whose value may stand in the environment, ``KEY_env``, or in a file, ``KEY_file``."""


def is_own(data: dict[str, Any]) -> bool:
    """Say whether this is our own kind of file rather than frp's."""
    return isinstance(data.get("client"), dict) or isinstance(data.get("tunnels"), dict)


def draft(data: dict[str, Any], file: Path) -> Draft:
    """Read the tables of a file; faults are noted in the draft."""
    client = data.get("client", {})
    result = Draft(client=dict(client) if isinstance(client, dict) else {})
    result.faults += [
        f"there is no table {key}; there are {', '.join(_TABLES)}" for key in data if key not in _TABLES
    ]
    if isinstance(usage_file := result.client.get("usage_file"), str):
        result.client["usage_file"] = str(file.parent / Path(usage_file).expanduser())
    for key in _SECRETS:
        _resolve_secret(result, key, file)
    for name, table in _named(result, data, "tunnels"):
        result.tunnels.append(tunnel_table(name, table, str(result.client.get("server", ""))))
    for name, table in _named(result, data, "visitors"):
        result.visitors.append(_renamed(table, "visitor_type") | {"name": name})
    return result


def _named(result: Draft, data: dict[str, Any], kind: str) -> list[tuple[str, Table]]:
    tables = data.get(kind, {})
    if not isinstance(tables, dict):
        result.faults.append(f"{kind} is a list; each is a table of its own here: [{kind}.NAME]")
        return []
    wrong = [name for name, table in tables.items() if not isinstance(table, dict)]
    result.faults += [f"{kind}.{name} is no table; write [{kind}.{name}]" for name in wrong]
    return [(name, table) for name, table in tables.items() if isinstance(table, dict)]


def tunnel_table(name: object, table: Table, server: str) -> Table:
    """Give a tunnel's table in the spelling of `TunnelConfig`; ``type`` and ``path`` are ours."""
    table = _renamed(table, "tunnel_type") | {"name": name}
    path = table.pop("path", None)
    if path is not None:  # what `expose_path` does
        table.setdefault("tunnel_type", "http")
        table.setdefault("custom_domains", [server])
        table["locations"] = ["/" + str(path).strip("/")]
    if table.get("tunnel_type") == "tcpmux":
        table.setdefault("multiplexer", "httpconnect")
    return table


def _renamed(table: Table, name: str) -> Table:
    return {name if key == "type" else key: value for key, value in table.items()}


def _resolve_secret(result: Draft, key: str, file: Path) -> None:
    given = [name for name in (key, f"{key}_env", f"{key}_file") if name in result.client]
    if len(given) > 1:
        result.faults.append(f"{' and '.join(given)} exclude each other")
    variable = result.client.pop(f"{key}_env", None)
    secret_file = result.client.pop(f"{key}_file", None)
    if variable is not None:
        result.client[key] = os.environ.get(str(variable))
        if result.client[key] is None:
            result.faults.append(f"{key}_env: the environment has no {variable}")
    if secret_file is not None:
        _read_secret(result, key, file.parent / str(secret_file))


def _read_secret(result: Draft, key: str, path: Path) -> None:
    try:
        result.client[key] = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        result.faults.append(f"{key}_file: {path} cannot be read: {exc}")
