"""What watches an frpc that somebody else runs: its log, its admin API, its process, its sockets. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from frp_wrapper._ticker import Ticker
from frp_wrapper.attached_target import UNKNOWN, Target, bare_tunnel, tunnel_of
from frp_wrapper.client_run import listens
from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.frp import processes
from frp_wrapper.frp.admin import ProxyStatus
from frp_wrapper.frp.frpc import NOISE
from frp_wrapper.frp.processes import FrpcProcess
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.foreign import ForeignMeter
from frp_wrapper.metering.foreign_tunnels import ForeignMetering
from frp_wrapper.metering.services import ServiceWatch
from frp_wrapper.monitoring.event_types import CONNECTION_EVENTS, EventType, connection_data
from frp_wrapper.monitoring.events import EventDispatcher, EventEmitter
from frp_wrapper.monitoring.log_ring import LogRing
from frp_wrapper.monitoring.log_tail import LogTail
from frp_wrapper.monitoring.parser import StreamParser
from frp_wrapper.pulse import HEARTBEATS
from frp_wrapper.session import Session
from frp_wrapper.status_watch import HINTS, StatusWatch
from frp_wrapper.tunnel import Tunnel, TunnelOwner, Visitor, public_addresses

__all__ = ["AttachedRun"]

_HISTORY = 1 << 20
"""Bytes of a log's past that are read: its last login, most likely, and who is connected."""
_CHUNK = 1 << 18
_LOG_INTERVAL = 0.2
"""Seconds between two looks at the log."""
_PROCESS_INTERVAL = 0.5
"""Seconds between two looks at whether frpc runs, or runs again."""
_STATUS_INTERVAL, _STATUS_RETRY = 30.0, 5.0
"""Seconds between questions to frpc: each costs two lines of a log that is not ours."""
_STREAMS = frozenset({"tcp", "websocket", "wss"})
"""Protocols by which frpc holds a TCP connection to its server."""
_OF_LOGIN = frozenset({"client_connected", "connecting", "reconnecting", "login_failed", "login_rejected"})
_HINTS = HINTS | {"tunnels_added", "tunnels_removed"}

Record = Mapping[str, Any]


class AttachedRun:
    """Watches one frpc from its making to `stop`.

    Args:
        target: What is known of it.
        owner: Whose tunnels they are.
        events: Where events are emitted.
        log_lines: Where its lines are kept.
    """

    def __init__(self, target: Target, owner: TunnelOwner, events: EventEmitter, log_lines: LogRing) -> None:
        self.target = target
        self._owner = owner
        self._events = events
        self._log_lines = log_lines
        self.config = target.config
        name = self.config.server
        self._prefix = f"{self.config.user}." if self.config.user else ""
        self._dispatcher = EventDispatcher(events, name)
        self.notify = self._dispatcher.post
        """Queues an event."""
        self.changes = 0
        """Grows with every change of state, before handlers are told of it."""
        self.process = target.process
        """The frpc of now; None while it is away, or where its process is not known."""
        self._last_process = target.process
        self.session = Session(
            name, self.config.user, self._on_change, listens, has_status=target.admin is not None
        )
        self._kernel = self._make_kernel(name)
        self.metering = ForeignMetering(
            name, self._on_connection, self._kernel, is_logged=target.log is not None
        )
        self._services = (
            ServiceWatch(
                name,
                lambda: self.session.endpoints(Tunnel),
                lambda tunnel, up: self.session.set_service(tunnel, up=up),
                self._kernel.pass_over,
            )
            if self._kernel is not None
            else None
        )
        self._tail = LogTail(target.log, history=_HISTORY) if target.log is not None else None
        self._parser = StreamParser("frpc", NOISE)
        self._login_is_logged = False
        self._missing = 0
        self._status = StatusWatch(name, self.session, self, interval=_STATUS_INTERVAL, retry=_STATUS_RETRY)
        self._log_ticker = Ticker(f"log-{name}", _LOG_INTERVAL, self._read_log)
        self._process_ticker = Ticker(f"process-{name}", _PROCESS_INTERVAL, self._look_at_process)

    def start(self) -> None:
        """Take in how things are, and start the threads."""
        self._dispatcher.start()
        self._add(self.target.setup.tunnels if self.target.setup is not None else ())
        for visitor in self.target.setup.visitors if self.target.setup is not None else ():
            if visitor.name not in self.session:
                self.session.add(Visitor(visitor, self._owner))
        self._read_past()
        self.metering.follow(self.process)
        if self.target.statuses is not None:
            self._take_status(self.target.statuses)
            self.session.apply_status(self.target.statuses)
            self._status.start()
        self.metering.start()
        if self._tail is not None:
            self._log_ticker.start()
        if self.process is not None:
            self._look_at_process()
            self._process_ticker.start()
        if self._services is not None:
            self._services.start()

    def stop(self) -> None:
        """End the threads; frpc goes on."""
        self.session.stop()
        self._status.stop()
        self._log_ticker.stop()
        self._process_ticker.stop()
        if self._services is not None:
            self._services.stop()
        if self._tail is not None:
            self._tail.close()
        self.metering.close()
        self._dispatcher.close()

    @property
    def dropped_events(self) -> int:
        """Events that no handler has seen because too many waited."""
        return self._dispatcher.dropped

    @property
    def has_ended(self) -> bool:
        """Whether the process that was watched has ended and was not started again yet."""
        return self.process is None and self._last_process is not None

    def status(self) -> Mapping[str, ProxyStatus]:
        """Ask frpc how its tunnels are, and take up those that have come or gone.

        Raises:
            AdminUnavailableError: No answer.
        """
        assert self.target.admin is not None
        statuses = self.target.admin.status()
        self._take_status(statuses)
        return statuses

    def _make_kernel(self, name: str) -> ForeignMeter | None:
        if self.process is None:
            return None
        try:
            return ForeignMeter(name, errors_are_logged=self.target.log is not None)
        except OSError as exc:
            self.target.notes.append(f"bytes are not counted: {exc.strerror}")
            return None

    # Which tunnels there are

    def _take_status(self, statuses: Mapping[str, ProxyStatus]) -> None:
        if not statuses:  # it is not logged in
            return
        known = {tunnel.id: tunnel for tunnel in self.session.endpoints(Tunnel)}
        told = {name.removeprefix(self._prefix): status for name, status in statuses.items()}
        fit = all(name in known and _fits(known[name].config, one) for name, one in told.items())
        if fit and len(known) == len(told):
            return
        self.target.try_setup()
        for name, tunnel in known.items():
            if name not in told or not _fits(tunnel.config, told[name]):
                self._remove(tunnel)
        self._add(tunnel_of(name, one, self.target.setup) for name, one in told.items())

    def _follow_names(self, record: Record) -> None:
        """Take up tunnels that a line of the log names, where no admin API tells of them."""
        names = [name.removeprefix(self._prefix) for name in record["names"].strip("[]").split()]
        known = {tunnel.id: tunnel for tunnel in self.session.endpoints(Tunnel)}
        if record["type"] == "tunnels_removed":
            for name in known.keys() & set(names):
                self._remove(known[name])
        elif missing := [name for name in names if name not in known]:
            self.target.try_setup()
            self._add(self._of_names(missing))

    def _of_names(self, names: list[str]) -> list[TunnelConfig]:
        setup = self.target.setup
        if setup is None:
            return [bare_tunnel(name, UNKNOWN) for name in names]
        return [config for config in setup.tunnels if config.name in names]

    def _add(self, configs: Iterable[TunnelConfig]) -> None:
        for config in configs:
            if config.name in self.session:
                continue
            tunnel = Tunnel(config, self._owner, self.metering.meter(config))
            if config.remote_port and self.config.server != UNKNOWN:
                address = f"{self.config.server}:{config.remote_port}"
                tunnel.set_addresses(public_addresses(config, self.config.server, address))
            self.session.add(tunnel)
        self.metering.reroute()

    def _remove(self, tunnel: Tunnel) -> None:
        if self.session.remove(tunnel):
            self.metering.discard(tunnel.id)

    # The log

    def _read_past(self) -> None:
        """Take in what the log says since the last login; of what was before, only who may still be connected."""
        if self._tail is None:
            return
        past: list[Record] = []
        while chunk := self._tail.read(_CHUNK):
            past += self._parser.feed(chunk)
        logins = [place for place, record in enumerate(past) if record["type"] == "client_connected"]
        since = logins[-1] if logins else 0
        for place, record in enumerate(past):
            if _is_worth_reading(record):
                self._log_lines.add(record)
                self.metering.recall(record, self._named(record))
                if place >= since:
                    self._apply(record)

    def _read_log(self) -> None:
        assert self._tail is not None
        while chunk := self._tail.read(_CHUNK):
            for record in self._parser.feed(chunk):
                if _is_worth_reading(record):
                    self._log_lines.add(record)
                    self._apply(record)
                    self.metering.on_record(record, self._named(record))
                    if record["type"] in _HINTS:
                        self._status.hint()

    def _apply(self, record: Record) -> None:
        self._login_is_logged |= record["type"] in _OF_LOGIN
        if record["type"] in ("tunnels_added", "tunnels_removed") and self.target.admin is None:
            self._follow_names(record)
        self.session.apply(record)

    def _named(self, record: Record) -> str | None:
        name = record["tunnel_id"]
        return str(name).removeprefix(self._prefix) if name else None

    # The process

    def _look_at_process(self) -> None:
        if self.process is not None and not self.process.is_running:
            self.metering.follow(None)
            self.process = None
            self.session.log_out("frpc_ended")
        if self.process is None:
            self._look_for_it()
        if self.process is not None and self._goes_by_kernel():
            self._look_at_connection(self.process)

    def _look_for_it(self) -> None:
        """Look for the frpc that has ended, started again by whoever does that."""
        last = self._last_process
        found = [one for one in processes.find_all() if last is not None and one.is_same(last)]
        if not found:
            return
        process = max(found, key=lambda one: one.started)
        try:
            processes.require_readable(process)
        except FRPError:  # it runs as another user now
            return
        self.process = self._last_process = self.target.process = process
        self.target.try_setup()
        self.metering.follow(process)
        self._status.hint()

    def _goes_by_kernel(self) -> bool:
        """Say whether only the kernel tells whether frpc is connected to its server."""
        return (
            self.target.admin is None
            and not self._login_is_logged
            and self._kernel is not None
            and self.config.protocol in _STREAMS
            and self.config.proxy_url is None
        )

    def _look_at_connection(self, process: FrpcProcess) -> None:
        assert self._kernel is not None
        if self._kernel.has_connection_to(self.config.port, process):
            self._missing = 0
            self.session.suppose_connected()
        else:
            self._missing += 1
            if self._missing > 1:  # frpc may be between two connections
                self.session.log_out("server_lost")

    # What is told

    def _on_change(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        self.changes += 1
        self.notify(event_type, data)

    def _on_connection(self, name: str, kind: str, connection: Connection) -> None:
        if kind != "failed":
            self.session.prove(name)
        event = CONNECTION_EVENTS[kind]
        if self._events.is_heard(event):
            self.session.tell_connection(event, name, connection_data(event, connection))


def _is_worth_reading(record: Record) -> bool:
    return record["message"] not in HEARTBEATS and record["type"] != "admin_access"


def _fits(config: TunnelConfig, status: ProxyStatus) -> bool:
    """Say whether a tunnel is still the one that the admin API tells of."""
    if config.plugin is not None or config.local_port is None or not status.local_addr:
        return config.tunnel_type in (status.type, UNKNOWN)
    host, _, port = status.local_addr.rpartition(":")
    return (config.tunnel_type, config.local_host, str(config.local_port)) == (
        status.type,
        host.strip("[]"),
        port,
    )
