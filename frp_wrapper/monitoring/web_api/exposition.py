"""The numbers as Prometheus reads them: its text format, or OpenMetrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from frp_wrapper._version import __version__
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.web_api.snapshot import Snapshot
from frp_wrapper.monitoring.web_api.views import Client
from frp_wrapper.tunnel import Tunnel

if TYPE_CHECKING:
    from frp_wrapper.metering.server_counters import ServerCounters
    from frp_wrapper.monitoring.web_api.runtime import Runtime

__all__ = ["OPEN_METRICS", "TEXT", "families", "media_type"]

TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPEN_METRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Number = int | float | bool | None
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric.

    Attributes:
        name: Without ``frp_wrapper_`` before and ``_total`` behind.
        kind: ``counter``, ``gauge`` or ``summary``.
        help: What it tells.
        samples: End of the name, labels, value; those with None are left out.
    """

    name: str
    kind: str
    help: str
    samples: Iterable[tuple[str, Labels, Number]]


def media_type(accept: str) -> str:
    """Give the format for the Accept header of a request."""
    return OPEN_METRICS if "application/openmetrics-text" in accept else TEXT


def families(snapshot: Snapshot, runtime: Runtime, media: str) -> Iterator[bytes]:
    """Give each metric that is known as text, and the end."""
    is_open = media == OPEN_METRICS
    for family in (
        *_of_client(snapshot, runtime),
        *_of_tunnels(snapshot),
        *_of_server(snapshot),
        *_of_shared(runtime.client),
        *_of_dashboard(runtime),
    ):
        yield _text(family, is_open=is_open)
    if is_open:
        yield b"# EOF\n"


def _text(family: Family, *, is_open: bool) -> bytes:
    name = f"frp_wrapper_{family.name}"
    end = "_total" if family.kind == "counter" else ""
    lines = [
        f"{name}{end}{suffix}{_labels(labels)} {_value(value)}\n"
        for suffix, labels, value in family.samples
        if value is not None
    ]
    if not lines:
        return b""
    shown = name if is_open else name + end
    head = f"# HELP {shown} {family.help}\n# TYPE {shown} {family.kind}\n"
    return (head + "".join(lines)).encode()


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _value(value: float) -> str:
    return str(int(value)) if isinstance(value, bool) else repr(value)


def _of_client(snapshot: Snapshot, runtime: Runtime) -> Iterator[Family]:
    client, view = runtime.client, snapshot.client
    version = (("version", __version__), ("frp_version", str(view["frp_version"] or "")))
    yield _one("build_info", "gauge", "The versions that run.", 1, version)
    yield _one("client_connected", "gauge", "Whether frpc is logged in at the server.", view["connected"])
    yield _one("client_uptime_seconds", "gauge", "Seconds since the last login.", view["uptime"])
    yield _one(
        "client_server_latency_seconds", "gauge", "A round trip to the server.", view["server_latency"]
    )
    yield _one("client_dropped_events", "counter", "Events that no handler has seen.", view["dropped_events"])
    yield _one(
        "client_dropped_output_bytes",
        "counter",
        "Output of frpc that was not read in time.",
        view["dropped_output"],
    )
    yield _one(
        "client_handler_errors", "counter", "Event handlers that raised.", client.events.handler_errors
    )
    yield _one("log_lines", "counter", "Lines of frpc.", client.log_lines.last_id)
    yield _one(
        "log_lines_dropped", "counter", "Lines of frpc pushed out by newer ones.", client.log_lines.dropped
    )


def _of_tunnels(snapshot: Snapshot) -> Iterator[Family]:
    rows = [(_tunnel_labels(tunnel), tunnel, metrics) for tunnel, metrics in snapshot.tunnels]

    def each(name: str, kind: str, text: str, value: Callable[[Tunnel, TunnelMetrics], Number]) -> Family:
        samples = (("", labels, value(tunnel, metrics)) for labels, tunnel, metrics in rows)
        return Family(f"tunnel_{name}", kind, text, samples)

    yield each("up", "gauge", "Whether visitors can reach it.", lambda t, _: _is_up(t))
    yield each("uptime_seconds", "gauge", "Seconds since it came online.", lambda _, m: m.uptime_seconds)
    yield each("bytes_sent", "counter", "Payload bytes to visitors.", lambda _, m: m.bytes_sent)
    yield each("bytes_received", "counter", "Payload bytes from visitors.", lambda _, m: m.bytes_received)
    yield each("connections", "counter", "Connections of visitors.", lambda _, m: m.connection_count)
    yield each("errors", "counter", "Connections that failed.", lambda _, m: m.error_count)
    yield each(
        "health_checks", "counter", "Connections of frpc's own health checks.", lambda _, m: m.health_checks
    )
    yield each("datagrams_sent", "counter", "Datagrams to visitors.", lambda _, m: m.datagrams_sent)
    yield each("datagrams_received", "counter", "Datagrams from visitors.", lambda _, m: m.datagrams_received)
    yield each(
        "datagrams_dropped",
        "counter",
        "Datagrams that no buffer had room for.",
        lambda _, m: m.datagrams_dropped,
    )
    yield each(
        "evicted_sessions",
        "counter",
        "Sessions of datagrams ended to make room.",
        lambda _, m: m.evicted_sessions,
    )
    yield each("open_connections", "gauge", "Connections open now.", lambda _, m: m.open_connections)
    yield each(
        "last_activity_timestamp_seconds",
        "gauge",
        "When bytes last moved, Unix time.",
        lambda _, m: _unix(m.last_activity),
    )
    yield each("reconnects", "counter", "Times it came back.", lambda _, m: _extra(m, "reconnects"))
    yield each("flaps", "counter", "Times it went away.", lambda _, m: _extra(m, "flaps"))
    yield each(
        "server_latency_seconds",
        "gauge",
        "A round trip to the server.",
        lambda _, m: _extra(m, "server_latency"),
    )
    errors = _by_reason(rows, "errors")
    yield Family("tunnel_errors_by_reason", "counter", "Connections that failed, by reason.", errors)
    yield Family(
        "tunnel_refused", "counter", "Connections that the relay refused.", _by_reason(rows, "refused")
    )
    yield _summary(rows, "latency", "Seconds until the local service took a connection.")
    yield _summary(rows, "first_byte", "Seconds until the first byte of the local service.")
    yield _summary(rows, "duration", "Seconds from opening to closing of a connection.")


def _of_server(snapshot: Snapshot) -> Iterator[Family]:
    """What frps has counted, as far as it is at hand: what a look asks for is there for the next."""
    if not snapshot.client["server_dashboard"]:
        return
    rows = [
        (_tunnel_labels(tunnel), counters)
        for tunnel, _ in snapshot.tunnels
        if (counters := tunnel.server_counters(timeout=0)) is not None
    ]

    def each(name: str, text: str, value: Callable[[ServerCounters], Number]) -> Family:
        return Family(name, "gauge", text, [("", labels, value(row)) for labels, row in rows])

    yield each(
        "server_bytes_sent_today", "Payload bytes to visitors, counted by frps.", lambda c: c.bytes_sent_today
    )
    yield each(
        "server_bytes_received_today",
        "Payload bytes from visitors, counted by frps.",
        lambda c: c.bytes_received_today,
    )
    yield each("server_open_connections", "Connections open, counted by frps.", lambda c: c.open_connections)
    yield each(
        "server_counters_as_of_timestamp_seconds",
        "When frps told what it has counted, Unix time.",
        lambda c: c.as_of.timestamp(),
    )


def _by_reason(
    rows: list[tuple[Labels, Tunnel, TunnelMetrics]], field: str
) -> Iterator[tuple[str, Labels, Number]]:
    for labels, _, metrics in rows:
        for reason, count in (_extra(metrics, field) or {}).items():
            yield "", (*labels, ("reason", str(reason))), count


def _of_shared(client: Client) -> Iterator[Family]:
    """Give what counts for several tunnels together; only an frpc of somebody else's has such."""
    shared = [(service.tunnels, service.metrics) for service in getattr(client, "shared", ())]

    def each(name: str, kind: str, text: str, value: Callable[[TunnelMetrics], Number]) -> Family:
        samples = (("", (("tunnels", " ".join(names)),), value(metrics)) for names, metrics in shared)
        return Family(name, kind, f"{text}, of several tunnels together.", samples)

    yield each("shared_bytes_sent", "counter", "Payload bytes to visitors", lambda m: m.bytes_sent)
    yield each("shared_bytes_received", "counter", "Payload bytes from visitors", lambda m: m.bytes_received)
    yield each("shared_connections", "counter", "Connections of visitors", lambda m: m.connection_count)
    yield each("shared_open_connections", "gauge", "Connections open now", lambda m: m.open_connections)


def _summary(rows: list[tuple[Labels, Tunnel, TunnelMetrics]], field: str, text: str) -> Family:
    def samples() -> Iterator[tuple[str, Labels, Number]]:
        for labels, _, metrics in rows:
            quantiles = _extra(metrics, field)
            if quantiles is None:
                continue
            for share in ("50", "90", "95", "99"):
                quantile = (*labels, ("quantile", f"0.{share.rstrip('0')}"))
                yield "", quantile, getattr(quantiles, f"p{share}")
            yield "_count", labels, quantiles.count

    return Family(f"tunnel_{field}_seconds", "summary", text, samples())


def _of_dashboard(runtime: Runtime) -> Iterator[Family]:
    alerts = (
        ("", (("rule", alert.rule), ("tunnel", alert.tunnel_id), ("state", alert.state)), 1)
        for alert in runtime.alerts.monitor.alerts()
    )
    monitor, hub = runtime.alerts.monitor, runtime.hub
    yield Family("alert", "gauge", "Alerts that are pending or firing.", alerts)
    yield _one("alerts_silenced", "counter", "Alerts that nobody was called for.", monitor.silenced)
    yield _one("alert_callback_errors", "counter", "Alert callbacks that raised.", monitor.callback_errors)
    yield _one("dashboard_viewers", "gauge", "Live streams that are open.", hub.viewers)
    yield _one(
        "dashboard_skipped_frames", "counter", "Frames that slow viewers did not get.", hub.skipped_frames
    )
    yield _one("dashboard_dropped_viewers", "counter", "Viewers given up because stuck.", hub.dropped_viewers)
    yield _one(
        "dashboard_missed_events", "counter", "Events that came too fast to be sent.", hub.missed_events
    )
    yield _one(
        "dashboard_history_refused",
        "gauge",
        "Tunnels without charts because there are so many.",
        runtime.history.refused,
    )


def _one(name: str, kind: str, text: str, value: Number, labels: Labels = ()) -> Family:
    return Family(name, kind, text, [("", labels, value)])


def _tunnel_labels(tunnel: Tunnel) -> Labels:
    return (("tunnel", tunnel.id), ("type", tunnel.config.tunnel_type))


def _is_up(tunnel: Tunnel) -> bool | None:
    return None if tunnel.status.value == "unknown" else tunnel.status.value == "online"


def _unix(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment is not None else None


def _extra(metrics: TunnelMetrics, name: str) -> Any:
    return getattr(metrics, name, None)
