"""Gives each tunnel of a client its meter: passive, relay, or none."""

from __future__ import annotations

import contextlib
import select
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from frp_wrapper._ticker import Ticker
from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.metering import passive
from frp_wrapper.metering.connection import Connection, Counts, Tell
from frp_wrapper.metering.ledger import Ledger
from frp_wrapper.metering.passive import PassiveMeter
from frp_wrapper.metering.relay_meter import Counters, RelayMeter, Sidecar, connection_of
from frp_wrapper.metering.sockdiag import Dumper
from frp_wrapper.metering.statistics import Statistics
from frp_wrapper.metering.usage import UsageBook
from frp_wrapper.monitoring.counters import default_counters
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.relay_options import DATAGRAMS, wanted
from frp_wrapper.tunnel import TunnelMeter

_INTERVAL = 1.0
"""Seconds between two samples."""
_FLUSH_INTERVAL = 60.0
"""Seconds between two times that the days are written to their file."""
_NEWS_PARTS = 4
"""Parts of the relay's news taken in at once; all that it keeps is two."""
_TELLING_LEVELS = frozenset({"debug", "trace"})
"""Levels of frpc's log at which it names each connection."""


Told = Callable[[str, str, Connection], None]
"""Is told the name of a tunnel, what a connection of it did (see `Tell`), and the connection."""


class Metering:
    """The meters of one client.

    Args:
        config: The client; frpc names connections only at log level debug or trace.
        sidecar: Where the relay of this client lives.
        tell: Told what connections do.
        wants_opened: Says whether anybody wants to know at once of connections that begin.
        usage: Where days are kept.
    """

    def __init__(
        self,
        config: ClientConfig,
        sidecar: Sidecar,
        tell: Told,
        wants_opened: Callable[[], bool],
        usage: UsageBook,
    ) -> None:
        self._usage = usage
        self._flushed_at = time.monotonic()
        self._named_connections = config.log_level in _TELLING_LEVELS
        self._prefix = f"{config.user}." if config.user else ""
        self._sidecar = sidecar
        self._tell = tell
        self._wants_opened = wants_opened
        self._lock = threading.Lock()
        self._reading_news = threading.Lock()
        self._counters: Counters | None = None
        self._statistics: dict[str, Statistics] = {}
        self._passive: dict[str, LedgerMeter] = {}
        self._relayed: dict[str, RelayMeter] = {}
        self._ticker = Ticker(f"sampler-{config.server}", _INTERVAL, self.sample)
        self.lost_news = 0
        """Relayed connections whose end was not told in time; the totals have them."""
        default_counters.watch(
            self,
            "lost_news",
            "frp_wrapper_relay_news_lost_total",
            "Relayed connections whose end was not told in time; the totals have them.",
            server=config.server,
        )
        self.forgotten_visitors = 0
        """Visitors whose rate the relay forgot before it was back to its full amount, because there were so many."""
        default_counters.watch(
            self,
            "forgotten_visitors",
            "frp_wrapper_relay_visitors_forgotten_total",
            "Visitors whose rate of new connections was forgotten too early, because there were so many.",
            server=config.server,
        )

    def start(self) -> None:
        """Begin to sample."""
        self._ticker.start()

    def meter(self, config: TunnelConfig) -> Statistics:
        """Make the meter of a new tunnel.

        Raises:
            ProcessError: It shall be relayed, and the relay cannot.
        """
        name = config.name
        with self._lock:
            statistics = Statistics(
                lambda tell: self._make(config, tell),
                lambda kind, connection: self._tell(name, kind, connection),
                self._usage.page(name),
            )
            self._statistics[name] = statistics
        return statistics

    def _make(self, config: TunnelConfig, tell: Tell) -> TunnelMeter:
        if _is_relayed(config):
            self._counters = self._counters or Counters(self._sidecar.folder)
            relayed = RelayMeter(config, self._sidecar, self._counters, self._take_news)
            self._relayed[config.name] = relayed
            return relayed
        if config.meter == "off" or config.plugin is not None or not self._named_connections:
            return NoMeter()
        passive_meter = self._passive[config.name] = LedgerMeter(config, tell)
        return passive_meter

    def relay_address(self, config: TunnelConfig) -> tuple[str, int] | None:
        """Give where frpc must connect to for a relayed tunnel, None for others."""
        relayed = self._relayed.get(config.name)
        return ("127.0.0.1", relayed.port) if relayed else None

    def discard(self, config: TunnelConfig) -> None:
        """Stop counting a tunnel; its last numbers stay readable."""
        statistics = self._statistics.get(config.name)
        if statistics is not None:
            statistics.close()
        self._take_news()  # of what ended with it
        with self._lock:
            self._statistics.pop(config.name, None)
            self._passive.pop(config.name, None)
            self._relayed.pop(config.name, None)

    def on_record(self, record: Mapping[str, Any]) -> None:
        """Take in a line of frpc that tells of a connection."""
        name = record["tunnel_id"]
        meter = self._passive.get(name.removeprefix(self._prefix)) if name else None
        if meter is None:
            return
        if record["type"] == "connection_opened" and "service_addr" in record:
            meter.opened(record["local_addr"], record["service_addr"])
        elif record["type"] == "connection_error" and "local_port" in record:
            meter.ledger.failed(str(record.get("error") or record["message"]))

    def sample(self) -> None:
        """Take in what the relay has to tell, and note the totals of this moment for the rates."""
        self._take_news()
        for statistics in list(self._statistics.values()):
            statistics.sample()
        if time.monotonic() - self._flushed_at >= _FLUSH_INTERVAL:
            self._flushed_at = time.monotonic()
            self._usage.flush()

    def _take_news(self) -> None:
        if not self._relayed:
            return
        # one thread at a time: statistics take in one at a time, in order; an error: the sidecar is being replaced
        with self._reading_news, contextlib.suppress(FRPError):
            for _ in range(_NEWS_PARTS):
                if not self._take_some_news():
                    break

    def _take_some_news(self) -> bool:
        """Take in a part of it; True when there is more."""
        news = self._sidecar.request("relay_news", opened=self._wants_opened())
        self.lost_news += news["lost"]
        self.forgotten_visitors += news["forgotten"]
        for row in news["rows"]:
            self._tell_of(row["tunnel"], row["kind"], connection_of(row["connection"]))
        return bool(news["more"])

    def _tell_of(self, name: str, kind: str, connection: Connection) -> None:
        relayed, statistics = self._relayed.get(name), self._statistics.get(name)
        if relayed is not None and statistics is not None:
            relayed.remember(kind, connection)
            statistics.note(kind, connection)

    def reopen(self) -> list[str]:
        """Set up the relay again in a new sidecar; gives the tunnels that frpc must be told another port for."""
        moved = []
        for name, meter in list(self._relayed.items()):
            with contextlib.suppress(FRPError):  # closed meanwhile, or the sidecar is gone again
                moved += [name] if meter.reopen() else []
        return moved

    def close(self) -> None:
        """Close all meters."""
        self._ticker.stop()
        self._take_news()
        for passive_meter in self._passive.values():
            passive_meter.close()
        answers = True  # one sidecar that does not answer is waited for once, not for each tunnel
        for relayed in self._relayed.values():
            answers = relayed.close(ask=answers)
        if answers:
            self._take_news()  # of what ended with them
        for statistics in self._statistics.values():
            statistics.usage()  # with what came since the last sample
        self._usage.flush()
        self._statistics.clear()
        self._passive.clear()
        self._relayed.clear()
        if self._counters is not None:
            self._counters.close()


def _is_relayed(config: TunnelConfig) -> bool:
    """Say whether a tunnel goes through the relay: because it shall, or because nothing else can do what it asks for."""
    if config.meter != "auto" or config.plugin is not None:
        return config.meter == "relay"
    return bool(wanted(config)) or (
        config.tunnel_type not in DATAGRAMS and _relay_runs() and not _kernel_tells()
    )


def _relay_runs() -> bool:
    return hasattr(select, "epoll")


@cache
def _kernel_tells() -> bool:
    """Say whether this system has sock_diag; found out once."""
    try:
        kernel = Dumper()
    except OSError:
        return False
    try:
        kernel.listening()
    except OSError:
        return False
    finally:
        kernel.close()
    return True


class LedgerMeter:
    """Counts one tunnel from frpc's lines and, where the system has sock_diag, the kernel's counters."""

    def __init__(self, config: TunnelConfig, tell: Tell) -> None:
        assert config.local_port is not None
        self._port = config.local_port
        self._kernel: PassiveMeter | None = None
        if config.tunnel_type not in DATAGRAMS:
            with contextlib.suppress(OSError):
                self._kernel = passive.watch(self._port)
        self._source = "passive" if self._kernel is not None else None
        self.ledger = Ledger(measured=self._kernel is not None, tell=tell)

    def opened(self, local: str, remote: str) -> None:
        """Note a connection that frpc made, named by its two ends."""
        if self._kernel is not None:
            self._kernel.opened(self.ledger, local, remote)

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give the numbers of this moment; None for what is not measured on this system."""
        if self._kernel is not None:
            self._kernel.refresh()
        return finished(self.ledger, tunnel_id, self._source)

    def counts(self) -> Counts | None:
        """Give the totals alone."""
        if self._kernel is not None:
            self._kernel.refresh()
        return self.ledger.counts() if self._source is not None else None

    def connections(self) -> list[Connection]:
        """Give the open connections."""
        if self._kernel is not None:
            self._kernel.refresh()
        return self.ledger.connections()

    def recent(self) -> list[Connection]:
        """Give the last closed connections."""
        return self.ledger.recent()

    def close(self) -> None:
        """Stop counting; the last numbers stay readable."""
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.refresh()
            kernel.forget(self.ledger)
            passive.unwatch(kernel, self._port)


class NoMeter:
    """Counts nothing, and says so."""

    def read(self, tunnel_id: str) -> TunnelMetrics:
        """Give nothing but unknowns."""
        return TunnelMetrics(tunnel_id, None, None, None, None)

    def counts(self) -> None:
        """Give nothing."""

    def connections(self) -> list[Connection]:
        """Give nothing."""
        return []

    def recent(self) -> list[Connection]:
        """Give nothing."""
        return []

    def close(self) -> None:
        """Do nothing."""


def finished(ledger: Ledger, tunnel_id: str, source: str | None) -> TunnelMetrics:
    """Give the numbers of a ledger; None for all when nothing measures."""
    if source is None:
        return TunnelMetrics(tunnel_id, None, None, None, None)
    totals = ledger.totals()
    return TunnelMetrics(
        tunnel_id=tunnel_id,
        bytes_sent=totals.bytes_sent,
        bytes_received=totals.bytes_received,
        connection_count=totals.connections,
        error_count=totals.errors,
        last_activity=totals.last_activity,
        open_connections=totals.open,
        source=source,
        as_of=datetime.now(UTC),
    )
