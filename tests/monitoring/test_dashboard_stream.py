"""The live stream: one producer, many viewers, and none of them costs another anything."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator

import pytest

from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.web_api import hub as hub_module
from frp_wrapper.monitoring.web_api import viewers
from frp_wrapper.monitoring.web_api.viewers import Viewer
from tests.integration.conftest import eventually
from tests.monitoring.dashboards import TOKEN, StandIn, Stream, ask, record, running


@pytest.fixture
def client() -> StandIn:
    """Give a connected client with two tunnels."""
    return StandIn("web", "db")


@pytest.fixture
def dashboard(client: StandIn) -> Iterator[MonitoringDashboard]:
    """Give its dashboard."""
    with running(client) as dashboard:
        yield dashboard


def metric(dashboard: MonitoringDashboard, name: str) -> float:
    """Give one number of ``/metrics``."""
    for line in ask(dashboard.port, "/metrics").body.decode().splitlines():
        if line.startswith(f"frp_wrapper_dashboard_{name} "):
            return float(line.rpartition(" ")[2])
    raise AssertionError(name)


def test_hello_then_all_then_changes(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A viewer gets a greeting, everything at once, and then each second only the tunnels that have changed."""
    with Stream(dashboard.port) as stream:
        hello = stream.next()
        assert (hello.event, hello.data["interval"]) == ("hello", 1.0)
        snapshot = stream.next()
        assert snapshot.event == "snapshot"
        overview = ask(dashboard.port, "/api/tunnels").json
        assert snapshot.data.keys() == overview.keys()
        assert [tunnel["id"] for tunnel in snapshot.data["tunnels"]] == ["web", "db"]
        assert stream.next().event == "alerts"
        assert stream.next("delta").data["tunnels"] == []
        client.meters["db"].metrics.bytes_sent = 5
        changed = stream.next("delta").data
        assert [(tunnel["id"], tunnel["metrics"]["bytes_sent"]) for tunnel in changed["tunnels"]] == [
            ("db", 5)
        ]
        assert changed["removed"] == []
        assert changed["client"].keys() == overview["client"].keys()
        assert stream.next("delta").data["tunnels"] == []
        client.list_tunnels()[0].close()
        assert stream.until(lambda frame: frame.event == "delta").data["removed"] == ["web"]


def test_every_interval_has_a_frame(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A page that hears nothing for some seconds knows that the dashboard is gone."""
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        stream.next("delta")
        began = time.monotonic()
        for _ in range(2):
            stream.next("delta")
        assert 1.0 < time.monotonic() - began < 4.0


def test_events_come_at_once(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """What happens is not held back until the next look, and comes in order."""
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        for number in range(20):
            client.notify(EventType.METRIC_THRESHOLD, {"value": number})
        frames = [stream.next("event") for _ in range(20)]
        assert [frame.data["data"]["value"] for frame in frames] == list(range(20))
        assert [frame.data["id"] for frame in frames] == sorted(frame.data["id"] for frame in frames)


@pytest.mark.parametrize("by_header", [True, False])
def test_missed_events_are_sent_after_a_break(
    client: StandIn, dashboard: MonitoringDashboard, by_header: bool
) -> None:
    """Who comes back with the id of the last frame gets what has happened meanwhile, once, and a fresh snapshot."""
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        client.notify(EventType.METRIC_THRESHOLD, {"value": 0})
        last = stream.next("event").id
    for number in (1, 2):
        client.notify(EventType.METRIC_THRESHOLD, {"value": number})
    again = Stream(dashboard.port, last_id=last) if by_header else Stream(dashboard.port, f"?last_id={last}")
    with again as stream:
        assert stream.next("snapshot").data["tunnels"]
        assert [stream.next("event").data["data"]["value"] for _ in (1, 2)] == [1, 2]
        client.notify(EventType.METRIC_THRESHOLD, {"value": 3})
        assert stream.next("event").data["data"]["value"] == 3


def test_more_events_than_the_history_has(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """What was pushed out before it could be sent is counted; the rest comes in order, in one go."""
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        for _ in range(500):  # as if 1,500 came within one moment
            next(client.events._numbers)
        burst(client, 1000, 10)
        ids = [stream.next("event").data["id"] for _ in range(1000)]
        assert ids == list(range(ids[0], ids[0] + 1000))
        assert metric(dashboard, "missed_events_total") == 500
        assert metric(dashboard, "skipped_frames_total") == 0


@pytest.mark.parametrize("last_id", ["0", "nonsense", "x-5", "-", "1-2-3", "9" * 100])
def test_an_unknown_id_is_like_none(client: StandIn, dashboard: MonitoringDashboard, last_id: str) -> None:
    """The id of another run, or of nothing, brings a snapshot and no old events."""
    client.notify(EventType.METRIC_THRESHOLD, {"value": 0})
    with Stream(dashboard.port, last_id=last_id) as stream:
        stream.next("snapshot")
        client.notify(EventType.METRIC_THRESHOLD, {"value": 1})
        assert stream.next("event").data["data"]["value"] == 1


def test_logs_for_those_who_want_them(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Lines of frpc come with ``?logs=1`` only, from the moment on at which the viewer came."""
    client.log_lines.add(record("detail", "before"))
    with Stream(dashboard.port, "?logs=1") as reader, Stream(dashboard.port) as other:
        reader.next("snapshot")
        other.next("snapshot")
        client.log_lines.add(record("detail", "now"))
        frame = reader.next("log")
        assert [line["message"] for line in frame.data["lines"]] == ["now"]
        for _ in range(2):
            assert other.until(lambda frame: frame.event in ("delta", "log")).event == "delta"


def test_alerts_when_they_change(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """A new alert or silence is told with the next look, and not again while it only goes on."""
    with Stream(dashboard.port) as stream:
        assert stream.next("alerts").data["alerts"] == []
        client.session.log_out("server_lost")
        dashboard.monitor.check_now()
        assert {alert["rule"] for alert in stream.next("alerts").data["alerts"]} >= {"disconnected"}
        assert ask(dashboard.port, "/api/silences", "POST", body={"seconds": 60}).status == 201
        assert len(stream.next("alerts").data["silences"]) == 1
        events = [stream.next().event for _ in range(2)]
        assert "alerts" not in events


def test_nothing_is_done_while_nobody_watches(
    client: StandIn, dashboard: MonitoringDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a viewer nothing is compared or written for the stream, and no event handler is registered."""
    written: list[str] = []
    view = hub_module.tunnel_view
    monkeypatch.setattr(hub_module, "tunnel_view", lambda *a: written.append("view") or view(*a))
    time.sleep(1.2)
    assert (written, client.events._handlers.get("any", ())) == ([], ())
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        assert written
        assert len(client.events._handlers["any"]) == 1
    eventually(lambda: not client.events._handlers["any"])
    eventually(lambda: metric(dashboard, "viewers") == 0)
    written.clear()
    time.sleep(1.2)
    assert written == []


def test_work_is_done_once_for_all_viewers(
    client: StandIn, dashboard: MonitoringDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A frame is written once, however many watch, and all get the same bytes."""
    streams = [Stream(dashboard.port) for _ in range(20)]
    for stream in streams:
        stream.next("snapshot")
    frames: list[str] = []
    frame = hub_module.frame
    monkeypatch.setattr(hub_module, "frame", lambda *a: frames.append(a[0]) or frame(*a))
    client.notify(EventType.METRIC_THRESHOLD, {"value": 1})
    seen = {str(stream.next("event")) for stream in streams}
    assert len(seen) == 1
    assert frames.count("event") == 1
    for stream in streams:
        stream.close()


def stuck_stream(port: int | None) -> socket.socket:
    """Open a stream and read nothing of it."""
    viewer = socket.socket()
    viewer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    viewer.connect(("127.0.0.1", port or 0))
    viewer.sendall(
        f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n\r\n".encode()
    )
    return viewer


def burst(client: StandIn, count: int, size: int = 10_000) -> None:
    """Have so much happen that a viewer must read to keep up."""
    for _ in range(count):
        client.notify(EventType.METRIC_THRESHOLD, {"text": "x" * size})


def test_a_stuck_viewer_costs_nobody_anything(client: StandIn, dashboard: MonitoringDashboard) -> None:
    """Its frames are thrown away and counted, others go on, and once it reads again it gets a fresh snapshot."""
    with stuck_stream(dashboard.port) as stuck, Stream(dashboard.port) as other:
        other.next("snapshot")
        eventually(lambda: metric(dashboard, "viewers") == 2)
        for number in range(400):
            burst(client, 5)
            client.notify(EventType.METRIC_THRESHOLD, {"number": number})
            while other.next("event").data["data"].get("number") != number:
                pass
            if number % 20 == 0 and metric(dashboard, "skipped_frames_total"):
                break
        assert metric(dashboard, "skipped_frames_total") > 0
        assert metric(dashboard, "dropped_viewers_total") == 0
        received = b""
        stuck.settimeout(10)
        while received.count(b"event: snapshot") < 2:
            received += stuck.recv(1 << 20)
        eventually(lambda: metric(dashboard, "viewers") == 2)


def test_a_viewer_that_never_reads_is_given_up(
    client: StandIn, dashboard: MonitoringDashboard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After its time its connection is ended, counted, and the memory is free."""
    monkeypatch.setattr(hub_module, "_STUCK", 0.5)
    with stuck_stream(dashboard.port):
        eventually(lambda: metric(dashboard, "viewers") == 1)

        def is_given_up() -> bool:
            burst(client, 50)
            return metric(dashboard, "dropped_viewers_total") == 1

        eventually(is_given_up)
        assert metric(dashboard, "viewers") == 0


def test_a_queue_is_bounded() -> None:
    """In frames and in bytes; what is thrown away is counted, and one big frame always fits."""

    async def fill() -> None:
        viewer = Viewer(0)
        thrown_away = [viewer.put(b"x", number, 0.0) for number in range(200)]
        assert sum(thrown_away) == 200
        assert (viewer.lags_since, viewer.seen) == (0.0, 0)
        viewer = Viewer(0)
        assert viewer.put(b"x" * (viewers._MAX_BYTES + 1), 1, 0.0) == 0
        assert viewer.put(b"y", 2, 0.0) == 2

    asyncio.run(fill())


def test_the_run_tells_whether_events_go_on(client: StandIn) -> None:
    """A stream of the same client has the same run, also by another dashboard; of another client it has another."""
    runs = []
    for one in (client, client, StandIn()):
        with running(one) as dashboard, Stream(dashboard.port) as stream:
            hello = stream.next("hello")
            assert hello.id.partition("-")[0] == hello.data["run"]
            runs.append(hello.data["run"])
    assert runs[0] == runs[1] != runs[2]


def test_there_is_a_last_viewer(dashboard: MonitoringDashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit a stream is refused, and room is made when one goes."""
    from frp_wrapper.monitoring.web_api import stream as stream_module

    monkeypatch.setattr(stream_module, "MAX_VIEWERS", 2)
    with Stream(dashboard.port) as first:
        first.next("hello")
        with Stream(dashboard.port) as second:
            second.next("hello")
            answer = ask(dashboard.port, "/api/stream")
            assert (answer.status, answer.code) == (503, "too_many_viewers")
        eventually(lambda: metric(dashboard, "viewers") == 1)
        assert ask(dashboard.port, "/api/stream").status == 200


def test_a_viewer_that_goes_is_forgotten(dashboard: MonitoringDashboard) -> None:
    """However it goes, it is not counted any more."""
    for _ in range(3):
        with Stream(dashboard.port) as stream:
            stream.next("snapshot")
    eventually(lambda: metric(dashboard, "viewers") == 0)


def test_stop_says_goodbye_to_a_hundred_viewers(client: StandIn) -> None:
    """``stop`` takes a second at most with a hundred streams open, stuck ones too; each gets its ``bye``."""
    dashboard = MonitoringDashboard(client, token=TOKEN)
    dashboard.start(0)
    streams = [Stream(dashboard.port) for _ in range(100)]
    stuck = [stuck_stream(dashboard.port) for _ in range(5)]
    for stream in streams:
        stream.next("snapshot")
    for _ in range(20):  # beyond what the kernel holds for those who do not read
        burst(client, 4)
        for stream in streams:
            stream.until(lambda frame: frame.event == "event")
    readers = [threading.Thread(target=stream.next, args=("bye",)) for stream in streams]
    for reader in readers:
        reader.start()
    began = time.monotonic()
    dashboard.stop()
    assert time.monotonic() - began < 1.0
    for reader in readers:
        reader.join(5)
        assert not reader.is_alive()
    for stream in streams:
        assert stream.ends()
        stream.close()
    for viewer in stuck:
        viewer.close()


def test_a_look_that_fails_ends_nothing(
    client: StandIn, dashboard: MonitoringDashboard, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged once, viewers hear that the dashboard is alive, and the next look works."""
    with Stream(dashboard.port) as stream:
        stream.next("snapshot")
        tunnels = client.list_tunnels
        client.list_tunnels = lambda: 1 / 0  # type: ignore[assignment,return-value]
        while b": still here" not in stream._text:
            stream._text += stream._chunk()
        client.list_tunnels = tunnels  # type: ignore[method-assign]
        stream._text = stream._text.rpartition(b": still here\n\n")[2]
        assert stream.next("delta").data["tunnels"] == []
    assert caplog.text.count("ZeroDivisionError") == 1
