"""What frps itself has counted of our tunnels: asked only when somebody wants to know, and not often."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from frp_wrapper.config import ClientConfig, TunnelConfig
from frp_wrapper.errors import FRPError
from frp_wrapper.frp.server_api import ServerApi, ServerProxy
from frp_wrapper.monitoring.logger import FRPLogger, LogLevel

__all__ = ["ServerCounters", "ServerCounting"]

_INTERVAL = 10.0
"""Seconds for which an answer is given again; each look costs a line of frps's log."""
_JOIN = 3.0
_UNSEEN = frozenset({"xtcp"})
"""Types whose traffic does not go through frps: its numbers stay 0."""
_CONNECTIONLESS = frozenset({"udp"})


@dataclass(frozen=True, slots=True)
class ServerCounters:
    """What frps has counted of one tunnel, of payload as `TunnelMetrics`, but otherwise than we do.

    "Today" is the day of frps's clock, and begins anew when frps starts. Bytes of a connection are counted when it closes;
    of a udp tunnel at once, of an http tunnel up to a minute late, with the headers as frps rewrites them. The numbers
    belong to the name on the server, whoever had a tunnel of it.

    Attributes:
        bytes_sent_today: From the service to visitors: what frps calls out.
        bytes_received_today: From visitors to the service: what frps calls in.
        open_connections: Of visitors; of an http tunnel those between frps and frpc, open or kept. None: of udp tunnels
            frps counts none.
        last_start: When the tunnel last came, ``MM-DD HH:MM:SS`` on frps's clock, whose zone nothing tells; None: never.
        last_close: When it last went, likewise.
        as_of: When frps told, timezone-aware UTC.
        source: Who has counted.
    """

    bytes_sent_today: int
    bytes_received_today: int
    open_connections: int | None
    last_start: str | None
    last_close: str | None
    as_of: datetime
    source: Literal["frps"] = "frps"


@dataclass(frozen=True, slots=True)
class _Look:
    """One question to frps, on a thread of its own: looking a name up knows no time limit."""

    thread: threading.Thread
    done: threading.Event
    began: float


class ServerCounting:
    """The counters of one client's tunnels, a question for all tunnels of a type.

    Args:
        api: Who is asked.
        config: The client.
    """

    def __init__(self, api: ServerApi, config: ClientConfig) -> None:
        self._api = api
        self._server = config.server
        self._prefix = f"{config.user}." if config.user else ""
        self._logger = FRPLogger("server")
        self._lock = threading.Lock()
        self._looks: dict[str, _Look] = {}
        self._known: dict[str, Mapping[str, ServerCounters]] = {}
        self._stopped = False
        self.error: FRPError | None = None
        """Why the last question was not answered; None: it was, or there was none."""

    def counters(self, tunnel: TunnelConfig, timeout: float) -> ServerCounters | None:
        """Give what frps has counted of a tunnel, at most ten seconds old if frps answers; None: not known (yet).

        Args:
            tunnel: Which.
            timeout: Seconds to wait for frps's answer; then, as after a failure, what it said last is given.
        """
        kind = tunnel.tunnel_type
        if kind in _UNSEEN:
            return None
        look = self._look(kind)
        if look is not None:
            look.done.wait(timeout)
        return self._known.get(kind, {}).get(self._prefix + tunnel.name)

    def stop(self) -> None:
        """Ask no more; a question that is under way ends by its own time limit."""
        with self._lock:
            self._stopped = True
        deadline = time.monotonic() + _JOIN
        for look in self._looks.values():
            look.thread.join(max(0.0, deadline - time.monotonic()))

    def _look(self, kind: str) -> _Look | None:
        """Give the newest question about a type, asked now if it is time."""
        with self._lock:
            look = self._looks.get(kind)
            is_due = look is None or (look.done.is_set() and time.monotonic() - look.began > _INTERVAL)
            if is_due and not self._stopped:
                look = self._begin(kind)
                self._looks[kind] = look
            return look

    def _begin(self, kind: str) -> _Look:
        name = f"frp-wrapper-server-counters-{self._server}"
        done = threading.Event()
        thread = threading.Thread(target=self._ask, args=(kind, done), name=name, daemon=True)
        thread.start()
        return _Look(thread, done, time.monotonic())

    def _ask(self, kind: str, done: threading.Event) -> None:
        try:
            proxies = self._api.proxies(kind)
            now = datetime.now(UTC)
            mine = (proxy for proxy in proxies if proxy.name.startswith(self._prefix))
            self._known[kind] = {proxy.name: _counters(proxy, kind, now) for proxy in mine}
            self.error = None
        except FRPError as exc:
            self._fail(exc)
        finally:
            done.set()

    def _fail(self, error: FRPError) -> None:
        before, self.error = self.error, error
        if before is None or before.reason != error.reason:  # not the same with each question
            self._logger.log(
                LogLevel.WARNING,
                "server_counters_failed",
                reason=error.reason,
                message=error.what,
                hint=error.hint,
                server=self._server,
            )


def _counters(proxy: ServerProxy, kind: str, as_of: datetime) -> ServerCounters:
    return ServerCounters(
        bytes_sent_today=proxy.bytes_sent_today,
        bytes_received_today=proxy.bytes_received_today,
        open_connections=None if kind in _CONNECTIONLESS else proxy.open_connections,
        last_start=proxy.last_start,
        last_close=proxy.last_close,
        as_of=as_of,
    )
