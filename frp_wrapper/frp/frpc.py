"""One frpc: its folder, configuration, admin API, output and supervision, behind one object."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from frp_wrapper.config import ClientConfig
from frp_wrapper.errors import FRPError, TimeoutError
from frp_wrapper.frp import workdir
from frp_wrapper.frp.admin import AdminClient, AdminEndpoint, AdminUnavailableError, ProxyStatus
from frp_wrapper.frp.supervisor import Launch, Supervisor
from frp_wrapper.frp.toml import client_tables, render, store_body
from frp_wrapper.monitoring.counters import default_counters
from frp_wrapper.monitoring.parser import StreamParser
from frp_wrapper.pulse import HEARTBEATS

Record = Mapping[str, Any]
Table = Mapping[str, Any]

STORE_SINCE = (0, 68, 0)
"""The first frp whose frpc can gain and lose tunnels by its store API; before, its file is written and reloaded."""
_READY_TIMEOUT = 5.0
"""Seconds that frpc's admin API may take to answer after a start or a login."""
_READY_POLL = 0.1
NOISE = (
    b"] start a new work connection, localAddr: ",
    b"] join connections closed",
)
"""Debug lines that come with every connection and tell nothing that others do not."""
_TAKEN_TIMEOUT = 0.3
_TRIES = 4
"""How long, and how often, frpc is given a tunnel until it says that it has taken it up."""


class FrpcObserver(Protocol):
    """What one frpc tells its owner, on threads of this module; none of these may block."""

    def on_record(self, record: Record) -> None:
        """A parsed line of frpc."""

    def on_started(self, pid: int) -> None:
        """The process runs, for the first time or again."""

    def on_ended(self, last_words: str) -> None:
        """The process ended, with these last lines of output; it is being restarted."""

    def on_repaired(self) -> None:
        """The sidecar was replaced; the relay in it must be set up again, before frpc needs it."""

    def on_heartbeat(self, record: Record) -> None:
        """A line of frpc about a heartbeat that it has sent, or that was answered."""

    def patience(self) -> float | None:
        """Give the seconds to wait for lines before `on_quiet` is called; None: no limit."""

    def on_quiet(self) -> None:
        """There were no lines for so long."""


class Frpc:
    """Runs one frpc and lets tunnels come and go without touching the others.

    Args:
        config: The server, its token and the transport.
        path: The frpc program.
        version: Its version.
        observer: Who is told.
    """

    def __init__(
        self, config: ClientConfig, path: Path, version: tuple[int, int, int], observer: FrpcObserver
    ) -> None:
        self._config = config
        self.version = version
        self._observer = observer
        self._changing = threading.Lock()
        self._proxies: dict[str, Table] = {}
        self._visitors: dict[str, Table] = {}
        self._tail: deque[str] = deque(maxlen=30)
        self._parser = StreamParser("frpc", NOISE)
        self._told = threading.Condition()
        self._taken: set[str] = set()
        self.dropped_bytes = 0
        """Output of frpc that this process was too slow to read."""
        default_counters.watch(
            self,
            "dropped_bytes",
            "frp_wrapper_output_dropped_bytes_total",
            "Bytes of frpc's output that this process was too slow to read.",
            server=config.server,
        )
        self.folder = workdir.create()
        self._config_path = self.folder / "frpc.toml"
        self._choose_admin_port()
        launch = Launch([str(path), "-c", str(self._config_path)], child_environment(), self.folder)
        self._supervisor = Supervisor(config.server, launch, self)

    @property
    def pid(self) -> int | None:
        """The process id of frpc now, None while it is not running."""
        return self._supervisor.pid

    @property
    def sidecar_pid(self) -> int | None:
        """The process id of the sidecar now."""
        return self._supervisor.sidecar_pid

    @property
    def is_ours(self) -> bool:
        """False in a child process that was forked from the owner."""
        return self._supervisor.is_ours

    @property
    def uses_store(self) -> bool:
        """Whether tunnels are added by the store API rather than by a reload."""
        return self.version >= STORE_SINCE

    @property
    def admin_port(self) -> int:
        """The loopback port of frpc's admin API; no tunnel may lead there."""
        return self._endpoint.port

    def start(self) -> None:
        """Start frpc and what watches it.

        Raises:
            FRPError: No process can be started, or the folder cannot be written.
        """
        self._write_config()
        self._supervisor.start()

    def stop(self) -> None:
        """End frpc, the sidecar and their threads, and remove the folder; bounded, and harmless in a forked child."""
        self._supervisor.stop()

    def request(self, op: str, **fields: Any) -> Mapping[str, Any]:
        """Ask the sidecar; see `Supervisor.request`."""
        return self._supervisor.request(op, **fields)

    def status(self) -> dict[str, ProxyStatus]:
        """Give the state of every proxy; raises as `AdminClient.status` does."""
        return self._admin.status()

    def set_proxy(self, table: Table) -> None:
        """Add a proxy, or replace the one of the same name.

        Raises:
            ConfigError: frpc refuses it.
            TimeoutError: frpc's admin API does not answer.
        """
        self._set("proxies", self._proxies, table)

    def set_visitor(self, table: Table) -> None:
        """Add a visitor, or replace the one of the same name; raises as `set_proxy` does."""
        self._set("visitors", self._visitors, table)

    def remove(self, name: str) -> None:
        """Remove a proxy or visitor; what is not there, or cannot be reached, is gone with the next start."""
        with self._changing:
            kind, tables = (
                ("proxies", self._proxies) if name in self._proxies else ("visitors", self._visitors)
            )
            if tables.pop(name, None) is None:
                return
            if not self.uses_store:
                self._reload()
                return
            self._patiently(lambda: self._admin.store_delete(kind, name))

    def last_words(self) -> str:
        """Give the last lines that frpc printed."""
        return "\n".join(self._tail)

    def _set(self, kind: str, tables: dict[str, Table], table: Table) -> None:
        name = table["name"]
        with self._changing:
            before = tables.get(name)
            tables[name] = table
            self._taken.discard(name)
            try:
                self._apply(kind, table, replace=before is not None)
                for _ in range(_TRIES - 1):
                    if before == table or self._is_taken(name):
                        break
                    self._apply(kind, table, replace=True)
            except FRPError:
                if before is None:
                    del tables[name]
                else:
                    tables[name] = before
                self._write_config()
                raise

    def _apply(self, kind: str, table: Table, *, replace: bool) -> None:
        if self.uses_store:
            body = store_body(table)
            self._patiently(lambda: self._admin.store_put(kind, body, replace=replace))
        else:
            self._reload()

    def _is_taken(self, name: str) -> bool:
        """Wait a moment for frpc to say that it has taken a tunnel up.

        A change that meets frpc between its login and the start of its control is stored, but not carried out.
        """
        with self._told:
            return self._told.wait_for(lambda: name in self._taken, _TAKEN_TIMEOUT)

    def _reload(self) -> None:
        self._write_config()
        self._patiently(self._admin.reload)

    def _patiently(self, call: Callable[[], None]) -> None:
        """Call the admin API, again while frpc is starting."""
        deadline = time.monotonic() + _READY_TIMEOUT
        while True:
            try:
                call()
            except AdminUnavailableError as exc:
                if time.monotonic() > deadline:
                    raise TimeoutError(
                        f"frpc's admin API did not answer within {_READY_TIMEOUT:g} s: {exc.what}",
                        hint="frpc may be restarting; look at its log lines and try again.",
                    ) from exc
                time.sleep(_READY_POLL)
            else:
                return

    def _choose_admin_port(self) -> None:
        self._endpoint = AdminEndpoint(free_port(), secrets.token_hex(8), secrets.token_urlsafe(24))
        self._admin = AdminClient(self._endpoint)

    def _write_config(self) -> None:
        tables = client_tables(
            self._config,
            admin=self._endpoint,
            store_path=str(self.folder / "store.json") if self.uses_store else None,
            version=self.version,
        )
        if not self.uses_store:
            tables["proxies"] = list(self._proxies.values())
            tables["visitors"] = list(self._visitors.values())
        workdir.write_private(self._config_path, render(tables))

    # Told by the supervisor, on its thread

    def on_output(self, chunk: bytes) -> None:
        """Parse what frpc printed and pass it on."""
        for record in self._parser.feed(chunk):
            if record["message"] in HEARTBEATS:  # each second; nobody wants to read them
                self._observer.on_heartbeat(record)
            elif record["type"] != "admin_access":  # our own polls
                self._tail.append(record["message"])
                self._note_taken(record)
                self._observer.on_record(record)

    def _note_taken(self, record: Record) -> None:
        if record["type"] in ("tunnels_added", "visitors_added"):
            prefix = f"{self._config.user}." if self._config.user else ""
            with self._told:
                self._taken |= {name.removeprefix(prefix) for name in record["names"].strip("[]").split()}
                self._told.notify_all()

    def on_started(self, pid: int) -> None:
        """Pass on."""
        self._observer.on_started(pid)

    def on_ended(self, code: int | None, retry_in: float | None) -> None:
        """Pass on the end of the process; its admin port may have been taken while it was down."""
        for record in self._parser.flush():
            self._tail.append(record["message"])
            self._observer.on_record(record)
        words = self.last_words()
        if "address already in use" in words and str(self._endpoint.port) in words:
            self._choose_admin_port()
            self._write_config()
        self._observer.on_ended(words)

    def on_failed(self, error: str) -> None:
        """Pass on that the program cannot be executed."""
        self._observer.on_ended(error)

    def on_dropped(self, size: int) -> None:
        """Count output that this process was too slow to read."""
        self.dropped_bytes += size

    def on_repaired(self) -> None:
        """Pass on."""
        self._observer.on_repaired()

    def patience(self) -> float | None:
        """Pass on."""
        return self._observer.patience()

    def on_quiet(self) -> None:
        """Pass on."""
        self._observer.on_quiet()


def child_environment() -> dict[str, str]:
    """Give the environment for an frp program: clean times, and no proxy that frpc would take up by itself."""
    unwanted = {"http_proxy", "HTTP_PROXY"}  # frpc takes it as the default of transport.proxyURL
    return {name: value for name, value in os.environ.items() if name not in unwanted} | {"TZ": "UTC"}


def free_port(host: str = "127.0.0.1") -> int:
    """Give a port that is free now; the kernel does not give it to somebody else for a while."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port
