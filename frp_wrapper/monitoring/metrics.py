"""The numbers of one tunnel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from frp_wrapper.monitoring.quantiles import Quantiles

__all__ = ["Rates", "TunnelMetrics"]


@dataclass(frozen=True, slots=True)
class Rates:
    """How much a second, over some window.

    Attributes:
        bytes_sent: Payload bytes to visitors.
        bytes_received: Payload bytes from visitors.
        connections: New connections.
        errors: Connections that failed.
    """

    bytes_sent: float
    bytes_received: float
    connections: float
    errors: float


@dataclass
class TunnelMetrics:
    """What is known about one tunnel at one moment; times are timezone-aware UTC.

    A number that nothing measures is None, never 0: `source` says what measures.

    Attributes:
        tunnel_id: Which tunnel.
        bytes_sent: Payload bytes from the local service towards visitors.
        bytes_received: Payload bytes from visitors towards the local service.
        connection_count: Connections since the tunnel was made.
        error_count: Connections that failed: the service refused or reset them.
        last_activity: When bytes last moved or a connection came or went; None: not yet.
        uptime_seconds: Seconds since the tunnel last came online; 0.0 while it is not.
        open_connections: Connections open now.
        source: ``passive`` (the kernel's own counters of frpc's sockets, Linux), ``relay`` (counted while forwarding),
            ``log`` (told by frpc's log, which knows no bytes), or None: nobody measures this tunnel.
        as_of: When the numbers were taken.
        rates: How much a second over the last 1, 10, 60 and 300 seconds, by that number of seconds; None where there is
            nothing to compare with yet.
        errors: `error_count` by kind, a code of docs/errors.md.
        latency: How long the local service took to accept connections, of the last five minutes; only the relay measures
            it.
        first_byte: How long it took from a connection's beginning to the first byte of the local service, likewise.
        duration: How long connections were open that ended within the last five minutes.
        server_latency: Seconds of a round trip between frpc and frps, smoothed.
        reconnects: How often the tunnel came back.
        flaps: How often it went away.
        uptime_percent: What part of the time since it first came online it was.
        refused_count: Visitors' connections that the relay refused; they are in no other number.
        refused: `refused_count` by reason, a code of docs/errors.md.
        health_checks: Connections of frpc's own health checks, as far as the relay sees them; they are in no other number.
        datagrams_sent: Of a udp or sudp tunnel, to visitors; None: not counted (only the relay does).
        datagrams_received: Likewise, from visitors.
        datagrams_dropped: Datagrams, either way, that could not be passed on because a buffer was full.
        evicted_sessions: Sessions of datagrams that ended early because others needed the room.
    """

    tunnel_id: str
    bytes_sent: int | None = 0
    bytes_received: int | None = 0
    connection_count: int | None = 0
    error_count: int | None = 0
    last_activity: datetime | None = None
    uptime_seconds: float = 0.0
    open_connections: int | None = None
    source: str | None = None
    as_of: datetime | None = None
    rates: Mapping[int, Rates] | None = None
    errors: Mapping[str, int] | None = None
    latency: Quantiles | None = None
    duration: Quantiles | None = None
    first_byte: Quantiles | None = None
    server_latency: float | None = None
    reconnects: int = 0
    flaps: int = 0
    uptime_percent: float | None = None
    refused_count: int | None = None
    refused: Mapping[str, int] | None = None
    health_checks: int | None = None
    datagrams_sent: int | None = None
    datagrams_received: int | None = None
    datagrams_dropped: int | None = None
    evicted_sessions: int | None = None
