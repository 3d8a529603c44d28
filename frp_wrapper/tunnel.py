"""A tunnel as its user holds it: what it is, where it is reachable, how it is, and what flows through it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self

from frp_wrapper.config import TunnelConfig, VisitorConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.lifeline import Lifeline
from frp_wrapper.monitoring.metrics import TunnelMetrics

if TYPE_CHECKING:
    from frp_wrapper.metering.connection import Connection, Counts
    from frp_wrapper.metering.probe import ProbeResult
    from frp_wrapper.metering.server_counters import ServerCounters
    from frp_wrapper.metering.usage import Usage
    from frp_wrapper.metering.visitors import VisitorTotals

__all__ = ["Endpoint", "Tunnel", "TunnelStatus", "Visitor"]


class TunnelStatus(Enum):
    """How a tunnel is, now."""

    STARTING = "starting"
    """frps has not answered yet."""
    ONLINE = "online"
    """frpc is logged in and frps serves the tunnel."""
    OFFLINE = "offline"
    """The server or frpc is away; it comes back by itself."""
    ERROR = "error"
    """frps refuses the tunnel, its health check fails, or nothing listens where it leads; `Tunnel.error` says which.

    It is tried again by itself: what frps refuses every 30 s, the local service every second.
    """
    CLOSED = "closed"
    """Closed by its owner."""
    UNKNOWN = "unknown"
    """Of an frpc that somebody else runs: it is connected to its server, and nothing tells of this tunnel (yet)."""


class TunnelMeter(Protocol):
    """What counts the traffic of one tunnel."""

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment, without the uptime."""

    def counts(self) -> Counts | None:
        """Give the totals alone, which costs less; None: nothing counts."""

    def connections(self) -> list[Connection]:
        """Give the open connections."""

    def recent(self) -> list[Connection]:
        """Give the last closed connections, newest last."""

    def close(self) -> object:
        """Stop counting; the numbers stay readable."""


class TunnelNumbers(TunnelMeter, Protocol):
    """What follows from what a meter counts, too."""

    def visitors(self, limit: int) -> list[VisitorTotals]:
        """Give the visitors that have moved the most."""

    def usage(self) -> Usage | None:
        """Give what was moved by days; None: nothing counts."""


class TunnelOwner(Protocol):
    """The client behind a tunnel."""

    @property
    def server_latency(self) -> float | None:
        """Seconds of a round trip to the server."""

    def close_endpoint(self, endpoint: Endpoint) -> None:
        """Take the tunnel or visitor down."""

    def wait_for(self, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
        """Wait until the tunnel or visitor has this status."""

    def probe(self, tunnel: Tunnel, timeout: float) -> ProbeResult:
        """Visit the tunnel through its public address."""

    def server_counters(self, tunnel: Tunnel, timeout: float) -> ServerCounters | None:
        """Give what frps has counted of the tunnel."""


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """Where visitors reach a tunnel."""

    url: str
    host: str
    port: int | None


class Endpoint:
    """What tunnels and visitors have in common: an id, a status, ways to wait and to close.

    As a context manager it closes itself at the end of the block.
    """

    def __init__(self, name: str, owner: TunnelOwner) -> None:
        self._name = name
        self._owner = owner
        self._status = TunnelStatus.STARTING
        self.lifeline = Lifeline()
        """When it was online, and how often it came and went."""
        self.error: FRPError | None = None
        """Why the status is ``error``; None otherwise."""

    @property
    def id(self) -> str:
        """The name, unique within the client; frpc and frps show the same."""
        return self._name

    @property
    def status(self) -> TunnelStatus:
        """How it is, now."""
        return self._status

    @property
    def uptime(self) -> float:
        """Seconds since it last came online; 0.0 while it is not."""
        return self.lifeline.uptime

    def set_status(self, status: TunnelStatus, error: FRPError | None = None) -> bool:
        """Note a new status, for the client only; True when it changed."""
        changed = status is not self._status
        if status is TunnelStatus.CLOSED:
            self.lifeline.end()
        self.lifeline.note(up=status is TunnelStatus.ONLINE)
        self._status = status
        self.error = error
        return changed

    def wait(self, status: TunnelStatus | str = TunnelStatus.ONLINE, timeout: float = 10.0) -> None:
        """Wait until it has a status.

        Raises:
            TimeoutError: It does not within ``timeout`` seconds.
            TunnelError: frps refuses it, so that it cannot come online.
            ValueError: There is no such status.
        """
        self._owner.wait_for(self, TunnelStatus(status), timeout)

    def close(self) -> None:
        """Take it down; connections that are open may finish. A second call does nothing."""
        self._owner.close_endpoint(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Tunnel(Endpoint):
    """A local service that visitors reach through the server; made by the ``expose_*`` methods of a client."""

    def __init__(self, config: TunnelConfig, owner: TunnelOwner, meter: TunnelNumbers) -> None:
        super().__init__(config.name, owner)
        self.config = config
        self._meter = meter
        self._addresses: tuple[PublicAddress, ...] = ()
        self.service_is_up = True
        """False while the local service is known to accept no connections."""

    def __repr__(self) -> str:
        return f"<Tunnel {self.id} {self.config.tunnel_type} {self.url or '-'} {self.status.value}>"

    @property
    def url(self) -> str | None:
        """Where visitors reach it, such as ``tcp://host:41873``; None until frps has told, and for secret types."""
        return self._addresses[0].url if self._addresses else None

    @property
    def urls(self) -> tuple[str, ...]:
        """All addresses, one for each domain and path."""
        return tuple(address.url for address in self._addresses)

    @property
    def public_host(self) -> str | None:
        """The host in `url`."""
        return self._addresses[0].host if self._addresses else None

    @property
    def public_port(self) -> int | None:
        """The port in `url`."""
        return self._addresses[0].port if self._addresses else None

    @property
    def metrics(self) -> TunnelMetrics:
        """A consistent copy of the numbers, taken now."""
        metrics = self._meter.read(self.id)
        metrics.uptime_seconds = self.uptime
        metrics.reconnects = self.lifeline.reconnects
        metrics.flaps = self.lifeline.flaps
        metrics.uptime_percent = self.lifeline.uptime_percent
        metrics.server_latency = self._owner.server_latency
        return metrics

    @property
    def counts(self) -> Counts | None:
        """The totals of `metrics` alone, for who asks often; None: nothing counts."""
        return self._meter.counts()

    def connections(self) -> list[Connection]:
        """Give the open connections; empty when nothing measures this tunnel (see ``metrics.source``).

        Their rates are those since the last call, half a second ago at least; the first call gives none.
        """
        return self._meter.connections()

    def top_visitors(self, limit: int = 10) -> list[VisitorTotals]:
        """Give the visitors that have moved the most bytes, the first the most; open connections count.

        Only the relay knows visitors' addresses. Of each tunnel 1,000 are told apart.
        """
        return self._meter.visitors(limit)

    @property
    def usage(self) -> Usage | None:
        """What it has moved today, this month and by day, by this machine's calendar; None: nothing counts.

        Counted since the client was made, or as far back as its ``usage_file`` goes.
        """
        return self._meter.usage()

    def probe(self, timeout: float = 5.0) -> ProbeResult:
        """Visit it through its public address: the only proof that it works. The local service sees one more visitor.

        Args:
            timeout: Seconds that it may take.

        Raises:
            ConfigError: Only tunnels of types tcp, http and https have an address that can be visited.
        """
        return self._owner.probe(self, timeout)

    def server_counters(self, timeout: float = 3.0) -> ServerCounters | None:
        """Give what frps has counted of it today, at most ten seconds old if frps answers in time.

        Args:
            timeout: Seconds to wait for frps; then what it said last is given. 0: do not wait.

        Returns:
            None: not known (yet); `FRPClient.server_counters_error` may say why. So it is always without
            ``server_dashboard``, for xtcp, whose traffic frps does not see, and while the client is not connected.
        """
        return self._owner.server_counters(self, timeout)

    def recent_connections(self) -> list[Connection]:
        """Give the last closed connections, at most 256, newest last."""
        return self._meter.recent()

    def set_addresses(self, addresses: tuple[PublicAddress, ...]) -> None:
        """Note where it is reachable, for the client only."""
        self._addresses = addresses


class Visitor(Endpoint):
    """The local end of a secret tunnel of somebody else; made by the ``visit_*`` methods of a client."""

    def __init__(self, config: VisitorConfig, owner: TunnelOwner) -> None:
        super().__init__(config.name, owner)
        self.config = config

    def __repr__(self) -> str:
        return f"<Visitor {self.id} {self.config.visitor_type} {self.local_address} {self.status.value}>"

    @property
    def local_address(self) -> str:
        """Where programs on this machine reach the tunnel, ``host:port``."""
        return f"{self.config.bind_host}:{self.config.bind_port}"


def generated_name(kind: str, port: int | None) -> str:
    """Make up a name that no other client of the same server has."""
    return f"{kind}-{port}-{secrets.token_hex(4)}" if port else f"{kind}-{secrets.token_hex(4)}"


def public_addresses(config: TunnelConfig, server: str, remote_addr: str) -> tuple[PublicAddress, ...]:
    """Give the public addresses of a tunnel from what frps answered.

    Args:
        config: The tunnel.
        server: The server's host as the user wrote it.
        remote_addr: ``host:port`` for tcp and udp, a comma list of ``domain[:port]`` for http, https and tcpmux.
    """
    if config.tunnel_type in ("tcp", "udp"):
        _, _, port = remote_addr.rpartition(":")
        if not port.isdigit():
            return ()
        host = f"[{server}]" if ":" in server else server
        return (PublicAddress(f"{config.tunnel_type}://{host}:{port}", server, int(port)),)
    if config.tunnel_type not in ("http", "https", "tcpmux"):
        return ()
    paths = config.locations or ("",)
    domains = [domain for domain in remote_addr.split(",") if domain]
    return tuple(_web_address(config.tunnel_type, domain, path) for domain in domains for path in paths)


_DEFAULT_PORTS: Mapping[str, int] = {"http": 80, "https": 443}


def _web_address(scheme: str, domain: str, path: str) -> PublicAddress:
    host, _, port = domain.rpartition(":")
    if not port.isdigit():
        host, port = domain, ""
    number = int(port) if port else _DEFAULT_PORTS.get(scheme)
    return PublicAddress(f"{scheme}://{domain}{'' if path == '/' else path}", host, number)
