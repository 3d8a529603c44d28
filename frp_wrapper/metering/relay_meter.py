"""The host's side of the relay: asks the sidecar to relay a tunnel, and reads its counters from shared memory."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import FRPError, ProcessError
from frp_wrapper.metering.connection import Connection, Counts
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.sidecar.slots import Field, Slots, size_of

MAX_RELAYED = 4096
"""Relayed tunnels of one client."""
_WITH_HEADER = frozenset({"tcp", "http", "https", "tcpmux", "stcp"})
"""Types for which frpc can send the visitor's address ahead of the data."""


class Sidecar(Protocol):
    """Where the relay lives."""

    @property
    def folder(self) -> Path:
        """A private folder that lives as long as the client."""

    def request(self, op: str, **fields: Any) -> Mapping[str, Any]:
        """Ask and wait for the answer."""


class RelayMeter:
    """Counts one tunnel by forwarding it.

    Raises:
        ProcessError: The sidecar cannot relay: no port, no epoll, an unknown host.
    """

    def __init__(self, config: TunnelConfig, sidecar: Sidecar, counters: Counters) -> None:
        self._config = config
        self._sidecar = sidecar
        self._counters = counters
        self._slot = counters.take()
        self._last: list[Connection] = []
        self._final: TunnelMetrics | None = None
        self.port = 0
        try:
            self.open()
        except BaseException:
            counters.give_back(self._slot)
            raise

    def open(self) -> None:
        """Have the tunnel relayed, again on the same port after the sidecar was replaced."""
        answer = self._sidecar.request(
            "relay_open",
            name=self._config.name,
            target=[self._config.local_host, self._config.local_port],
            slot=self._slot,
            port=self.port,
            proxy_protocol=self._header_mode(),
            counters=str(self._counters.path),
            slots=MAX_RELAYED,
        )
        self.port = answer["port"]

    def _header_mode(self) -> str:
        if self._config.tunnel_type not in _WITH_HEADER:
            return "none"
        return "keep" if self._config.proxy_protocol else "strip"

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment, without the uptime."""
        if self._final is not None:
            return replace(self._final)
        read = self._counters.read
        activity = read(self._slot, Field.LAST_ACTIVITY)
        return TunnelMetrics(
            tunnel_id=tunnel_id,
            bytes_sent=read(self._slot, Field.BYTES_SENT),
            bytes_received=read(self._slot, Field.BYTES_RECEIVED),
            connection_count=read(self._slot, Field.CONNECTIONS),
            error_count=read(self._slot, Field.ERRORS),
            last_activity=datetime.fromtimestamp(activity / 1e9, UTC) if activity else None,
            open_connections=read(self._slot, Field.OPEN),
            source="relay",
            as_of=datetime.now(UTC),
        )

    def counts(self) -> Counts:
        """Give the totals alone."""
        if (final := self._final) is not None:
            numbers = (final.bytes_sent, final.bytes_received, final.connection_count, final.error_count)
            return Counts(*(number or 0 for number in numbers))
        fields = (Field.BYTES_SENT, Field.BYTES_RECEIVED, Field.CONNECTIONS, Field.ERRORS)
        return Counts(*(self._counters.read(self._slot, field) for field in fields))

    def connections(self) -> list[Connection]:
        """Give the open connections."""
        return self._lists()[0]

    def recent(self) -> list[Connection]:
        """Give the last closed connections, newest last."""
        return self._lists()[1]

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
                _, recent = self._lists()
                self._sidecar.request("relay_close", name=self._config.name)
                self._last = recent
        except FRPError:  # it is gone
            ask = False
        self._final = replace(self.read(self._config.name), open_connections=0)
        self._counters.give_back(self._slot)
        return ask

    def _lists(self) -> tuple[list[Connection], list[Connection]]:
        if self._final is not None:
            return [], self._last
        answer = self._sidecar.request("relay_connections", name=self._config.name)
        return _connections(answer["open"]), _connections(answer["recent"])


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


def _connections(rows: list[Mapping[str, Any]]) -> list[Connection]:
    return [connection_of(row) for row in rows]


def connection_of(row: Mapping[str, Any]) -> Connection:
    """Read what the sidecar says of a connection."""
    return Connection(**{**row, "opened_at": _time(row["opened_at"]), "closed_at": _time(row["closed_at"])})


def _time(seconds: float | None) -> Any:
    return datetime.fromtimestamp(seconds, UTC) if seconds is not None else None
