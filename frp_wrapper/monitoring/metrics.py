"""The numbers of one tunnel."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

__all__ = ["TunnelMetrics"]


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
            or None: nobody measures this tunnel.
        as_of: When the numbers were taken.
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
