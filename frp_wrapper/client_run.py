"""What a client consists of between `connect` and `close`: frpc, its session, the meters, and their threads."""

from __future__ import annotations

import contextlib
import errno
import socket
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from frp_wrapper import refused_ports
from frp_wrapper.config import ClientConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError, FRPError, ProcessError, TimeoutError, TunnelError
from frp_wrapper.failures import TRANSIENT
from frp_wrapper.frp.binary import binary_version
from frp_wrapper.frp.cache import version_key
from frp_wrapper.frp.frpc import Frpc, Record
from frp_wrapper.frp.server_api import ServerApi
from frp_wrapper.frp.toml import proxy_table, visitor_table
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.server_counters import ServerCounting
from frp_wrapper.metering.services import ServiceWatch
from frp_wrapper.metering.tunnel_meters import Metering
from frp_wrapper.metering.usage import UsageBook
from frp_wrapper.monitoring.event_types import CONNECTION_EVENTS, EventType, connection_data
from frp_wrapper.monitoring.events import EventDispatcher, EventEmitter
from frp_wrapper.monitoring.log_ring import LogRing
from frp_wrapper.monitoring.logger import FRPLogger, LogLevel
from frp_wrapper.pulse import Pulse
from frp_wrapper.session import Session
from frp_wrapper.status_watch import HINTS, StatusWatch
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelOwner, TunnelStatus, Visitor

_CRASHES = 3
"""Ends of frpc without a login in between after which a login is given up."""
_LEVELS = {level.value: level for level in LogLevel}
_NEW_LINE = frozenset({"client_connected", "client_disconnected", "connecting", "reconnecting"})
"""Lines after which nothing answers the heartbeats of before."""


class ClientRun:
    """One run of a client; thrown away at its end.

    Args:
        config: The server and how to reach it.
        path: The frpc program.
        events: Where events are emitted.
        log_lines: Where frpc's lines are kept.
        usage: Where days are kept.
        server_api: Who is asked for frps's own counters; None: nobody.
    """

    def __init__(
        self,
        config: ClientConfig,
        path: Path,
        events: EventEmitter,
        log_lines: LogRing,
        *,
        usage: UsageBook,
        server_api: ServerApi | None,
    ) -> None:
        self._config = config
        self._events = events
        self._logger = FRPLogger("frpc")  # at info: debug lines come with every connection
        self._closing = threading.Event()
        self._crashes = 0
        self._naming = threading.Lock()
        self._log_lines = log_lines
        self._dispatcher = EventDispatcher(events, config.server)
        self.notify = self._dispatcher.post
        """Queues an event."""
        self.changes = 0
        """Grows with every change of state, before handlers are told of it."""
        self.session = Session(config.server, config.user, self._on_change, listens)
        self.pulse = Pulse()
        version = version_key(binary_version(path))
        self.frpc = Frpc(config, path, (version[0], version[1], version[2]), self)
        self._metering = Metering(config, self.frpc, self._on_connection, self._wants_connections, usage)
        self.server_counting = ServerCounting(server_api, config) if server_api is not None else None
        """Knows what frps has counted."""
        self._watch = StatusWatch(config.server, self.session, self.frpc, self._reopen_relay)
        self._services = ServiceWatch(
            config.server,
            lambda: self.session.endpoints(Tunnel),
            lambda tunnel, up: self.session.set_service(tunnel, up=up),
        )

    def start(self) -> None:
        """Start frpc and the threads.

        Raises:
            ProcessError: No process can be started.
            OSError: The configuration cannot be written.
        """
        try:
            self.frpc.start()
        except BaseException:
            self.frpc.stop()
            raise
        self._dispatcher.start()
        self._watch.start()
        self._services.start()
        self._metering.start()

    @property
    def dropped_events(self) -> int:
        """Events that no handler has seen because too many waited."""
        return self._dispatcher.dropped

    def cancel(self) -> None:
        """Make a login that is being waited for fail."""
        self._closing.set()
        with self.session.changed:
            self.session.changed.notify_all()

    def stop(self) -> None:
        """End everything, in bounded time; the tunnels are closed."""
        self._closing.set()
        self.session.end()
        self._watch.stop()
        self._services.stop()
        if self.server_counting is not None:
            self.server_counting.stop()
        self._metering.close()  # while the sidecar can still tell the last connections
        self.frpc.stop()
        for endpoint in self.session.endpoints(Endpoint):
            self.session.remove(endpoint)
        self._dispatcher.close()

    def await_login(self, timeout: float | None, *, retry: bool) -> None:
        """Wait until frpc is logged in; see `FRPClient.connect`."""
        self.session.wait_until(lambda: self._login_is_settled(retry=retry), timeout)
        if self.session.connected:
            return
        if self._closing.is_set():
            raise ProcessError(
                "the client was closed while it connected", reason="closed", hint="Connect again."
            )
        if self.session.login_error is not None:
            raise self.session.login_error
        if self._crashes:
            raise ProcessError(
                f"frpc does not stay up; its last words: {self.frpc.last_words() or '(none)'}",
                reason="frpc_ended",
                hint="Correct what it complains about.",
            )
        raise TimeoutError(
            f"no answer from frps at {self._config.server}:{self._config.port} within {timeout:g} s",
            reason="server_timeout",
            hint="Check host and port, and that no firewall drops the packets.",
        )

    def _login_is_settled(self, *, retry: bool) -> bool:
        error = self.session.login_error
        is_fatal = error is not None and not (retry and error.reason in TRANSIENT)
        return self.session.connected or is_fatal or self._crashes >= _CRASHES or self._closing.is_set()

    # Tunnels

    def add_tunnel(self, config: TunnelConfig, owner: TunnelOwner) -> tuple[Tunnel, Callable[[], None]]:
        """Make a tunnel; gives it, and what hands it to frpc."""
        if config.local_port == self.frpc.admin_port:
            raise ConfigError(
                f"local_port {config.local_port} is the admin port of this client's own frpc; exposing it would give it away",
                reason="own_admin_port",
                hint="Expose the port of your service.",
            )
        refused_ports.check(config)
        with self._naming:
            self.session.require_free(config.name)
            tunnel = Tunnel(config, owner, self._metering.meter(config))
            self.session.add(tunnel)
        return tunnel, lambda: self._open_tunnel(config)

    def add_visitor(self, config: VisitorConfig, owner: TunnelOwner) -> tuple[Visitor, Callable[[], None]]:
        """Make a visitor; gives it, and what hands it to frpc."""
        visitor = Visitor(config, owner)
        self.session.add(visitor)
        return visitor, lambda: self.frpc.set_visitor(visitor_table(config))

    def remove(self, endpoint: Endpoint) -> None:
        """Take a tunnel or visitor down."""
        with contextlib.suppress(TimeoutError):  # frpc is down: what was removed does not come back with it
            self.frpc.remove(endpoint.id)
        self._discard(endpoint)

    def restart(self, tunnel: Tunnel) -> None:
        """Take a tunnel down and hand it to frpc again; see `FRPClient.restart`."""
        if not self.session.connected:
            raise ProcessError(
                f"the client is not connected, so tunnel {tunnel.id!r} cannot be restarted",
                reason="not_connected",
                hint="Wait: it comes back by itself with the server.",
            )
        self.frpc.remove(tunnel.id)
        self._set_starting(tunnel)
        try:
            self._open_tunnel(tunnel.config)
        except FRPError as exc:
            with self.session.changed:
                tunnel.set_status(TunnelStatus.ERROR, exc)
            raise
        if tunnel.status is TunnelStatus.CLOSED:  # meanwhile, by another thread
            self.frpc.remove(tunnel.id)

    def _set_starting(self, tunnel: Tunnel) -> None:
        with self.session.changed:
            if tunnel.id not in self.session:
                raise TunnelError(f"tunnel {tunnel.id!r} is closed", reason="closed", hint="Open it anew.")
            was_online = tunnel.status is TunnelStatus.ONLINE
            tunnel.set_status(TunnelStatus.STARTING)
            self.changes += 1
            if was_online:
                data = {
                    "tunnel_id": tunnel.id,
                    "tunnel_type": tunnel.config.tunnel_type,
                    "cause": "restarted",
                }
                self.notify(EventType.TUNNEL_DISCONNECTED, data)

    def _on_change(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        self.changes += 1
        self.notify(event_type, data)

    def _open_tunnel(self, config: TunnelConfig) -> None:
        local = self._metering.relay_address(config)
        self.frpc.set_proxy(proxy_table(config, version=self.frpc.version, local=local))
        self._watch.hint()

    def _reopen_relay(self) -> None:
        moved = self._metering.reopen()
        for tunnel in self.session.endpoints(Tunnel):
            if tunnel.id in moved:
                with contextlib.suppress(FRPError):  # frpc is away again: the next repair comes with it
                    self._open_tunnel(tunnel.config)

    def _discard(self, endpoint: Endpoint) -> None:
        if self.session.remove(endpoint) and isinstance(endpoint, Tunnel):
            self._metering.discard(endpoint.config)

    # Told by frpc, on the supervisor's thread

    def on_record(self, record: Record) -> None:
        """Take in a line of frpc."""
        self._logger.log(
            _LEVELS.get(record["level"], LogLevel.DEBUG),
            record["type"],
            tunnel_id=record["tunnel_id"],
            message=record["message"],
            server=self._config.server,
        )
        if record["type"] in _NEW_LINE:
            self.pulse.reset()
        self._log_lines.add(record)
        self.session.apply(record)
        self._metering.on_record(record)
        if record["type"] in HINTS:
            self._watch.hint()

    def on_heartbeat(self, record: Record) -> None:
        """Take in a heartbeat of frpc, or its answer."""
        if self.pulse.note(record) and self.session.hear_again():
            self._watch.hint()

    def patience(self) -> float | None:
        """Wait for the answer to a heartbeat until it is overdue."""
        return self.pulse.wait()

    def on_quiet(self) -> None:
        """Note that the server does not answer."""
        if self.pulse.is_overdue():
            self.session.fall_silent()

    def on_started(self, pid: int) -> None:
        """Nothing to do: the login tells."""

    def on_ended(self, last_words: str) -> None:
        """Note that frpc is away; the sidecar starts it again."""
        self.pulse.reset()
        self.session.log_out("frpc_ended")
        with self.session.changed:
            self._crashes = 0 if self.session.logins else self._crashes + 1
            self.session.changed.notify_all()

    def _on_connection(self, name: str, kind: str, connection: Connection) -> None:
        event = CONNECTION_EVENTS[kind]
        if self._events.is_heard(event):
            self.session.tell_connection(event, name, connection_data(event, connection))

    def _wants_connections(self) -> bool:
        return self._events.is_heard(EventType.CONNECTION_OPENED)

    def on_repaired(self) -> None:
        """Have the relay set up again."""
        self._watch.repair()


def listens(visitor: Visitor) -> bool:
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
