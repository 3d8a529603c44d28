"""The live view of a client's tunnels on the terminal."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from rich.box import SIMPLE, SIMPLE_HEAD
from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.table import Table
from rich.text import Text

from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus, Visitor

if TYPE_CHECKING:
    from collections.abc import Collection

    from frp_wrapper.attached import AttachedClient
    from frp_wrapper.client import FRPClient
    from frp_wrapper.metering.connection import Connection
    from frp_wrapper.monitoring.metrics import TunnelMetrics

_REFRESH = 0.5
"""Seconds between two looks at the numbers."""
_COLOURS = {
    TunnelStatus.STARTING: "yellow",
    TunnelStatus.ONLINE: "green",
    TunnelStatus.OFFLINE: "yellow",
    TunnelStatus.ERROR: "red",
    TunnelStatus.CLOSED: "dim",
    TunnelStatus.UNKNOWN: "dim",
}
_UNKNOWN = "?"
_CONNECTIONS = 6
"""Open connections that are shown."""


def watch(
    client: FRPClient | AttachedClient,
    *,
    seconds: float | None = None,
    note: str | None = None,
    console: Console | None = None,
    view: View | None = None,
) -> None:
    """Show the tunnels until Ctrl-C or for some seconds: a table on a terminal, a line per change elsewhere."""
    console = console or Console()
    view = view or View(client, note)
    until = time.monotonic() + seconds if seconds is not None else None
    if console.is_terminal:
        _watch_live(view, console, until)
    else:
        _watch_plain(client, console, until)


def summary(client: FRPClient) -> str:
    """Say in one line what has gone through the tunnels."""
    return summary_of([tunnel.metrics for tunnel in client.list_tunnels()])


def summary_of(metrics: Collection[TunnelMetrics]) -> str:
    """Say in one line what these numbers come to; what is not known of any of them is not known."""
    refused = sum(one.refused_count or 0 for one in metrics)
    also = f" {refused} refused," if refused else ""
    numbers = [(one.connection_count, one.bytes_sent, one.bytes_received) for one in metrics]
    known = [[number for number in column if number is not None] for column in zip(*numbers, strict=True)]
    if not any(known):
        return "nothing was counted"
    connections, sent, received = (sum(column) if column else None for column in known)
    return f"{_count(connections)} connections,{also} {_bytes(sent)} to visitors, {_bytes(received)} from visitors"


class View:
    """Draws a client's tunnels with their rates.

    Args:
        client: Whose.
        note: A line below the table.
    """

    untold = "not told (meter='relay' would)"
    """What stands in the place of a visitor's address."""

    def __init__(self, client: FRPClient | AttachedClient, note: str | None = None) -> None:
        self._client = client
        self._note = note

    def draw(self) -> Group:
        """Give the tables of this moment."""
        tables = [self._tunnels()]
        if (connections := self._connections()) is not None:
            tables.append(connections)
        return Group(*tables, *([Text(self._note, "dim")] if self._note else []))

    def _tunnels(self) -> Table:
        """Give a table that fits a terminal of 80 columns."""
        table = Table(title=self.title(), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
        table.add_column("tunnel", overflow="fold")
        table.add_column("status", overflow="fold")
        for heading in ("connections", "sent", "received"):
            table.add_column(heading, justify="right", no_wrap=True)
        for tunnel in self._client.list_tunnels():
            table.add_row(*self._tunnel_row(tunnel))
        self.add_rows(table)
        for visitor in self._client.list_visitors():
            table.add_row(_named(visitor.id, _visitor_way(visitor)), _status(visitor))
        return table

    def _connections(self) -> Table | None:
        """Give the open connections with the most bytes, None when there are none."""
        rows = self.open_connections()
        if not rows:
            return None
        table = Table(
            title="open connections", title_justify="left", title_style="dim", box=SIMPLE, pad_edge=False
        )
        for heading in ("visitor", "tunnel", "for", "sent", "received"):
            table.add_column(heading)
        for name, one in sorted(rows, key=lambda row: -(row[1].bytes_sent or 0))[:_CONNECTIONS]:
            visitor = one.visitor or Text(self.untold, "dim")
            table.add_row(
                visitor,
                printable(name),
                f"{one.duration:.0f} s",
                _bytes(one.bytes_sent),
                _bytes(one.bytes_received),
            )
        return table

    def open_connections(self) -> list[tuple[str, Connection]]:
        """Give the open connections, each with the name of its tunnel."""
        tunnels = self._client.list_tunnels()
        return [(tunnel.id, one) for tunnel in tunnels for one in tunnel.connections()]

    def title(self) -> Text:
        """Say whether frpc is connected, and why not."""
        client = self._client
        where = f"{client.server}:{client.config.port}"
        if client.is_connected():
            far = client.server_latency
            away = f", {1000 * far:.0f} ms away" if far is not None else ""
            return Text(
                f"connected to {where} for {timedelta(seconds=int(client.get_uptime()))}{away}", "green"
            )
        why = client.login_error
        return Text(
            printable(f"not connected to {where}{f': {why.what}' if why else ''}, trying again"), "red"
        )

    def add_rows(self, table: Table) -> None:
        """Add what there is besides tunnels and visitors."""

    def _tunnel_row(self, tunnel: Tunnel) -> list[Text | str]:
        way = f"{chr(10).join(tunnel.urls) or '(no public address)'}\n→ {_target(tunnel)}"
        return [_named(tunnel.id, way), _status(tunnel), *self.numbers(tunnel.metrics)]

    def numbers(self, metrics: TunnelMetrics) -> list[str]:
        """Give the cells of the numbers."""
        counts = (
            f"{_count(metrics.open_connections)} open\n{_count(metrics.connection_count)} in all\n"
            f"{_count(metrics.error_count)} failed"
            + (f"\n{_count(metrics.refused_count)} refused" if metrics.refused_count else "")
        )
        rates = (metrics.rates or {}).get(1)
        sent = _volume(metrics.bytes_sent, rates.bytes_sent if rates else None)
        received = _volume(metrics.bytes_received, rates.bytes_received if rates else None)
        return [counts, sent, received]


def _watch_live(view: View, console: Console, until: float | None) -> None:
    with Live(view.draw(), console=console, auto_refresh=False) as live:
        while until is None or time.monotonic() < until:
            time.sleep(_REFRESH)
            live.update(view.draw(), refresh=True)


def _watch_plain(client: FRPClient | AttachedClient, console: Console, until: float | None) -> None:
    """Print a line for every change: for logs, and for programs that read our output."""
    shown: dict[str, str] = {}
    while until is None or time.monotonic() < until:
        for endpoint in [*client.list_tunnels(), *client.list_visitors()]:
            line = _line(endpoint)
            if shown.get(endpoint.id) != line:
                shown[endpoint.id] = line
                console.print(line, highlight=False, soft_wrap=True)
        time.sleep(_REFRESH)


def _line(endpoint: Endpoint) -> str:
    where = ", ".join(endpoint.urls) if isinstance(endpoint, Tunnel) else _way_of(endpoint)
    why = f": {endpoint.error.what}" if endpoint.error else ""
    return printable(f"{endpoint.id}  {endpoint.status.value}  {where}{why}")


def _way_of(endpoint: Endpoint) -> str:
    return _visitor_way(endpoint) if isinstance(endpoint, Visitor) else ""


def printable(text: str) -> str:
    """Give a text without what would do something to a terminal: names and messages may be anybody's."""
    return "".join(letter if letter.isprintable() or letter == "\n" else "?" for letter in text)


def _named(name: str, way: str) -> Text:
    return Text.assemble((printable(name), "bold"), "\n", printable(way))


def _visitor_way(visitor: Visitor) -> str:
    return f"{visitor.local_address}\n→ {visitor.config.server_name} of another client"


def _target(tunnel: Tunnel) -> str:
    config = tunnel.config
    if config.plugin is not None:
        return f"plugin {config.plugin.type}"
    return f"{config.local_host}:{config.local_port}" if config.local_port is not None else _UNKNOWN


def _status(endpoint: Endpoint) -> Text:
    text = Text(endpoint.status.value, _COLOURS[endpoint.status])
    if endpoint.error is not None:
        text.append(f"\n{endpoint.error.reason}: {endpoint.error.hint}", "dim")
    return text


def _volume(total: int | None, rate: float | None) -> str:
    """Give what went through so far, and below it how much a second."""
    return f"{_bytes(total)}\n{_UNKNOWN if rate is None else decimal(int(rate))}/s"


def _bytes(number: int | None) -> str:
    return _UNKNOWN if number is None else decimal(number)


def _count(number: int | None) -> str:
    return _UNKNOWN if number is None else str(number)
