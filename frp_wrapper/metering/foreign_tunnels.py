"""The books of an frpc that somebody else runs: which tunnel, or which tunnels together, a connection counts for."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from frp_wrapper._ticker import Ticker
from frp_wrapper.config import TunnelConfig
from frp_wrapper.frp.processes import FrpcProcess
from frp_wrapper.metering.connection import Connection, Counts, Tell, ignore
from frp_wrapper.metering.foreign import Destination, ForeignMeter, Routes
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.statistics import Statistics
from frp_wrapper.metering.tunnel_meters import NoMeter, Told, finished
from frp_wrapper.metering.usage import UsageBook, UsagePage
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.tunnel import TunnelMeter

__all__ = ["ForeignMetering", "SharedService"]

_INTERVAL = 1.0
"""Seconds between two samples."""
_DEBUG = frozenset({"debug", "trace"})


class SharedService:
    """A local service that several tunnels lead to, and what went to it through all of them together.

    Attributes:
        tunnels: Their names.
    """

    def __init__(
        self, tunnels: tuple[str, ...], make: Callable[[Tell], TunnelMeter], page: UsagePage
    ) -> None:
        self.tunnels = tunnels
        self._statistics = Statistics(make, ignore, page, knows_beginnings=False)

    def __repr__(self) -> str:
        return f"<SharedService of {', '.join(self.tunnels)}>"

    @property
    def metrics(self) -> TunnelMetrics:
        """The numbers of connections of which nothing tells through which of the tunnels they came, taken now."""
        return self._statistics.read(" + ".join(self.tunnels))

    def connections(self) -> list[Connection]:
        """Give those that are open."""
        return self._statistics.connections()

    def sample(self) -> None:
        """Note the totals for the rates."""
        self._statistics.sample()


class ForeignMetering:
    """The meters of one frpc that somebody else runs.

    Args:
        name: For the names of threads.
        tell: Told what connections do.
        kernel: Whose sockets are counted; None: the kernel cannot be asked.
        is_logged: Whether frpc's log is read.
    """

    def __init__(self, name: str, tell: Told, kernel: ForeignMeter | None, *, is_logged: bool) -> None:
        self._tell = tell
        self._kernel = kernel
        self._is_logged = is_logged
        self._usage = UsageBook(name)
        self._lock = threading.Lock()
        self._statistics: dict[str, Statistics] = {}
        self._configs: dict[str, TunnelConfig] = {}
        self._meters: dict[str, _KernelMeter | _LogMeter] = {}
        self._shared: dict[tuple[str, ...], tuple[SharedService, Ledger]] = {}
        self._ticker = Ticker(f"sampler-{name}", _INTERVAL, self.sample)

    def start(self) -> None:
        """Take in what is open, and begin to sample."""
        if self._kernel is not None:
            self._kernel.start()
        self._ticker.start()

    def follow(self, process: FrpcProcess | None) -> None:
        """Note which process is the frpc from now on; None: there is none now."""
        if self._kernel is not None:
            self._kernel.follow(process)

    def meter(self, config: TunnelConfig) -> Statistics:
        """Make the meter of a tunnel that was not there before; `reroute` lets it count."""
        name = config.name
        with self._lock:
            self._configs[name] = config
            self._statistics[name] = Statistics(
                lambda tell: self._make(config, tell),
                lambda kind, connection: self._tell(name, kind, connection),
                self._usage.page(name),
                knows_beginnings=False,
            )
            return self._statistics[name]

    def discard(self, name: str) -> None:
        """Stop counting a tunnel; its last numbers stay readable."""
        with self._lock:
            statistics = self._statistics.pop(name, None)
            self._configs.pop(name, None)
            self._meters.pop(name, None)
        if statistics is not None:
            statistics.close()

    def reroute(self) -> None:
        """Let connections count where the tunnels of this moment lead."""
        if self._kernel is None:
            return
        with self._lock:
            meters = {name: meter for name, meter in self._meters.items() if isinstance(meter, _KernelMeter)}
            leading = {name: set(_destinations(self._configs[name])) for name in meters}
        at: dict[Destination, Ledger] = {}
        for names, destinations in _groups(leading):
            is_shared = len(names) > 1
            ledger = self._shared_ledger(names) if is_shared else meters[names[0]].ledger
            at |= dict.fromkeys(destinations, ledger)
            for name in names:
                meters[name].is_alone = not is_shared
        named = {name: meter.ledger for name, meter in meters.items()}
        self._kernel.route(Routes(at, named))

    def shared(self) -> list[SharedService]:
        """Give the services that several tunnels lead to, where something counts for all of them together."""
        with self._lock:
            known = [(service, ledger) for service, ledger in self._shared.values()]
        names_come = self._kernel is not None and self._kernel.names_come
        return [service for service, ledger in known if ledger.totals().connections or not names_come]

    def on_record(self, record: Mapping[str, Any], tunnel: str | None) -> None:
        """Take in a line of frpc's log.

        Args:
            record: The line.
            tunnel: The name of its tunnel.
        """
        if self._kernel is not None and record["level"] in _DEBUG:
            self._kernel.names_come = True
        meter = self._meters.get(tunnel or "")
        if record["type"] == "connection_opened" and "service_addr" in record and tunnel:
            if isinstance(meter, _LogMeter):
                meter.opened(record["local_addr"])
            elif self._kernel is not None:
                self._kernel.name(record["local_addr"], record["service_addr"], tunnel)
        elif record["type"] == "connection_error" and "local_port" in record and meter is not None:
            meter.failed(str(record.get("error") or record["message"]))

    def recall(self, record: Mapping[str, Any], tunnel: str | None) -> None:
        """Take in a line of the log's past: it names connections that may still be open, and counts nothing."""
        if self._kernel is not None and record["type"] != "connection_error":
            self.on_record(record, tunnel)

    def sample(self) -> None:
        """Note the totals of this moment for the rates."""
        for statistics in list(self._statistics.values()):
            statistics.sample()
        for service, _ in list(self._shared.values()):
            service.sample()

    def close(self) -> None:
        """Close all meters."""
        self._ticker.stop()
        for name in list(self._statistics):
            self.discard(name)
        if self._kernel is not None:
            self._kernel.stop()

    def _make(self, config: TunnelConfig, tell: Tell) -> TunnelMeter:
        meter: _KernelMeter | _LogMeter
        has_tcp = config.plugin is None and config.tunnel_type not in ("udp", "sudp")
        if self._kernel is not None and has_tcp and config.local_port is not None:
            meter = _KernelMeter(self._kernel, tell)
        elif self._is_logged and has_tcp:
            meter = _LogMeter(tell)
        else:
            return NoMeter()
        self._meters[config.name] = meter
        return meter

    def _shared_ledger(self, names: tuple[str, ...]) -> Ledger:
        with self._lock:
            if names not in self._shared:
                assert self._kernel is not None
                meter = _KernelMeter(self._kernel, ignore)
                meter.is_alone = True
                self._shared[names] = (
                    SharedService(names, lambda _: meter, self._usage.page(" + ".join(names))),
                    meter.ledger,
                )
            return self._shared[names][1]


class _KernelMeter:
    """Counts one tunnel, or several together, by the kernel's counters."""

    def __init__(self, kernel: ForeignMeter, tell: Tell) -> None:
        self._kernel = kernel
        self._is_closed = False
        self.ledger = Ledger(measured=True, tell=tell)
        self.is_alone = False
        """Whether it is known where it leads, and no other tunnel leads there."""

    @property
    def _is_unknown(self) -> bool:
        return not self.is_alone and not self._kernel.names_come

    def failed(self, error: str) -> None:
        """Count a connection that the local service did not take, of which frpc has told."""
        self.ledger.failed(error)

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment; None for what cannot be told from that of another tunnel."""
        self._refresh()
        if not self._is_unknown:
            return finished(self.ledger, tunnel_id, "passive")
        errors = self.ledger.counts().errors if self._kernel.errors_are_logged else None
        return TunnelMetrics(
            tunnel_id, None, None, None, errors, source="log" if errors is not None else None
        )

    def counts(self) -> Counts | None:
        """Give the totals alone."""
        self._refresh()
        return None if self._is_unknown else self.ledger.counts()

    def connections(self) -> list[Connection]:
        """Give the open connections."""
        self._refresh()
        return self.ledger.connections()

    def recent(self) -> list[Connection]:
        """Give the last closed connections."""
        return self.ledger.recent()

    def close(self) -> None:
        """Stop counting; the last numbers stay readable."""
        self._refresh()
        self._is_closed = True
        self._kernel.forget(self.ledger)

    def _refresh(self) -> None:
        if not self._is_closed:
            self._kernel.refresh()


class _LogMeter:
    """Counts one tunnel by frpc's log alone, which tells of connections (at level debug) and failures, not of bytes."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last: datetime | None = None

    def opened(self, local: str) -> None:
        """Count a connection that frpc has handed to the local service."""
        self._note("opened", Connection(None, datetime.now(UTC), None, None, None, local_address=local))

    def failed(self, error: str) -> None:
        """Count a connection that the local service did not take."""
        now = datetime.now(UTC)
        self._note("failed", Connection(None, now, now, None, None, error=error))

    def _note(self, kind: str, connection: Connection) -> None:
        with self._lock:
            self._counts[kind] += 1
            self._last = connection.opened_at
        self._tell(kind, connection)

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give what the log has told since it is read."""
        with self._lock:
            opened, failed, last = self._counts["opened"], self._counts["failed"], self._last
        return TunnelMetrics(
            tunnel_id,
            bytes_sent=None,
            bytes_received=None,
            connection_count=opened + failed if opened else None,
            error_count=failed,
            last_activity=last,
            source="log",
            as_of=datetime.now(UTC),
        )

    def counts(self) -> None:
        """Give nothing: bytes are not known."""

    def connections(self) -> list[Connection]:
        """Give none: the log does not tell which one ends."""
        return []

    def recent(self) -> list[Connection]:
        """Give none, likewise."""
        return []

    def close(self) -> None:
        """Do nothing."""


def _destinations(config: TunnelConfig) -> Iterator[Destination]:
    """Give where a tunnel leads, as the kernel writes it; nothing while the name of its host cannot be looked up."""
    assert config.local_port is not None
    try:
        found = socket.getaddrinfo(config.local_host, config.local_port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):  # there is no such name, or it can be none
        return
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if ip.is_unspecified:  # who connects there reaches this machine
            ip = ipaddress.ip_address("127.0.0.1" if ip.version == 4 else "::1")
        yield ip.packed.ljust(16, b"\0"), config.local_port


def _groups(
    leading: Mapping[str, Iterable[Destination]],
) -> Iterator[tuple[tuple[str, ...], set[Destination]]]:
    """Give the tunnels that lead to common destinations, and these."""
    of: dict[Destination, tuple[set[str], set[Destination]]] = {}
    for name, destinations in leading.items():
        group = {name}, set(destinations)
        for other in {id(of[one]): of[one] for one in group[1] & of.keys()}.values():
            group[0].update(other[0])
            group[1].update(other[1])
        of |= dict.fromkeys(group[1], group)
    for names, destinations in {id(group): group for group in of.values()}.values():
        yield tuple(sorted(names)), destinations
