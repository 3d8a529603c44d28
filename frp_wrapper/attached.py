"""An frpc that somebody else runs, with the same face as a client as far as watching it goes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from frp_wrapper.attached_run import AttachedRun
from frp_wrapper.attached_target import UNKNOWN, Target, find_target
from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConfigError, FRPError, ProcessError
from frp_wrapper.monitoring.events import EventEmitter, EventType
from frp_wrapper.monitoring.log_ring import LogRing
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.registry import default_registry
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus, Visitor
from frp_wrapper.waiting import wait_for

if TYPE_CHECKING:
    from frp_wrapper.frp.processes import FrpcProcess
    from frp_wrapper.metering.connection import Connection
    from frp_wrapper.metering.foreign_tunnels import SharedService
    from frp_wrapper.metering.probe import ProbeResult

__all__ = ["AttachedClient", "attach"]


def attach(
    pid: int | None = None, *, admin: str | None = None, log: str | Path | None = None
) -> AttachedClient:
    """Watch an frpc that somebody else runs; it is not touched.

    One argument is enough: what else there is to know is looked for. Each question to its admin API (every 30 s, and on
    hints of its log) writes two lines into its log; nothing else that this does can be noticed by it.

    Args:
        pid: The process. Its configuration tells its tunnels, its admin API and its log.
        admin: Its admin API, ``http://USER:PASSWORD@HOST:PORT``.
        log: Its log file.

    Raises:
        ConfigError: No argument is given, one is not valid, or its configuration cannot be read and nothing else tells.
        ProcessError: There is no such process, it is no frpc, its open files may not be seen, or it is in another network
            namespace; or the admin API does not answer.
    """
    if pid is None and admin is None and log is None:
        raise ConfigError("it is not said which frpc is meant", hint="Give its pid=, admin= or log=.")
    return AttachedClient(find_target(pid, admin, log))


class AttachedClient:
    """Watches an frpc that somebody else runs, until `close`; made by `attach`.

    For a `TunnelMonitor` and a `MonitoringDashboard` it is a client. What would change something raises a `ProcessError`
    with the reason ``not_ours``.
    """

    def __init__(self, target: Target) -> None:
        self.config = target.config
        """The server and how it is reached, without the token."""
        self.events = EventEmitter()
        """Handlers for what happens; they run on a thread of this object."""
        self.log_lines = LogRing(prefix=f"{self.config.user}." if self.config.user else "")
        """The last lines of frpc's log, where that is read."""
        self._run = AttachedRun(target, self, self.events, self.log_lines)
        self._owner = os.getpid()
        self._is_open = True
        try:
            self._run.start()
        except BaseException:
            self.close()
            raise
        default_registry.add(self)

    def __repr__(self) -> str:
        who = f"frpc {self.pid}" if self.pid else "frpc"
        state = "connected" if self.is_connected() else "not connected"
        return f"<AttachedClient {who} of {self.config.server}:{self.config.port} {state}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def server(self) -> str:
        """The server's host; ``unknown`` where nothing tells it."""
        return self.config.server

    @property
    def pid(self) -> int | None:
        """The process id of frpc now; None while it does not run, or where its process is not known."""
        process = self.process
        return process.pid if process is not None else None

    @property
    def process(self) -> FrpcProcess | None:
        """The process of frpc now; None while it does not run, or where it is not known."""
        return self._run.process

    @property
    def has_ended(self) -> bool:
        """Whether the process that was watched has ended and was not started again yet."""
        return self._run.has_ended

    @property
    def frp_version(self) -> None:
        """None: nothing tells the version of an frpc that runs."""
        return None

    @property
    def admin_is_asked(self) -> bool:
        """Whether its admin API tells how its tunnels are."""
        return self._run.target.admin is not None

    @property
    def log_path(self) -> Path | None:
        """The log that is read; None: none."""
        return self._run.target.log

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be shown, and why, as sentences."""
        return tuple(self._run.target.notes)

    @property
    def login_error(self) -> FRPError | None:
        """Why frpc is not logged in; None while it is, or where nothing tells."""
        return self._run.session.login_error

    @property
    def server_latency(self) -> None:
        """None: not measured."""
        return None

    @property
    def server_api(self) -> None:
        """None: frps is not asked."""
        return None

    @property
    def server_counters_error(self) -> None:
        """None: frps is not asked."""
        return None

    def server_counters(self, tunnel: Tunnel, timeout: float) -> None:
        """None: frps is not asked what it has counted; use `Tunnel.server_counters`."""

    @property
    def dropped_events(self) -> int:
        """Events that no handler has seen, because handlers were so slow that 10,000 waited."""
        return self._run.dropped_events

    @property
    def dropped_output(self) -> int:
        """0: a log file waits for its reader."""
        return 0

    @property
    def state_version(self) -> object:
        """Compares unequal to an earlier one when a tunnel or the connection has changed its state since."""
        return self._run.changes

    @property
    def tunnels(self) -> list[Tunnel]:
        """The tunnels of frpc, oldest first."""
        return self.list_tunnels()

    @property
    def metrics(self) -> dict[str, TunnelMetrics]:
        """The numbers of each tunnel by its name, taken now."""
        return {tunnel.id: tunnel.metrics for tunnel in self.list_tunnels()}

    @property
    def shared(self) -> list[SharedService]:
        """Local services that several tunnels lead to, with what nothing tells apart; no tunnel counts it besides."""
        return self._run.metering.shared()

    def connections(self) -> list[Connection]:
        """Give all open connections to local services."""
        of_tunnels = [one for tunnel in self.list_tunnels() for one in tunnel.connections()]
        return of_tunnels + [one for service in self.shared for one in service.connections()]

    def is_connected(self) -> bool:
        """Say whether frpc is logged in at its server, as far as is known."""
        return self._run.session.connected

    def get_uptime(self) -> float:
        """Give the seconds since the last login, or since this began to watch; 0.0 while not logged in."""
        return self._run.session.uptime

    def list_tunnels(self) -> list[Tunnel]:
        """Give the tunnels of frpc, oldest first."""
        return self._run.session.endpoints(Tunnel)

    def list_visitors(self) -> list[Visitor]:
        """Give the visitors of frpc, oldest first."""
        return self._run.session.endpoints(Visitor)

    def notify(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Queue an event for the handlers in `events`; for monitors."""
        if self._is_open:
            self._run.notify(event_type, data)

    def close(self) -> None:
        """Stop watching; frpc goes on. The last numbers stay readable; a second call does nothing."""
        if self._is_open and self._owner == os.getpid():  # not in a child that was forked
            self._is_open = False
            default_registry.remove(self)
            self._run.stop()

    def wait_for(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
        """Wait until a tunnel or visitor has a status; use `Tunnel.wait`."""
        wait_for(self._run.session, endpoint, status, timeout)

    def probe(self, tunnel: Tunnel, timeout: float) -> ProbeResult:
        """Visit a tunnel through its public address; use `Tunnel.probe`."""
        from frp_wrapper.metering.probe import probe  # noqa: PLC0415 - ssl, which most programs do not need

        return probe(tunnel, timeout)

    def expose(self, config: TunnelConfig, *, wait: bool = True) -> Tunnel:
        """Refuse: the frpc is not ours."""
        self._refuse(f"open tunnel {config.name!r}")

    def restart(self, tunnel: Tunnel) -> None:
        """Refuse: the frpc is not ours."""
        self._refuse(f"restart tunnel {tunnel.id!r}")

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Refuse: the frpc is not ours."""
        self._refuse(f"close {endpoint.id!r}")

    def _refuse(self, what: str) -> NoReturn:
        where = f" of {self.server}" if self.server != UNKNOWN else ""
        raise ProcessError(
            f"cannot {what}: this frpc{where} belongs to somebody else and is only watched",
            reason="not_ours",
            hint="Change its configuration, and have its owner reload or restart it.",
        )
