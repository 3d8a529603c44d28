"""The host's side of the relay: asks the sidecar to relay a tunnel, and reads its counters from shared memory."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import FRPError, ProcessError
from frp_wrapper.metering.connection import Connection, Counts
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.relay_options import DATAGRAMS, wanted
from frp_wrapper.sidecar.admission import REFUSALS
from frp_wrapper.sidecar.health_checks import CONNECT_PATH
from frp_wrapper.sidecar.slots import Field, Slots, size_of

MAX_RELAYED = 4096
"""Relayed tunnels of one client."""
RECENT = 256
"""Connections that have ended, and as many that were refused, that are remembered."""
_WITH_HEADER = frozenset({"tcp", "http", "https", "tcpmux", "stcp"})
"""Types for which frpc can send the visitor's address ahead of the data."""
_KEPT = "!$&'()*+,/:;=?@[]%~"
"""What frpc leaves as it is in the path of a health check."""
_DATAGRAM_HEADERS = (0, 63, 0)
_ONE_HEADER_A_SESSION = (0, 67, 0)
_VISITOR_PROLONGS = (0, 69, 0)
"""The first frp that sends the address of visitors of datagrams; that sends it once only; whose sockets for visitors
live on as long as the visitor sends."""


class Sidecar(Protocol):
    """Where the relay lives."""

    @property
    def folder(self) -> Path:
        """A private folder that lives as long as the client."""

    @property
    def version(self) -> tuple[int, int, int]:
        """The version of frpc."""

    def request(self, op: str, **fields: Any) -> Mapping[str, Any]:
        """Ask and wait for the answer."""


class RelayMeter:
    """Counts one tunnel by forwarding it.

    Args:
        config: The tunnel.
        sidecar: Where the relay lives.
        counters: Where it counts.
        take_news: Has what became of connections told to `remember`.

    Raises:
        ProcessError: The sidecar cannot relay: no port, no epoll, an unknown host.
    """

    def __init__(
        self, config: TunnelConfig, sidecar: Sidecar, counters: Counters, take_news: Callable[[], None]
    ) -> None:
        self._config = config
        self._sidecar = sidecar
        self._counters = counters
        self._slot = counters.take()
        self._take_news = take_news
        self._ended: deque[Connection] = deque(maxlen=RECENT)
        self._refused: deque[Connection] = deque(maxlen=RECENT)
        """Apart, so that those who may not come in do not push out those who may."""
        self._final: TunnelMetrics | None = None
        self.port = 0
        try:
            self.open()
        except BaseException:
            counters.give_back(self._slot)
            raise

    def reopen(self) -> bool:
        """Have the tunnel relayed again after the sidecar was replaced; True when that is at another port now.

        Raises:
            FRPError: The sidecar cannot relay.
        """
        before = self.port
        try:
            self.open()
        except ProcessError:  # while nobody listened, somebody else has taken the port
            self.port = 0
            self.open()
        return self.port != before

    def open(self) -> None:
        """Have the tunnel relayed, at `port` where it has one.

        Raises:
            FRPError: The sidecar cannot relay.
        """
        answer = self._sidecar.request(
            "relay_open",
            name=self._config.name,
            target=[self._config.local_host, self._config.local_port],
            slot=self._slot,
            port=self.port,
            proxy_protocol=self._header_mode(),
            datagrams=self._config.tunnel_type in DATAGRAMS,
            options=self._options(),
            counters=str(self._counters.path),
            slots=MAX_RELAYED,
        )
        self.port = answer["port"]

    def _options(self) -> dict[str, Any]:
        options: dict[str, Any] = {"rules": _rules(self._config)}
        if self._config.tunnel_type in DATAGRAMS:
            version = self._sidecar.version
            options["every_datagram"] = version < _ONE_HEADER_A_SESSION
            options["visitor_prolongs"] = version >= _VISITOR_PROLONGS
        elif (check := self._config.health_check) is not None:
            options["check_path"] = CONNECT_PATH if check.type == "tcp" else quote(check.path or "", _KEPT)
            headers = {name.lower(): value for name, value in check.http_headers.items()}
            options["check_host"] = headers.get("host") if check.type == "http" else None
        return options

    def _header_mode(self) -> str:
        with_header = self._config.tunnel_type in _WITH_HEADER
        if self._config.tunnel_type in DATAGRAMS:
            with_header = self._sidecar.version >= _DATAGRAM_HEADERS
        if not with_header:
            return "none"
        return "keep" if self._config.proxy_protocol else "strip"

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment, without the uptime."""
        if self._final is not None:
            return replace(self._final)
        count = partial(self._counters.read, self._slot)
        activity = count(Field.LAST_ACTIVITY)
        refused = {reason: count(field) for reason, (field, _) in REFUSALS.items()}
        metrics = TunnelMetrics(
            tunnel_id=tunnel_id,
            bytes_sent=count(Field.BYTES_SENT),
            bytes_received=count(Field.BYTES_RECEIVED),
            connection_count=count(Field.CONNECTIONS),
            error_count=count(Field.ERRORS),
            last_activity=datetime.fromtimestamp(activity / 1e9, UTC) if activity else None,
            open_connections=count(Field.OPEN),
            source="relay",
            as_of=datetime.now(UTC),
            refused_count=sum(refused.values()),
            refused={reason: number for reason, number in refused.items() if number},
            health_checks=count(Field.HEALTH_CHECKS),
        )
        if self._config.tunnel_type in DATAGRAMS:
            metrics.datagrams_sent = count(Field.DATAGRAMS_SENT)
            metrics.datagrams_received = count(Field.DATAGRAMS_RECEIVED)
            metrics.datagrams_dropped = count(Field.DATAGRAMS_DROPPED)
            metrics.evicted_sessions = count(Field.SESSIONS_EVICTED)
        return metrics

    def counts(self) -> Counts:
        """Give the totals alone."""
        if (final := self._final) is not None:
            numbers = (final.bytes_sent, final.bytes_received, final.connection_count, final.error_count)
            return Counts(*(number or 0 for number in numbers))
        fields = (Field.BYTES_SENT, Field.BYTES_RECEIVED, Field.CONNECTIONS, Field.ERRORS)
        return Counts(*(self._counters.read(self._slot, field) for field in fields))

    def remember(self, kind: str, connection: Connection) -> None:
        """Note what became of a connection, see `Tell`."""
        if kind == "refused":
            self._refused.append(connection)
        elif kind != "opened":
            self._ended.append(connection)

    def connections(self) -> list[Connection]:
        """Give the open connections."""
        if self._final is not None:
            return []
        answer = self._sidecar.request("relay_connections", name=self._config.name)
        return [connection_of(row) for row in answer["open"]]

    def recent(self) -> list[Connection]:
        """Give the last connections that have ended or were refused, newest last."""
        if self._final is None:
            self._take_news()
        rows = [*self._ended.copy(), *self._refused.copy()]
        return sorted(rows, key=lambda connection: connection.closed_at or connection.opened_at)

    def close(self, *, ask: bool = True) -> bool:
        """Stop relaying new connections; the last numbers stay readable.

        Args:
            ask: Whether the sidecar is worth asking.

        Returns:
            Whether the sidecar answered.
        """
        if self._final is not None:
            return ask
        try:
            if ask:
                self._sidecar.request("relay_close", name=self._config.name)
        except FRPError:  # it is gone
            ask = False
        self._final = replace(self.read(self._config.name), open_connections=0)
        self._counters.give_back(self._slot)
        return ask


class Counters:
    """The file of counters of one client, made by the first relayed tunnel."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "counters"
        descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.ftruncate(descriptor, size_of(MAX_RELAYED))  # sparse: slots that are not used take no room
        finally:
            os.close(descriptor)
        self._slots = Slots(self.path, MAX_RELAYED)
        self._free = list(reversed(range(MAX_RELAYED)))

    def take(self) -> int:
        """Give a slot with zeros in it.

        Raises:
            ProcessError: All are taken.
        """
        if not self._free:
            raise ProcessError(
                f"{MAX_RELAYED} tunnels of this client are relayed already",
                reason="too_many_relayed",
                hint="Use meter='passive' or another client.",
            )
        slot = self._free.pop()
        self._slots.clear(slot)
        return slot

    def give_back(self, slot: int) -> None:
        """Let a slot be used again."""
        self._free.append(slot)

    def read(self, slot: int, field: Field) -> int:
        """Give one number."""
        return self._slots.read(slot, field)

    def close(self) -> None:
        """Unmap the file."""
        self._slots.close()


def _rules(config: TunnelConfig) -> dict[str, Any] | None:
    if not wanted(config):
        return None
    return {
        "allow": list(config.allow),
        "deny": list(config.deny),
        "max_connections": config.max_connections,
        "connection_rate": config.connection_rate,
        "visitor_connection_rate": config.visitor_connection_rate,
    }


def connection_of(row: Mapping[str, Any]) -> Connection:
    """Read what the sidecar says of a connection."""
    times = {"opened_at": _time(row["opened_at"]), "closed_at": _time(row.get("closed_at"))}
    return Connection(**{"visitor": None, **row, **times})


def _time(seconds: float | None) -> Any:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
