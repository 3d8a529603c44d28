"""Finds out what there is to know of an frpc that somebody else runs: its process, configuration, admin API and log."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.config.tunnel import TunnelType
from frp_wrapper.errors import ConfigError, FRPError
from frp_wrapper.files import Setup
from frp_wrapper.files.load import load, parse
from frp_wrapper.frp import processes
from frp_wrapper.frp.admin import AdminClient, AdminEndpoint, ProxyStatus
from frp_wrapper.frp.processes import FrpcProcess
from frp_wrapper.monitoring.log_mask import mask_secret

__all__ = ["UNKNOWN", "Target", "bare_tunnel", "find_target", "read_setup", "tunnel_of"]

UNKNOWN = "unknown"
"""The server, or the type of a tunnel, where nothing tells it."""


@dataclass
class Target:
    """What is known of an frpc.

    Attributes:
        process: Its process; None: not found, or its sockets cannot be seen.
        setup: Its configuration, without secrets; None: not readable.
        admin: Its admin API; None: it has none, or it may not be asked.
        statuses: What its admin API said when it was asked first.
        log: Its log file; None: not known.
        notes: What cannot be shown, and why, as sentences.
    """

    process: FrpcProcess | None = None
    setup: Setup | None = None
    admin: AdminClient | None = None
    statuses: Mapping[str, ProxyStatus] | None = None
    log: Path | None = None
    notes: list[str] = field(default_factory=list)

    @property
    def config(self) -> ClientConfig:
        """The server and how it is reached; its name is `UNKNOWN` where nothing tells it."""
        return self.setup.client if self.setup is not None else ClientConfig(server=UNKNOWN, port=0)

    def try_setup(self) -> None:
        """Read the configuration of the process, which may have changed; what cannot be read stays as it was."""
        if self.process is not None:
            with contextlib.suppress(FRPError):
                self.setup = read_setup(self.process) or self.setup


def find_target(pid: int | None, admin: str | None, log: str | Path | None) -> Target:
    """Find what there is; see `frp_wrapper.attached.attach` for the arguments and what is raised."""
    target = Target(log=_existing(Path(log)) if log is not None else None)
    if pid is not None:
        target.process = processes.inspect(pid)
        processes.require_readable(target.process)
    endpoint = _endpoint(admin) if admin is not None else None
    if target.process is None:
        _look_for_process(target, endpoint)
    _read_config(target, is_needed=endpoint is None and log is None)
    _find_admin(target, endpoint)
    if target.log is None:
        target.log = _log_of(target)
    return target


def read_setup(process: FrpcProcess) -> Setup | None:
    """Read the configuration of an frpc; None: it has no file.

    Raises:
        ConfigError: It cannot be read.
    """
    if process.file is None:
        return None
    if not process.file.is_file():  # such as a pipe, which can be read once
        raise ConfigError(f"{process.file} is no file that can be read", hint="Check that it is still there.")
    folder = process.path(".")
    return _without_token(load(process.file, process.environment, folder=folder, strict=False))


def tunnel_of(name: str, status: ProxyStatus, setup: Setup | None) -> TunnelConfig:
    """Give the configuration of a tunnel that the admin API tells of, from the file where it is in there.

    Args:
        name: Without frp's user, which older frpc put in front of it.
        status: What is told.
        setup: The file; None: not known.
    """
    host, _, port = status.local_addr.rpartition(":")
    local = (host.strip("[]"), int(port)) if port.isdigit() else None
    for config in setup.tunnels if setup is not None else ():
        if config.name == name and local in (None, (config.local_host, config.local_port)):
            return config
    return bare_tunnel(name, status.type, local)


def bare_tunnel(name: str, kind: str, local: tuple[str, int] | None = None) -> TunnelConfig:
    """Give the configuration of a tunnel of which no file tells."""
    host, port = local or ("127.0.0.1", None)
    return TunnelConfig(
        name=name, tunnel_type=cast("TunnelType", kind or UNKNOWN), local_host=host, local_port=port
    )


def _existing(log: Path) -> Path:
    why = "it is no file"
    try:
        if stat.S_ISREG(log.stat().st_mode):  # a pipe would have us wait for its writer
            with log.open("rb"):
                return log
    except OSError as exc:
        why = exc.strerror or str(exc)
    raise ConfigError(f"the log {log} cannot be read: {why}", hint="Check the path and its permissions.")


def _look_for_process(target: Target, endpoint: AdminEndpoint | None) -> None:
    """Find the process by who listens at its admin port, or writes its log, so that its bytes can be counted too."""
    found = None
    if endpoint is not None and _is_here(endpoint.host):
        found = processes.listening(endpoint.port)
    elif endpoint is None and target.log is not None:
        found = processes.writing(target.log)
    if found is None:
        target.notes.append("bytes are not counted: the process of this frpc is not found on this machine")
        return
    try:
        processes.require_readable(found)
        target.process = found
    except FRPError as exc:
        target.notes.append(f"bytes are not counted: {exc.what}")


def _is_here(host: str) -> bool:
    """Say whether an address is one of this machine: only then can it be bound."""
    try:
        family, kind, *_, address = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.bind(address)
    except OSError:
        return False
    return True


def _read_config(target: Target, *, is_needed: bool) -> None:
    if target.process is None:
        return
    try:
        target.setup = read_setup(target.process)
    except ConfigError as exc:
        if is_needed:
            raise ConfigError(exc.what, hint="Correct it, or name the admin API or the log too.") from exc
        target.notes.append(f"its configuration is not used: {exc.what.partition(chr(10))[0]}")
    if target.setup is not None and target.setup.faults:
        faults = target.setup.faults
        more = f", and {len(faults) - 1} more" if len(faults) > 1 else ""
        target.notes.append(f"of its configuration not all is understood: {faults[0]}{more}")
    if target.setup is None and is_needed:
        raise ConfigError(
            f"process {target.process.pid} has no configuration file: {' '.join(target.process.arguments)!r:.200}",
            hint="Name its log by --log, so that its tunnels are known.",
        )


def _find_admin(target: Target, endpoint: AdminEndpoint | None) -> None:
    """Find the admin API: the one that was named must answer, that of the configuration may."""
    of_config = _endpoint_of(target.setup.ignored.get("webServer")) if target.setup is not None else None
    if endpoint is not None:
        is_same = of_config is not None and of_config.port == endpoint.port and _is_here(endpoint.host)
        if of_config is not None and is_same and not endpoint.user:  # its password is for nobody else
            endpoint = replace(endpoint, user=of_config.user, password=of_config.password)
        target.admin = AdminClient(endpoint)
        target.statuses = target.admin.status()
        _read_config_by_admin(target)
    elif of_config is not None:
        admin = AdminClient(of_config)
        try:
            target.statuses = admin.status()
        except FRPError as exc:
            target.notes.append(f"its admin API is not asked: {exc.what}")
        else:
            target.admin = admin


def _read_config_by_admin(target: Target) -> None:
    if target.setup is not None or target.admin is None:
        return
    try:
        text = target.admin.config()
        name = "frpc.json" if text.lstrip().startswith("{") else "frpc.toml"
        target.setup = _without_token(parse(text, name))
    except FRPError:  # the status tells where its tunnels lead
        target.notes.append("its configuration cannot be read, so its server is not known")


def _log_of(target: Target) -> Path | None:
    """Give the log that the configuration names, or the file that the output of the process goes to."""
    if target.process is None:
        return None
    log = target.setup.ignored.get("log") if target.setup is not None else None
    to = log.get("to") if isinstance(log, dict) else None
    path = target.process.path(to) if isinstance(to, str) and to != "console" else target.process.output()
    if path is None:
        return None
    try:
        return _existing(path)
    except ConfigError as exc:
        target.notes.append(exc.what)
    return None


def _without_token(setup: Setup) -> Setup:
    """Forget the token, which nobody needs who only watches, and keep it out of log lines."""
    if setup.client.auth_token:
        mask_secret(setup.client.auth_token)
    return replace(setup, client=replace(setup.client, auth_token=None))


def _endpoint(url: str) -> AdminEndpoint:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if parts.scheme != "http" or not parts.hostname or not port or parts.path not in ("", "/"):
        raise ConfigError(
            f"the address of the admin API is not of the form http://[USER:PASSWORD@]HOST:PORT: {_bare(parts.netloc)!r}",
            hint="Name the address and port of webServer in frpc's configuration; TLS is not supported here.",
        )
    password = unquote(parts.password or "")
    if password:
        mask_secret(password)
    return AdminEndpoint(port, unquote(parts.username or ""), password, parts.hostname)


def _bare(netloc: str) -> str:
    return netloc.rpartition("@")[2]


def _endpoint_of(table: Any) -> AdminEndpoint | None:
    """Give the admin API that a configuration sets up; None: none, or one that is reached by TLS only."""
    if not isinstance(table, Mapping) or table.get("tls"):
        return None
    port = str(table.get("port") or "0")
    host = str(table.get("addr") or "127.0.0.1")
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_unspecified:
            host = "127.0.0.1"
    password = str(table.get("password") or "")
    if password:
        mask_secret(password)
    if not port.isdigit() or port == "0":
        return None
    return AdminEndpoint(int(port), str(table.get("user") or ""), password, host)
