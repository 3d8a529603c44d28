"""A supervised frps, for trying things out, for tests, and for hosting one's own."""

from __future__ import annotations

import ipaddress
import secrets
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, Unpack
from urllib.parse import quote

from frp_wrapper.checks import check
from frp_wrapper.config import ServerConfig, ServerOptions
from frp_wrapper.errors import ConfigError, ProcessError, TimeoutError
from frp_wrapper.frp import workdir
from frp_wrapper.frp.binary import find
from frp_wrapper.frp.frpc import child_environment, free_port
from frp_wrapper.frp.server_toml import server_tables
from frp_wrapper.frp.supervisor import Launch, Supervisor
from frp_wrapper.frp.toml import render
from frp_wrapper.monitoring.parser import StreamParser
from frp_wrapper.reasons import explain

__all__ = ["FRPServer"]

_PORT_FIELDS = (
    "bind_port",
    "vhost_http_port",
    "vhost_https_port",
    "tcpmux_httpconnect_port",
    "dashboard_port",
)
_ATTEMPTS = 5
"""Tries to start on ports that were free a moment ago."""


class FRPServer:
    """Runs one frps until `stop`; if it dies it is started again, on the same ports.

    Args:
        bind_port: Where clients connect; 0: a free port.
        vhost_http_port: Where http tunnels are reachable; 0: a free port, None: no http tunnels.
        auth_token: What clients must present; None: a random one, ``""``: none, which is allowed on loopback only.
        bind_host: Where frps and its tunnels listen. Anything but loopback needs a token.
        frps_path: The frps program; None: the one of `frp_wrapper.frp.binary.find`, installed if need be.
        frp_version: The version of frp to use; None: whatever `find` gives.
        options: The other options of frps, see `ServerOptions`. A ``dashboard_port`` gets random credentials.

    Raises:
        ConfigError: Arguments are not valid; all faults are listed.
    """

    def __init__(
        self,
        bind_port: int = 0,
        vhost_http_port: int | None = None,
        auth_token: str | None = None,
        *,
        bind_host: str = "127.0.0.1",
        frps_path: str | Path | None = None,
        frp_version: str | None = None,
        **options: Unpack[ServerOptions],
    ) -> None:
        if auth_token is None:
            auth_token = secrets.token_urlsafe(24)
        if options.get("dashboard_port") is not None:
            options.setdefault("dashboard_user", "admin-" + secrets.token_hex(4))
            options.setdefault("dashboard_password", secrets.token_urlsafe(24))
        self._wanted = ServerConfig(
            bind_port=bind_port,
            vhost_http_port=vhost_http_port,
            auth_token=auth_token,
            bind_host=bind_host,
            **options,
        )
        check(self._wanted)
        _refuse_open_server(self._wanted)
        self.config = self._wanted
        self._frps_path = frps_path
        self._frp_version = frp_version
        self._lock = threading.RLock()
        self._changed = threading.Condition()
        self._supervisor: Supervisor | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return (
            f"<FRPServer {self.config.bind_host}:{self.bind_port} {'running' if self.pid else 'not running'}>"
        )

    @property
    def bind_port(self) -> int:
        """Where clients connect; 0 before `start` when a free port was asked for."""
        return self.config.bind_port

    @property
    def vhost_http_port(self) -> int | None:
        """Where http tunnels are reachable; None: nowhere."""
        return self.config.vhost_http_port

    @property
    def vhost_https_port(self) -> int | None:
        """Where https tunnels are reachable; None: nowhere."""
        return self.config.vhost_https_port

    @property
    def dashboard_url(self) -> str | None:
        """The dashboard of frps with user and password, as ``FRPClient(server_dashboard=...)`` takes it; None: it has none."""
        config = self.config
        if config.dashboard_port is None:
            return None
        user, password = quote(config.dashboard_user, safe=""), quote(config.dashboard_password, safe="")
        return f"http://{user}:{password}@127.0.0.1:{config.dashboard_port}"

    @property
    def auth_token(self) -> str:
        """What clients must present; empty: nothing."""
        return self.config.auth_token

    @property
    def pid(self) -> int | None:
        """The process id of frps now, None while it is not running."""
        supervisor = self._supervisor
        return supervisor.pid if supervisor else None

    @property
    def sidecar_pid(self) -> int | None:
        """The process id of what keeps frps running."""
        supervisor = self._supervisor
        return supervisor.sidecar_pid if supervisor else None

    def start(self, timeout: float = 10.0) -> None:
        """Start frps and wait until it listens; does nothing when it runs.

        Raises:
            BinaryNotFoundError: There is no frps, and none could be installed.
            ProcessError: frps does not start, for the reason it gave.
            TimeoutError: It says nothing for ``timeout`` seconds.
        """
        with self._lock:
            if self._supervisor is not None:
                return
            path = find("frps", path=self._frps_path, version=self._frp_version)
            for attempts_left in reversed(range(_ATTEMPTS)):
                self._launch(path)
                try:
                    self._await_start(timeout)
                except ProcessError as exc:
                    self.stop()
                    if exc.reason != "port_in_use" or not attempts_left or not self._has_free_choice():
                        raise
                except BaseException:  # also Ctrl-C: nothing may stay behind
                    self.stop()
                    raise
                else:
                    return

    def stop(self) -> None:
        """End frps, in bounded time; a second call does nothing."""
        with self._lock:
            supervisor = self._supervisor
            if supervisor is None or not supervisor.is_ours:
                return
            self._supervisor = None
            supervisor.stop()

    def _has_free_choice(self) -> bool:
        return any(getattr(self._wanted, field) == 0 for field in _PORT_FIELDS)

    def _launch(self, path: Path) -> None:
        host = self._wanted.bind_host
        chosen: dict[str, Any] = {
            field: free_port(host) for field in _PORT_FIELDS if getattr(self._wanted, field) == 0
        }
        self.config = replace(self._wanted, **chosen)
        self._parser = StreamParser("frps")
        self._tail: deque[str] = deque(maxlen=30)
        self._started = False
        self._ended: str | None = None
        self._folder = workdir.create()
        config_path = self._folder / "frps.toml"
        workdir.write_private(config_path, render(server_tables(self.config)))
        launch = Launch([str(path), "-c", str(config_path)], child_environment(), self._folder)
        supervisor = Supervisor(f"frps-{self.bind_port}", launch, self)
        try:
            supervisor.start()
        except BaseException:
            workdir.remove(self._folder)
            raise
        self._supervisor = supervisor

    def _await_start(self, timeout: float) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._started or self._ended is not None, timeout)
        if self._started:
            return
        if self._ended is None:
            raise TimeoutError(
                f"frps did not say within {timeout:g} s that it listens", hint="Look at its load."
            )
        words = self._ended or "(it said nothing)"
        reason = explain(words)
        code = "port_in_use" if "address already in use" in words else reason.code
        raise ProcessError(f"frps does not start: {words}", reason=code, hint=reason.hint)

    # Told by the supervisor, on its thread

    def on_output(self, chunk: bytes) -> None:
        """Watch for the line that says that frps listens."""
        for record in self._parser.feed(chunk):
            self._tail.append(record["message"])
            if record["type"] == "server_started":
                with self._changed:
                    self._started = True
                    self._changed.notify_all()

    def on_started(self, pid: int) -> None:
        """Nothing to do: its lines tell when it listens."""

    def on_ended(self, code: int | None, retry_in: float | None) -> None:
        """Note the end of the process; the sidecar starts it again."""
        self._tail.extend(record["message"] for record in self._parser.flush())
        with self._changed:
            self._ended = "\n".join(self._tail)
            self._changed.notify_all()

    def on_failed(self, error: str) -> None:
        """Note that the program cannot be executed."""
        with self._changed:
            self._ended = error
            self._changed.notify_all()

    def on_dropped(self, size: int) -> None:
        """Nothing is read from frps beyond its start."""

    def on_repaired(self) -> None:
        """Nothing of ours lives in the sidecar."""

    def patience(self) -> float | None:
        """Nothing is awaited from frps."""
        return None

    def on_quiet(self) -> None:
        """Never called."""


def _refuse_open_server(config: ServerConfig) -> None:
    if config.auth_token or _is_loopback(config.bind_host):
        return
    raise ConfigError(
        f"an frps on {config.bind_host} without a token lets anybody open ports on this machine",
        reason="open_server",
        hint="Give auth_token, or leave it None for a random one.",
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
