"""The dashboard's interface: what it answers, over a real socket."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConnectionFailedError, TunnelError
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.server_counters import ServerCounters
from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.quantiles import Quantiles
from frp_wrapper.monitoring.web_api.encode import _with_stdlib, encode
from frp_wrapper.monitoring.web_api.openapi import document
from frp_wrapper.tunnel import TunnelStatus
from tests.integration.conftest import eventually
from tests.monitoring.dashboards import TOKEN, StandIn, ask, record, running
from tests.monitoring.test_dashboard_security import ROUTES


@pytest.fixture
def client() -> StandIn:
    """Give a connected client with a tunnel."""
    return StandIn("web")


@pytest.fixture
def dashboard(client: StandIn) -> Iterator[MonitoringDashboard]:
    """Give its dashboard."""
    with running(client) as dashboard:
        yield dashboard


def test_the_status_has_the_shape_of_the_specification(
    client: StandIn, dashboard: MonitoringDashboard
) -> None:
    """``/api/status`` has the specification's keys and no other, its numbers, and how many connections are open."""
    client.meters["web"].metrics.bytes_sent = 1024
    status = ask(dashboard.port, "/api/status", token=None).json
    assert list(status) == ["client", "tunnels"]
    assert {**status["client"], "uptime": 0} == {"connected": True, "server": "localhost", "uptime": 0}
    (tunnel,) = status["tunnels"]
    metrics = tunnel.pop("metrics")
    assert tunnel == {
        "id": "web",
        "type": "tcp",
        "local_port": 3000,
        "url": "tcp://localhost:40001",
        "status": "online",
    }
    specified = [
        "bytes_sent",
        "bytes_received",
        "connection_count",
        "error_count",
        "last_activity",
        "uptime_seconds",
    ]
    assert list(metrics) == ["tunnel_id", *specified, "open_connections"]
    assert metrics["bytes_sent"] == 1024


def test_the_status_in_python(client: StandIn) -> None:
    """``get_status`` gives the same without a server, with the numbers as objects."""
    dashboard = MonitoringDashboard(client)
    status = dashboard.get_status()
    assert isinstance(status["tunnels"][0]["metrics"], TunnelMetrics)
    assert json.loads(encode(status)).keys() == status.keys()


def test_before_the_client_connects_and_after_it_closed() -> None:
    """The status answers in every state of the client."""
    client = StandIn(connected=False)
    with running(client) as dashboard:
        assert ask(dashboard.port, "/api/status").json["client"]["connected"] is False
        client.log_in()
        assert ask(dashboard.port, "/api/status").json["client"]["connected"] is True
        client.session.end()
        assert ask(dashboard.port, "/api/status").json["client"] == {
            "connected": False,
            "server": "localhost",
            "uptime": 0.0,
        }


def test_what_is_not_known_is_null(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A number that nothing measures is null, never 0."""
    client.meters["web"].metrics = TunnelMetrics("web", None, None, None, None)
    metrics = ask(dashboard.port, "/api/tunnels/web").json["metrics"]
    assert metrics["bytes_sent"] is None
    assert metrics["error_count"] is None


def test_a_change_of_state_is_seen_at_once(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """An answer that was kept is not given again once the state has changed, however short ago it was made."""
    for number in range(20):
        client.add(f"more-{number}")
        assert len(ask(dashboard.port, "/api/status").json["tunnels"]) == number + 2
    for number in range(20):
        client.list_tunnels()[-1].close()
        assert len(ask(dashboard.port, "/api/tunnels").json["tunnels"]) == 20 - number


def test_numbers_are_never_older_than_they_say(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Many requests share one look of at most a tenth of a second ago, and each answer says when that was."""
    looks = client.meters["web"].reads
    seen = set()
    for _ in range(50):
        before = datetime.now(UTC)
        metrics = ask(dashboard.port, "/api/tunnels").json["tunnels"][0]["metrics"]
        as_of = datetime.fromisoformat(metrics["as_of"])
        assert before - as_of < timedelta(seconds=1)
        seen.add(as_of)
    assert client.meters["web"].reads - looks < 40
    time.sleep(1.1)
    before = datetime.now(UTC)
    metrics = ask(dashboard.port, "/api/tunnels").json["tunnels"][0]["metrics"]
    assert datetime.fromisoformat(metrics["as_of"]) >= before - timedelta(milliseconds=1)


def raw(dashboard: MonitoringDashboard, *requests: str) -> bytes:
    """Send requests in one piece over one connection, and give all that comes."""
    text = "".join(
        f"{request} HTTP/1.1\r\nHost: localhost\r\n{rest}\r\n" for request, rest in map(split, requests)
    )
    with socket.create_connection(("127.0.0.1", dashboard.port or 0), timeout=10) as connection:
        connection.sendall(text.encode())
        return b"".join(iter(lambda: connection.recv(65536), b""))


def split(request: str) -> tuple[str, str]:
    """Give the request line and the headers and body of a request."""
    line, _, rest = request.partition("\n")
    return line, rest


def test_the_short_way_is_only_shorter(dashboard: MonitoringDashboard) -> None:
    """The answer that is at hand has the head that the usual way gives, but for its length and date."""
    ask(dashboard.port, "/api/status")
    at_hand, usual = (
        ask(dashboard.port, "/api/status", headers=headers) for headers in ({}, {"Connection": "close"})
    )
    assert at_hand.json == usual.json
    varying = {"date": "", "content-length": "", "connection": ""}
    assert {**at_hand.headers, **varying} == {**usual.headers, **varying}
    assert int(at_hand.headers["content-length"]) == len(at_hand.body)


def test_requests_in_one_piece(dashboard: MonitoringDashboard) -> None:
    """Requests that come together are answered in their order, whichever way each takes, and what a body says is no request."""
    ask(dashboard.port, "/api/status")
    inner = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers = raw(
        dashboard,
        "GET /api/status\n",
        f"GET /api/status\nContent-Length: {len(inner)}\r\n\r\n{inner}".removesuffix("\r\n"),
        "GET /nowhere\n",
        "GET /api/status\n",
        "HEAD /api/status\n",
        "GET /healthz\nConnection: close\r\n",
    )
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"401", b"200", b"200", b"200"]
    assert (answers.count(b'"tunnels"'), answers.count(b'"ok"')) == (3, 1)


def test_a_body_that_never_comes_holds_no_status_back(dashboard: MonitoringDashboard) -> None:
    """A status whose request promises a body is answered without it, and such a connection is not kept for ever."""
    ask(dashboard.port, "/api/status")
    with socket.create_connection(("127.0.0.1", dashboard.port or 0), timeout=20) as connection:
        connection.sendall(b"GET /api/status HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\n")
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200")


def test_the_overview(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """``/api/tunnels`` has the client with what is wrong with it, and each tunnel with its error."""
    error = TunnelError("the server refuses it", reason="port_in_use", hint="Take another.")
    client.list_tunnels()[0].set_status(TunnelStatus.ERROR, error)
    client.login_error = ConnectionFailedError("cannot log in", reason="unknown_host", hint="Look it up.")
    answer = ask(dashboard.port, "/api/tunnels").json
    assert set(answer) == {"as_of", "client", "tunnels"}
    assert answer["client"]["login_error"] == {
        "reason": "unknown_host",
        "message": "cannot log in",
        "hint": "Look it up.",
    }
    assert answer["client"]["frpc_pid"] == 4711
    (tunnel,) = answer["tunnels"]
    assert tunnel["status"] == "error"
    assert tunnel["error"]["reason"] == "port_in_use"
    alone = ask(dashboard.port, "/api/tunnels/web").json
    assert alone.keys() - tunnel.keys() == {"server_counters"}
    assert alone["server_counters"] is None
    assert ask(dashboard.port, "/api/tunnels/nothing").code == "not_found"


def test_connections(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Open ones, the closed ones from the newest on, and what each address has moved."""
    now = datetime.now(UTC)

    def connection(visitor: str | None, sent: int | None, seconds: int | None = None) -> Connection:
        closed = now + timedelta(seconds=seconds) if seconds is not None else None
        return Connection(visitor, now, closed, sent, 1, "127.0.0.1:5")

    meter = client.meters["web"]
    meter.open = [connection("192.0.2.1:1000", 5)]
    meter.closed = [
        connection("192.0.2.1:999", 10, 1),
        connection("[2001:db8::1]:7", 100, 2),
        connection(None, None, 3),
    ]
    answer = ask(dashboard.port, "/api/tunnels/web/connections").json
    assert [row["duration"] for row in answer["recent"]] == [3.0, 2.0, 1.0]
    assert answer["recent"][0]["visitor"] is None
    assert answer["open"][0]["closed_at"] is None
    fields = ("address", "connections", "open_connections", "bytes_sent", "bytes_received")
    assert [tuple(row[field] for field in fields) for row in answer["visitors"]] == [
        ("2001:db8::1", 1, 0, 100, 1),
        ("192.0.2.1", 2, 1, 15, 2),
    ]
    again = ask(dashboard.port, "/api/tunnels/web/connections").json
    assert [row["id"] for row in again["recent"]] == [row["id"] for row in answer["recent"]]


def test_the_first_fifty_visitors(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """However many addresses there are, fifty are listed."""
    now = datetime.now(UTC)
    client.meters["web"].closed = [Connection(f"192.0.2.{n}:1", now, now, n, 0) for n in range(1, 200)]
    visitors = ask(dashboard.port, "/api/tunnels/web/connections").json["visitors"]
    assert [row["bytes_sent"] for row in visitors] == list(range(199, 149, -1))


def test_usage(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """What a tunnel has moved is told for today, this month and each day."""
    client.meters["web"].metrics.bytes_sent = 7
    moved = {"bytes_sent": 7, "bytes_received": 0, "connections": 0, "errors": 0}
    assert ask(dashboard.port, "/api/tunnels/web/usage").json == {
        "tunnel_id": "web",
        "today": moved,
        "this_month": moved,
        "days": {"2026-01-31": moved},
    }


def test_charts(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """What flows shows up as a rate once a second has passed, and the points are those of the range."""

    def flows() -> bool:
        client.meters["web"].metrics.bytes_sent = (client.meters["web"].metrics.bytes_sent or 0) + 1000
        chart = ask(dashboard.port, "/api/tunnels/web/metrics?range=60").json
        assert len(chart["time"]) == 60
        assert all(len(points) == 60 for points in chart["series"].values())
        return any(point for point in chart["series"]["bytes_sent_per_second"])

    eventually(flows)
    charts = ask(dashboard.port, "/api/metrics?ids=web,other&range=60&series=bytes_sent_per_second").json
    assert any(charts["tunnels"]["web"]["bytes_sent_per_second"])
    assert set(charts["tunnels"]["other"]["bytes_sent_per_second"]) == {None}
    assert ask(dashboard.port, "/api/tunnels/web/metrics?range=86400").json["step"] == 300


@pytest.mark.parametrize(
    "path",
    [
        "/api/tunnels/web/metrics?range=59",
        "/api/tunnels/web/metrics?range=86401",
        "/api/tunnels/web/metrics?range=1e3",
        "/api/tunnels/web/metrics?step=-1",
        "/api/tunnels/web/metrics?step=%D9%A3",
        "/api/metrics",
        "/api/metrics?ids=,",
        "/api/metrics?ids=web&series=cpu",
        "/api/metrics?ids=" + ",".join(["a"] * 101),
        "/api/events?type=nothing",
        "/api/events?after=-1",
        "/api/events?limit=0",
        "/api/events?limit=1001",
        "/api/logs?level=loud",
        "/api/logs?before=" + "9" * 30,
    ],
)
def test_queries_that_are_refused(dashboard: MonitoringDashboard, path: str) -> None:
    """A query that means nothing is an error that says what would."""
    answer = ask(dashboard.port, path)
    assert (answer.status, answer.code) == (400, "bad_query")


def test_events(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """The last events, oldest first, by type, tunnel and id; ids grow."""
    for number in range(5):
        client.notify(EventType.METRIC_THRESHOLD, {"tunnel_id": f"t{number % 2}", "value": number})
    events = ask(dashboard.port, "/api/events?type=metric_threshold").json
    assert [event["data"]["value"] for event in events["events"]] == [0, 1, 2, 3, 4]
    first, last = events["first_id"], events["last_id"]
    assert last - first == 4
    of_one = ask(dashboard.port, "/api/events?tunnel_id=t1").json["events"]
    assert [event["data"]["value"] for event in of_one] == [1, 3]
    assert [event["id"] for event in ask(dashboard.port, f"/api/events?after={last - 1}").json["events"]] == [
        last
    ]
    assert [event["id"] for event in ask(dashboard.port, "/api/events?limit=2").json["events"]] == [
        last - 1,
        last,
    ]
    assert ask(dashboard.port, f"/api/events?after={last}").json == {
        "events": [],
        "first_id": None,
        "last_id": None,
    }


def test_an_event_of_strange_data(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Whatever a program puts into its events, the answer is JSON."""
    strange = {"nan": float("nan"), "big": 2**70, "half": "\ud800", "set": {1}, 5: object(), "bytes": b"\xff"}
    client.notify(EventType.METRIC_THRESHOLD, strange)  # type: ignore[arg-type]
    data = ask(dashboard.port, "/api/events?type=metric_threshold").json["events"][0]["data"]
    assert data["nan"] is None
    assert data["big"] == 2**70
    assert data["set"] == [1]


@pytest.mark.parametrize("dump", [encode, _with_stdlib])
def test_both_encoders_write_the_same(dump: Any) -> None:
    """With orjson or without, the JSON means the same."""
    now = datetime.now(UTC)
    value = {
        "metrics": TunnelMetrics("wéb", as_of=now),
        "status": TunnelStatus.ONLINE,
        "nan": float("inf"),
        1: (2,),
    }
    decoded = json.loads(dump(value))
    assert decoded["metrics"]["tunnel_id"] == "wéb"
    assert datetime.fromisoformat(decoded["metrics"]["as_of"]) == now
    assert {**decoded, "metrics": 0} == {"metrics": 0, "status": "online", "nan": None, "1": [2]}


def test_logs(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Lines by level, tunnel and text, page by page towards the past."""
    for number in range(10):
        level = "error" if number % 2 else "info"
        client.log_lines.add(record("detail", f"line {number}", level, "web" if number < 5 else None))
    newest = ask(dashboard.port, "/api/logs?limit=3").json
    assert [line["message"] for line in newest["lines"]] == ["line 7", "line 8", "line 9"]
    assert newest["more"] is True
    before = newest["lines"][0]["id"]
    older = ask(dashboard.port, f"/api/logs?limit=100&before={before}").json
    assert [line["message"] for line in older["lines"]] == [f"line {n}" for n in range(7)]
    assert (older["more"], older["dropped"]) == (False, 0)
    assert len(ask(dashboard.port, "/api/logs?level=error").json["lines"]) == 5
    assert len(ask(dashboard.port, "/api/logs?tunnel_id=web&q=LINE%203").json["lines"]) == 1


def test_health_and_readiness(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Healthy is a process that answers; ready are all tunnels online, and else it says which is not."""
    assert ask(dashboard.port, "/healthz", token=None).json == {"status": "ok"}
    assert ask(dashboard.port, "/readyz", token=None).json == {"ready": True, "reasons": []}
    client.session.log_out("server_lost")
    answer = ask(dashboard.port, "/readyz", token=None)
    assert answer.status == 503
    assert answer.json["reasons"] == ["the client is not connected", "tunnel web is offline"]


def test_the_page_and_its_files(dashboard: MonitoringDashboard) -> None:
    """Files come with type and ETag, compressed for who can read it, and not again to who has them."""
    page = ask(dashboard.port, "/", token=None)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert b"<!doctype html>" in page.body.lower()
    etag = page.headers["etag"]
    again = ask(dashboard.port, "/", token=None, headers={"If-None-Match": etag})
    assert (again.status, again.body) == (304, b"")
    small = ask(dashboard.port, "/", token=None, headers={"Accept-Encoding": "gzip"})
    if small.headers.get("content-encoding") == "gzip":
        import gzip

        assert gzip.decompress(small.body) == page.body
    for path in (
        "/assets/no-such.js",
        "/assets/../__init__.py",
        "/assets/%2e%2e/dashboard.py",
        "/assets//etc/passwd",
    ):
        assert ask(dashboard.port, path, token=None).status == 404


def test_methods_that_a_path_has_not(dashboard: MonitoringDashboard) -> None:
    """The answer names those that it has."""
    answer = ask(dashboard.port, "/api/tunnels", "PUT", body={})
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD", "POST"}


def test_a_handler_that_fails_shows_nothing_of_its_inside(
    client: StandIn, dashboard: MonitoringDashboard, caplog: pytest.LogCaptureFixture
) -> None:
    """The answer is a plain error; what was raised is logged."""
    client.list_tunnels = lambda: 1 / 0  # type: ignore[assignment,return-value]
    answer = ask(dashboard.port, "/api/tunnels/web")
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"Zero" not in answer.body
    assert "ZeroDivisionError" in caplog.text


# what changes something


def test_a_tunnel_is_opened(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """POST opens a tunnel with any option of Python, and does not wait for the server."""
    body = {
        "type": "http",
        "local_port": 8080,
        "path": "/api/",
        "meter": "relay",
        "health_check": {"type": "http", "path": "/up"},
        "request_headers": {"x-a": "b"},
    }
    answer = ask(dashboard.port, "/api/tunnels", "POST", body=body)
    assert (answer.status, answer.json["status"]) == (201, "starting")
    tunnel = client.list_tunnels()[-1]
    assert tunnel.id == answer.json["id"]
    assert tunnel.id.startswith("http-8080-")
    assert (tunnel.config.locations, tunnel.config.custom_domains) == (["/api"], ["localhost"])
    assert tunnel.config.health_check is not None
    assert ask(dashboard.port, "/api/status").json["tunnels"][1]["id"] == tunnel.id


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "tunnel_type is missing"),
        ({"type": "tcp"}, "local_port is missing"),
        ({"type": "tcp", "local_port": "80"}, "local_port '80'"),
        ({"type": "tcp", "local_port": 80, "name": "a b"}, "name may have"),
        ({"type": "tcp", "local_port": 80, "name": 5}, "name 5"),
        ({"type": "gopher", "local_port": 80}, "tunnel_type 'gopher'"),
        ({"type": "tcp", "local_port": 80, "remoteport": 5}, "no option remoteport"),
        ({"type": "tcp", "local_port": 70000, "remote_port": -1}, "remote_port -1"),
        ({"type": "http", "local_port": 80}, "custom_domains or subdomain"),
    ],
)
def test_tunnels_that_are_refused(
    client: StandIn, dashboard: MonitoringDashboard, body: Any, words: str
) -> None:
    """Every fault is named, and nothing is opened."""
    answer = ask(dashboard.port, "/api/tunnels", "POST", body=body)
    assert answer.status == 400
    assert words in answer.json["error"]["message"]
    assert len(client.list_tunnels()) == 1


def test_a_name_that_is_taken(dashboard: MonitoringDashboard) -> None:
    """It is a conflict, and the first one stays."""
    answer = ask(
        dashboard.port, "/api/tunnels", "POST", body={"type": "tcp", "local_port": 80, "name": "web"}
    )
    assert (answer.status, answer.code) == (409, "name_in_use")


def test_a_client_that_is_not_connected_opens_nothing() -> None:
    """It is a conflict with the state."""
    with running(StandIn(connected=False)) as dashboard:
        answer = ask(dashboard.port, "/api/tunnels", "POST", body={"type": "tcp", "local_port": 80})
        assert (answer.status, answer.code) == (409, "not_connected")


def test_close_and_restart(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A tunnel is restarted and closed by name; afterwards there is none."""
    assert ask(dashboard.port, "/api/tunnels/web/restart", "POST").status == 202
    assert client.restarted == ["web"]
    answer = ask(dashboard.port, "/api/tunnels/web", "DELETE")
    assert (answer.status, answer.body) == (204, b"")
    assert client.list_tunnels() == []
    assert ask(dashboard.port, "/api/tunnels/web", "DELETE").status == 404
    assert ask(dashboard.port, "/api/tunnels/web/restart", "POST").status == 404


def test_silences(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """An alert is shown, silenced, and heard again when the silence is ended early."""
    client.session.log_out("server_lost")
    dashboard.monitor.check_now()
    alerts = ask(dashboard.port, "/api/alerts").json["alerts"]
    (alert,) = [alert for alert in alerts if alert["rule"] == "disconnected"]
    assert (alert["tunnel_id"], alert["state"], alert["silenced"]) == ("web", "firing", False)
    body = {"seconds": 60, "rule": "disconnected", "tunnel_id": "web"}
    made = ask(dashboard.port, "/api/silences", "POST", body=body)
    assert made.status == 201
    assert 55 < made.json["seconds_left"] <= 60
    answer = ask(dashboard.port, "/api/alerts").json
    assert [silence["id"] for silence in answer["silences"]] == [made.json["id"]]
    assert {alert["rule"]: alert["silenced"] for alert in answer["alerts"]}["disconnected"] is True
    assert ask(dashboard.port, f"/api/silences/{made.json['id']}", "DELETE").status == 204
    assert ask(dashboard.port, f"/api/silences/{made.json['id']}", "DELETE").status == 404
    answer = ask(dashboard.port, "/api/alerts").json
    assert answer["silences"] == []
    assert {alert["rule"]: alert["silenced"] for alert in answer["alerts"]}["disconnected"] is False


# Prometheus


def scrape(dashboard: MonitoringDashboard, accept: str = "text/plain") -> tuple[str, dict[str, Any]]:
    """Give the text, and the families of it as Prometheus's own parser reads them."""
    answer = ask(dashboard.port, "/metrics", headers={"Accept": accept})
    assert answer.status == 200
    parse = parse_openmetrics if "openmetrics" in answer.headers["content-type"] else parse_text
    text = answer.body.decode()
    return text, {family.name: family for family in parse(text)}


@pytest.mark.parametrize(
    "accept", ["text/plain", "application/openmetrics-text; version=1.0.0,text/plain;q=0.5"]
)
def test_metrics(client: StandIn, dashboard: MonitoringDashboard, accept: str) -> None:
    """Prometheus's parsers read both formats; the numbers are the tunnel's, with its name and type."""
    client.meters["web"].metrics = TunnelMetrics(
        "web",
        bytes_sent=1024,
        bytes_received=7,
        connection_count=3,
        error_count=1,
        open_connections=2,
        last_activity=datetime.fromtimestamp(1_700_000_000.5, UTC),
        errors={"local_service_down": 1},
        latency=Quantiles(3, 0.001, 0.002, 0.003, 0.004, 0.005),
    )
    client.server_latency = 0.02
    client.list_tunnels()[0].lifeline.reconnects = 2
    _, families = scrape(dashboard, accept)
    values = {
        (sample.name.removeprefix("frp_wrapper_"), *sorted(sample.labels.items())): sample.value
        for family in families.values()
        for sample in family.samples
    }
    tunnel = (("tunnel", "web"), ("type", "tcp"))
    assert values["tunnel_bytes_sent_total", *tunnel] == 1024
    assert values["tunnel_bytes_received_total", *tunnel] == 7
    assert values["tunnel_connections_total", *tunnel] == 3
    assert values["tunnel_open_connections", *tunnel] == 2
    assert values["tunnel_up", *tunnel] == 1
    assert values["tunnel_reconnects_total", *tunnel] == 2
    assert values["tunnel_last_activity_timestamp_seconds", *tunnel] == 1_700_000_000.5
    assert values["tunnel_errors_by_reason_total", ("reason", "local_service_down"), *tunnel] == 1
    assert values["tunnel_latency_seconds", ("quantile", "0.95"), *tunnel] == 0.003
    assert values["tunnel_latency_seconds_count", *tunnel] == 3
    assert values["client_connected",] == 1
    assert values["client_dropped_events_total",] == 0
    assert families["frp_wrapper_tunnel_bytes_sent"].type == "counter"


def test_counters_of_the_server(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """What frps has counted is beside our numbers where it is known; nobody is asked without access to its dashboard."""
    as_of = datetime.fromtimestamp(1_700_000_000, UTC)
    client.counted_by_frps["web"] = ServerCounters(9, 7, None, "11-25 15:41:15", None, as_of)
    assert "frp_wrapper_server_" not in scrape(dashboard)[0]
    client.server_api = object()
    assert ask(dashboard.port, "/api/tunnels/web").json["server_counters"] == {
        "bytes_sent_today": 9,
        "bytes_received_today": 7,
        "open_connections": None,
        "last_start": "11-25 15:41:15",
        "last_close": None,
        "as_of": "2023-11-14T22:13:20+00:00",
        "source": "frps",
    }
    client.add("other")
    text, families = scrape(dashboard)
    (sample,) = families["frp_wrapper_server_bytes_received_today"].samples
    assert (sample.value, sample.labels) == (7, {"tunnel": "web", "type": "tcp"})
    assert families["frp_wrapper_server_counters_as_of_timestamp_seconds"].samples[0].value == 1_700_000_000
    assert "frp_wrapper_server_open_connections" not in text


def test_metrics_that_are_not_known_are_absent(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Nothing is 0 that nobody has counted, and the series of a closed tunnel go away."""
    client.meters["web"].metrics = TunnelMetrics("web", None, None, None, None)
    text, _ = scrape(dashboard)
    assert "tunnel_bytes_sent" not in text
    assert "tunnel_up" in text
    client.list_tunnels()[0].close()
    text, _ = scrape(dashboard)
    assert 'tunnel="web"' not in text
    client.session.end()
    text, _ = scrape(dashboard)
    assert "frp_wrapper_client_connected 0\n" in text


def test_labels_are_escaped(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A label is text, whatever is in it."""
    hostile = 'a"} 1\n\\x'
    client.expose(TunnelConfig(name=hostile, tunnel_type="tcp", local_port=1))
    _, families = scrape(dashboard)
    labels = [sample.labels["tunnel"] for sample in families["frp_wrapper_tunnel_up"].samples]
    assert labels == ["web", hostile]


def test_metrics_need_the_token(dashboard: MonitoringDashboard) -> None:
    """A scraper sends it as a bearer token."""
    assert ask(dashboard.port, "/metrics", token=None).status == 401
    assert ask(dashboard.port, "/metrics", token=TOKEN).status == 200


# the description


def test_the_description_and_the_routes_are_the_same() -> None:
    """Each path and method of the table is described, and nothing else."""
    described = {
        (path.replace("{path}", "{path:path}"), method.upper())
        for path, operations in document("")["paths"].items()
        for method in operations
    }
    assert described == {(path, method) for path, method in ROUTES if method != "HEAD"}


def test_the_description_says_what_is_open(dashboard: MonitoringDashboard) -> None:
    """Exactly what answers without the token is described so."""
    described = ask(dashboard.port, "/openapi.json").json
    for path, operations in described["paths"].items():
        if "get" in operations:
            filled = re.sub(r"\{.*\}", "x", path)
            is_open = {} in operations["get"]["security"]
            assert (ask(dashboard.port, filled, token=None).status != 401) is is_open, path
