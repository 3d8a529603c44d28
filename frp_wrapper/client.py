"""The client: one frpc, and the tunnels in it."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self, Unpack

from frp_wrapper._expose import ANSWER_TIMEOUT, Exposing
from frp_wrapper.checks import check
from frp_wrapper.config import ClientConfig, ClientOptions, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError, FRPError, ProcessError, TimeoutError, TunnelError
from frp_wrapper.files import Setup, load
from frp_wrapper.frp.binary import binary_version, find
from frp_wrapper.frp.frpc import Frpc, Record
from frp_wrapper.frp.toml import proxy_table, visitor_table
from frp_wrapper.metering.tunnel_meters import Metering
from frp_wrapper.monitoring.events import EventDispatcher, EventEmitter
from frp_wrapper.session import TRANSIENT, Session
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus, Visitor

__all__ = ["FRPClient"]

_STATUS_INTERVAL = 15.0
"""Seconds between looks at frpc's status when nothing hints at a change: each look costs two lines of its log."""
_STATUS_RETRY = 0.5
"""Seconds to the next look while something is known to be unsettled."""
_CRASHES = 3
"""Ends of frpc without a login in between after which `connect` gives up."""


class FRPClient(Exposing):
    """Connects to an frps and opens tunnels; one frpc process, kept running until `close`.

    Args:
        server: Host name or address of frps, or a complete `ClientConfig`.
        port: Port of frps.
        auth_token: The token that frps asks for; None: none.
        frpc_path: The frpc program; None: the one of `frp_wrapper.frp.binary.find`, installed if need be.
        frp_version: The version of frp to use, such as ``0.65.0``; None: whatever `find` gives.
        options: The other options of frpc, see `ClientOptions`.

    Raises:
        ConfigError: Arguments are not valid; all faults are listed.
    """

    def __init__(
        self,
        server: str | ClientConfig,
        port: int = 7000,
        auth_token: str | None = None,
        *,
        frpc_path: str | Path | None = None,
        frp_version: str | None = None,
        **options: Unpack[ClientOptions],
    ) -> None:
        if isinstance(server, ClientConfig):
            self.config = server
        else:
            self.config = ClientConfig(server=server, port=port, auth_token=auth_token, **options)
        check(self.config)
        self._frpc_path = frpc_path
        self._frp_version = frp_version
        self.events = EventEmitter()
        """Handlers for what happens; they run on a thread of this client."""
        self._lock = threading.RLock()
        self._naming = threading.Lock()
        self._frpc: Frpc | None = None
        self._crashes = 0
        self._setup: Setup | None = None
        self._new_session()

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        auth_token: str | None = None,
        frpc_path: str | Path | None = None,
        frp_version: str | None = None,
    ) -> Self:
        """Make a client from a file; its tunnels and visitors are opened by `connect`.

        A tunnel of the file that the server refuses stays in `list_tunnels` with its error, and is tried again.

        Args:
            path: A ``tunnels.toml``, or an ``frpc.toml``, ``frpc.json`` or ``frpc.ini`` of frp.
            auth_token: Instead of the file's.
            frpc_path: As for the class.
            frp_version: As for the class.

        Raises:
            ConfigError: It cannot be read, or has faults; all are listed.
        """
        setup = load(path)
        config = replace(setup.client, auth_token=auth_token) if auth_token is not None else setup.client
        client = cls(config, frpc_path=frpc_path, frp_version=frp_version)
        client._setup = setup
        return client

    def __repr__(self) -> str:
        state = "connected" if self.is_connected() else "not connected"
        return f"<FRPClient {self.config.server}:{self.config.port} {state}>"

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def server(self) -> str:
        """The server's host, as it was given."""
        return self.config.server

    @property
    def pid(self) -> int | None:
        """The process id of frpc now, None while it is not running."""
        frpc = self._frpc
        return frpc.pid if frpc else None

    @property
    def login_error(self) -> FRPError | None:
        """Why the last try to log in failed; None since it worked."""
        return self._session.login_error

    def is_connected(self) -> bool:
        """Say whether frpc is logged in at the server, now."""
        return self._session.connected

    def get_uptime(self) -> float:
        """Give the seconds since the last login; 0.0 while not logged in."""
        return self._session.uptime

    def list_tunnels(self) -> list[Tunnel]:
        """Give the tunnels that are not closed, oldest first."""
        return self._session.endpoints(Tunnel)

    def list_visitors(self) -> list[Visitor]:
        """Give the visitors that are not closed, oldest first."""
        return self._session.endpoints(Visitor)

    def connect(self, timeout: float | None = 15.0, *, retry: bool = False) -> None:
        """Start frpc and log in; does nothing when that has been done.

        Args:
            timeout: Seconds for the login, None: no limit. Installing frp, where it is not there yet, is not counted.
            retry: Keep trying until the timeout when the server cannot be reached (yet), instead of failing at once.

        Raises:
            BinaryNotFoundError: There is no frpc, and none could be installed.
            AuthenticationError: The server refuses the token.
            ConnectionFailedError: The server cannot be reached, or refuses the client.
            ProcessError: frpc does not stay up.
            TimeoutError: No answer in time.
        """
        with self._lock:
            if self._frpc is not None:
                return
            path = find("frpc", path=self._frpc_path, version=self._frp_version)
            self._start(path)
            try:
                self._await_login(timeout, retry=retry)
                self._open_setup()
            except BaseException:  # also Ctrl-C: nothing may stay behind
                self.close()
                raise

    def close(self) -> None:
        """Close all tunnels and end frpc, in bounded time; a second call does nothing."""
        with self._lock:
            frpc = self._frpc
            if frpc is None or not frpc.is_ours:
                return
            self._frpc = None
            self._closing.set()
            self._status_wanted.set()
            self._session.end()
            frpc.stop()
            for endpoint in self._session.endpoints(Endpoint):
                self._discard(endpoint)
            self._metering.close()
            self._status_thread.join(2.0)
            self._dispatcher.close()

    def expose(self, config: TunnelConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Tunnel:
        """Open a tunnel from a complete configuration; see `Exposing` for what is raised."""
        check(config)
        frpc = self._running()
        if config.local_port == frpc.admin_port:
            raise ConfigError(
                f"local_port {config.local_port} is the admin port of this client's own frpc; exposing it would give it away",
                reason="own_admin_port",
                hint="Expose the port of your service.",
            )
        with self._naming:
            self._session.require_free(config.name)
            tunnel = Tunnel(config, self, self._metering.meter(config))
            self._session.add(tunnel)
        self._apply(tunnel, lambda: frpc.set_proxy(self._proxy_table(config)), timeout if wait else None)
        return tunnel

    def visit(self, config: VisitorConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Visitor:
        """Open the local end of somebody's secret tunnel; see `Exposing` for what is raised."""
        check(config)
        frpc = self._running()
        visitor = Visitor(config, self)
        self._session.add(visitor)
        self._apply(visitor, lambda: frpc.set_visitor(visitor_table(config)), timeout if wait else None)
        return visitor

    def wait_for(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
        """Wait until a tunnel or visitor has a status; use `Tunnel.wait`."""
        final = {TunnelStatus.CLOSED} | ({TunnelStatus.ERROR} if status is TunnelStatus.ONLINE else set())
        self._session.wait_until(lambda: endpoint.status is status or endpoint.status in final, timeout)
        if endpoint.status is status:
            return
        if endpoint.error is not None:
            raise endpoint.error
        if endpoint.status is TunnelStatus.CLOSED:
            raise TunnelError(f"{endpoint.id!r} is closed and cannot become {status.value}", reason="closed")
        raise self._too_slow(endpoint, status, timeout)

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Take a tunnel or visitor down; use `Tunnel.close`."""
        frpc = self._frpc
        if frpc is None or not frpc.is_ours or endpoint.status is TunnelStatus.CLOSED:
            return
        with contextlib.suppress(TimeoutError):  # frpc is down: what was removed does not come back with it
            frpc.remove(endpoint.id)
        self._discard(endpoint)

    # Starting

    def _new_session(self) -> None:
        self._dispatcher = EventDispatcher(self.events, self.config.server)
        self._session = Session(self.config.server, self.config.user, self._dispatcher.post, _listens)
        self._closing = threading.Event()
        self._relay_lost = False
        self._status_wanted = threading.Event()

    def _start(self, path: Path) -> None:
        self._new_session()
        self._crashes = 0
        version = tuple(int(part) for part in binary_version(path).split(".")[:3])
        frpc = Frpc(self.config, path, (version[0], version[1], version[2]), self)
        self._metering = Metering(self.config, frpc)
        self._status_thread = threading.Thread(
            target=self._watch_status, name=f"frp-wrapper-status-{self.config.server}", daemon=True
        )
        try:
            frpc.start()
        except BaseException:
            frpc.stop()
            raise
        self._frpc = frpc
        self._dispatcher.start()
        self._status_thread.start()

    def _await_login(self, timeout: float | None, *, retry: bool) -> None:
        session = self._session

        def settled() -> bool:
            error = session.login_error
            fatal = error is not None and not (retry and error.reason in TRANSIENT)
            return session.connected or fatal or self._crashes >= _CRASHES

        session.wait_until(settled, timeout)
        if session.connected:
            return
        if session.login_error is not None:
            raise session.login_error
        words = self._running().last_words()
        if self._crashes:
            raise ProcessError(
                f"frpc does not stay up; its last words: {words or '(none)'}",
                reason="frpc_ended",
                hint="Correct what it complains about.",
            )
        raise TimeoutError(
            f"no answer from frps at {self.server}:{self.config.port} within {timeout:g} s",
            reason="server_timeout",
            hint="Check host and port, and that no firewall drops the packets.",
        )

    def _running(self) -> Frpc:
        frpc = self._frpc
        if frpc is None:
            raise ProcessError(
                "the client is not connected", reason="not_connected", hint="Call connect(), or use `with`."
            )
        if not frpc.is_ours:
            raise ProcessError(
                "this client belongs to the process that this one was forked from",
                reason="forked",
                hint="Make a client of your own in the child process.",
            )
        return frpc

    # Tunnels

    def _open_setup(self) -> None:
        if self._setup is not None:
            for tunnel in self._setup.tunnels:
                self.expose(tunnel, wait=False)
            for visitor in self._setup.visitors:
                self.visit(visitor, wait=False)

    def _proxy_table(self, config: TunnelConfig) -> dict[str, object]:
        frpc = self._running()
        return proxy_table(config, version=frpc.version, local=self._metering.relay_address(config))

    def _apply(self, endpoint: Endpoint, change: Callable[[], None], timeout: float | None) -> None:
        try:
            change()
            self._status_wanted.set()
            if timeout is not None:
                endpoint.wait(TunnelStatus.ONLINE, timeout)
        except BaseException:  # also Ctrl-C: a tunnel that its user does not hold must not stay
            self.close_endpoint(endpoint)
            raise

    def _too_slow(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> FRPError:
        why = "" if self.is_connected() else "; the client is not connected to the server now"
        last = self._session.login_error
        return TimeoutError(
            f"{endpoint.id!r} is {endpoint.status.value} and did not become {status.value} within {timeout:g} s{why}",
            hint=last.hint if last else "Wait longer, or look at the server.",
        )

    def _discard(self, endpoint: Endpoint) -> None:
        if self._session.remove(endpoint) and isinstance(endpoint, Tunnel):
            self._metering.discard(endpoint.config)

    # Told by frpc, on the supervisor's thread

    def on_record(self, record: Record) -> None:
        """Take in a line of frpc."""
        self._session.apply(record)
        self._metering.on_record(record)
        if record["type"] in ("tunnel_connected", "client_connected", "tunnel_error"):
            self._status_wanted.set()

    def on_started(self, pid: int) -> None:
        """Nothing to do: the login tells."""

    def on_ended(self, last_words: str) -> None:
        """Note that frpc is away; the sidecar starts it again."""
        if not self._closing.is_set():
            self._session.log_out("frpc_ended")
            with self._session.changed:
                self._crashes = 0 if self._session.logins else self._crashes + 1
                self._session.changed.notify_all()

    def on_repaired(self) -> None:
        """Have the status thread set up again what lived in the sidecar: this one reads the sidecar's answers."""
        self._relay_lost = True
        self._status_wanted.set()

    # The slow truth

    def _watch_status(self) -> None:
        wait = _STATUS_INTERVAL
        while not self._closing.is_set():
            self._status_wanted.wait(wait)
            self._status_wanted.clear()
            frpc = self._frpc
            if self._closing.is_set() or frpc is None:
                return
            if self._relay_lost:
                self._relay_lost = False
                self._metering.reopen()
            try:
                self._session.apply_status(frpc.status())
            except FRPError:  # frpc is starting or away; its lines say so
                wait = _STATUS_RETRY
                continue
            wait = _STATUS_RETRY if self._unsettled() else _STATUS_INTERVAL

    def _unsettled(self) -> bool:
        return self.is_connected() and any(
            tunnel.status is TunnelStatus.STARTING for tunnel in self.list_tunnels()
        )


def _listens(visitor: Visitor) -> bool:
    """Say whether somebody listens at a visitor's port: then it cannot be bound once more."""
    config = visitor.config
    if config.bind_port == -1:  # reachable from inside frpc only
        return True
    kind = socket.SOCK_DGRAM if config.visitor_type == "sudp" else socket.SOCK_STREAM
    family = socket.AF_INET6 if ":" in config.bind_host else socket.AF_INET
    with socket.socket(family, kind) as probe:
        try:
            probe.bind((config.bind_host, config.bind_port))
        except OSError as exc:
            return exc.errno == errno.EADDRINUSE
    return False
