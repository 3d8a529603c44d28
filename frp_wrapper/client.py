"""The client: one frpc, and the tunnels in it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from frp_wrapper._expose import ANSWER_TIMEOUT, Exposing
from frp_wrapper.checks import check
from frp_wrapper.client_run import ClientRun
from frp_wrapper.config import ClientConfig, ClientOptions, TunnelConfig, VisitorConfig
from frp_wrapper.errors import FRPError, ProcessError
from frp_wrapper.files import Setup, load
from frp_wrapper.frp.binary import find
from frp_wrapper.frp.server_api import ServerApi
from frp_wrapper.metering.usage import UsageBook
from frp_wrapper.monitoring.events import EventEmitter, EventType
from frp_wrapper.monitoring.log_mask import mask_secret
from frp_wrapper.monitoring.log_ring import LogRing
from frp_wrapper.monitoring.registry import default_registry
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus, Visitor
from frp_wrapper.waiting import wait_for

if TYPE_CHECKING:
    from frp_wrapper.metering.probe import ProbeResult
    from frp_wrapper.metering.server_counters import ServerCounters

__all__ = ["FRPClient"]


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
        if self.config.auth_token:
            mask_secret(self.config.auth_token)
        self._frpc_path = frpc_path
        self._frp_version = frp_version
        self.events = EventEmitter()
        """Handlers for what happens; they run on a thread of this client."""
        self.log_lines = LogRing(prefix=f"{self.config.user}." if self.config.user else "")
        """The last lines of frpc, also after `close`."""
        file = Path(self.config.usage_file).expanduser() if self.config.usage_file else None
        self._usage = UsageBook(f"{self.config.server}:{self.config.port}", file)
        url = self.config.server_dashboard
        self.server_api = ServerApi(url, ca_file=self.config.tls.trusted_ca_file) if url is not None else None
        """The API of frps's dashboard; None: no ``server_dashboard`` was given."""
        self._lock = threading.RLock()
        self._run: ClientRun | None = None
        self._setup: Setup | None = None

    @classmethod
    def from_file(
        cls,
        path: str | Path,
        *,
        auth_token: str | None = None,
        server_dashboard: str | None = None,
        frpc_path: str | Path | None = None,
        frp_version: str | None = None,
        usage_file: str | Path | None = None,
    ) -> Self:
        """Make a client from a file; its tunnels and visitors are opened by `connect`.

        A tunnel of the file that the server refuses stays in `list_tunnels` with its error, and is tried again.

        Args:
            path: A ``tunnels.toml``, or an ``frpc.toml``, ``frpc.json`` or ``frpc.ini`` of frp.
            auth_token: Instead of the file's.
            server_dashboard: Instead of the file's.
            frpc_path: As for the class.
            frp_version: As for the class.
            usage_file: Where days are kept if the file does not say.

        Raises:
            ConfigError: It cannot be read, or has faults; all are listed.
        """
        setup = load(path)
        config = setup.client
        if auth_token is not None:
            config = replace(config, auth_token=auth_token)
        if server_dashboard is not None:
            config = replace(config, server_dashboard=server_dashboard)
        if config.usage_file is None and usage_file is not None:
            config = replace(config, usage_file=str(usage_file))
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
        run = self._run
        return run.frpc.pid if run else None

    @property
    def frp_version(self) -> str | None:
        """The version of the frpc that runs, such as ``0.71.0``; None while not connected."""
        run = self._run
        return ".".join(str(part) for part in run.frpc.version) if run else None

    @property
    def sidecar_pid(self) -> int | None:
        """The process id of what keeps frpc running, None while not connected."""
        run = self._run
        return run.frpc.sidecar_pid if run else None

    @property
    def login_error(self) -> FRPError | None:
        """Why frpc is not logged in: the last try failed, or the server has fallen silent; None while it is."""
        run = self._run
        return run.session.login_error if run else None

    @property
    def server_latency(self) -> float | None:
        """Seconds of a round trip to the server, from frpc's heartbeats, smoothed; None: not measured (yet)."""
        run = self._run
        return run.pulse.latency if run else None

    @property
    def server_counters_error(self) -> FRPError | None:
        """Why frps did not tell its counters when it was last asked; None: it did, or nobody has asked."""
        run = self._run
        return run.server_counting.error if run and run.server_counting else None

    @property
    def dropped_events(self) -> int:
        """Events since `connect` that no handler has seen, because handlers were so slow that 10,000 waited."""
        run = self._run
        return run.dropped_events if run else 0

    @property
    def dropped_output(self) -> int:
        """Bytes of frpc's output since `connect` that were dropped, because this process was too slow to read them."""
        run = self._run
        return run.frpc.dropped_bytes if run else 0

    @property
    def state_version(self) -> object:
        """Compares unequal to an earlier one when a tunnel or the connection has changed its state since."""
        run = self._run
        return (id(run), run.changes) if run else None

    def is_connected(self) -> bool:
        """Say whether frpc is logged in at the server, now."""
        run = self._run
        return run is not None and run.session.connected

    def get_uptime(self) -> float:
        """Give the seconds since the last login; 0.0 while not logged in."""
        run = self._run
        return run.session.uptime if run else 0.0

    def list_tunnels(self) -> list[Tunnel]:
        """Give the tunnels that are not closed, oldest first."""
        run = self._run
        return run.session.endpoints(Tunnel) if run else []

    def list_visitors(self) -> list[Visitor]:
        """Give the visitors that are not closed, oldest first."""
        run = self._run
        return run.session.endpoints(Visitor) if run else []

    def connect(self, timeout: float | None = 15.0, *, retry: bool = False) -> None:
        """Start frpc and log in; does nothing when that has been done.

        Args:
            timeout: Seconds for the login, None: no limit. Installing frp, where it is not there yet, is not counted.
            retry: Keep trying until the timeout when the server cannot be reached (yet), instead of failing at once.

        Raises:
            BinaryNotFoundError: There is no frpc, and none could be installed.
            AuthenticationError: The server refuses the token.
            ConnectionFailedError: The server cannot be reached, or refuses the client.
            ProcessError: frpc does not stay up, or another thread closed the client meanwhile.
            TimeoutError: No answer in time.
        """
        with self._lock:
            if self._run is not None:
                return
            path = find("frpc", path=self._frpc_path, version=self._frp_version)
            run = ClientRun(
                self.config, path, self.events, self.log_lines, usage=self._usage, server_api=self.server_api
            )
            run.start()
            self._run = run
            try:
                run.await_login(timeout, retry=retry)
                default_registry.add(self)
                self._open_setup()
            except BaseException:  # also Ctrl-C: nothing may stay behind
                self.close()
                raise

    def close(self) -> None:
        """Close all tunnels and end frpc, in bounded time; a second call does nothing."""
        waiting = self._run
        if waiting is None or not waiting.frpc.is_ours:
            return
        waiting.cancel()  # a connect in another thread holds the lock while it waits
        default_registry.remove(self)
        with self._lock:
            run, self._run = self._run, None
            if run is not None:
                run.stop()

    def expose(self, config: TunnelConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Tunnel:
        """Open a tunnel from a complete configuration; see `Exposing` for what is raised."""
        check(config)
        tunnel, open_it = self._running().add_tunnel(config, self)
        self._open(tunnel, open_it, timeout if wait else None)
        return tunnel

    def visit(self, config: VisitorConfig, *, timeout: float = ANSWER_TIMEOUT, wait: bool = True) -> Visitor:
        """Open the local end of somebody's secret tunnel; see `Exposing` for what is raised."""
        check(config)
        visitor, open_it = self._running().add_visitor(config, self)
        self._open(visitor, open_it, timeout if wait else None)
        return visitor

    def wait_for(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
        """Wait until a tunnel or visitor has a status; use `Tunnel.wait`."""
        run = self._run
        wait_for(run.session if run else None, endpoint, status, timeout)

    def probe(self, tunnel: Tunnel, timeout: float) -> ProbeResult:
        """Visit a tunnel through its public address; use `Tunnel.probe`."""
        from frp_wrapper.metering.probe import probe  # noqa: PLC0415 - ssl, which most programs do not need

        return probe(tunnel, timeout)

    def server_counters(self, tunnel: Tunnel, timeout: float) -> ServerCounters | None:
        """Give what frps has counted of a tunnel; use `Tunnel.server_counters`."""
        run = self._run
        counting = run.server_counting if run else None
        return counting.counters(tunnel.config, timeout) if counting else None

    def notify(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Queue an event for the handlers in `events`; for monitors."""
        run = self._run
        if run is not None:
            run.notify(event_type, data)

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Take a tunnel or visitor down; use `Tunnel.close`."""
        run = self._run
        if run is not None and run.frpc.is_ours and endpoint.status is not TunnelStatus.CLOSED:
            run.remove(endpoint)

    def restart(self, tunnel: Tunnel) -> None:
        """Take a tunnel down and open it again, and do not wait for the server's answer.

        It stays the same object with the same numbers; where frps chose the port, the port may be another one.

        Raises:
            ProcessError: The client is not connected.
            TunnelError: The tunnel is closed.
            TimeoutError: frpc does not answer; the tunnel has this as its `Tunnel.error`.
        """
        self._running().restart(tunnel)

    def _running(self) -> ClientRun:
        run = self._run
        if run is None:
            raise ProcessError(
                "the client is not connected", reason="not_connected", hint="Call connect(), or use `with`."
            )
        if not run.frpc.is_ours:
            raise ProcessError(
                "this client belongs to the process that this one was forked from",
                reason="forked",
                hint="Make a client of your own in the child process.",
            )
        return run

    def _open_setup(self) -> None:
        if self._setup is not None:
            for tunnel in self._setup.tunnels:
                self.expose(tunnel, wait=False)
            for visitor in self._setup.visitors:
                self.visit(visitor, wait=False)

    def _open(self, endpoint: Endpoint, open_it: Callable[[], None], timeout: float | None) -> None:
        try:
            open_it()
            if timeout is not None:
                endpoint.wait(TunnelStatus.ONLINE, timeout)
        except BaseException:  # also Ctrl-C: a tunnel that its user does not hold must not stay
            self.close_endpoint(endpoint)
            raise
