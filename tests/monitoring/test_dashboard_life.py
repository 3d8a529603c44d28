"""How the dashboard lives: beside sync code, in an event loop, in an application of the host; and how it ends."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from frp_wrapper import MonitoringDashboard, refused_ports
from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConfigError, ProcessError
from frp_wrapper.monitoring.monitor import TunnelMonitor
from tests.monitoring.dashboards import TOKEN, StandIn, Stream, ask, running


def threads() -> list[str]:
    """Give the names of the dashboard's and the monitor's threads."""
    return [
        t.name for t in threading.enumerate() if t.name.startswith(("frp-wrapper-dash", "frp-wrapper-moni"))
    ]


def test_it_starts_and_stops_again_and_again() -> None:
    """Each start has its thread, port and random token; each stop ends them; a second stop does nothing."""
    dashboard = MonitoringDashboard(StandIn("web"))
    tokens = set()
    for _ in range(3):
        dashboard.start(0)
        assert "frp-wrapper-dashboard" in threads()
        assert dashboard.url == f"http://127.0.0.1:{dashboard.port}/?token={dashboard.token}"
        assert ask(dashboard.port, "/api/tunnels", token=dashboard.token).status == 200
        tokens.add(dashboard.token)
        dashboard.stop()
        dashboard.stop()
        assert (dashboard.port, dashboard.url) == (None, None)
        assert threads() == []
    assert len(tokens) == 3
    assert min(map(len, tokens)) >= 32


def test_a_second_start_is_refused() -> None:
    """It says where the first one runs, and that one goes on."""
    with running(StandIn()) as dashboard:
        with pytest.raises(ProcessError) as caught:
            dashboard.start(0)
        assert caught.value.reason == "dashboard_started"
        assert str(dashboard.port) in caught.value.what
        assert ask(dashboard.port, "/healthz").status == 200


@pytest.mark.parametrize("port", [-1, 65536, "9999", None, True])
def test_ports_that_are_none(port: object) -> None:
    """What is no port is refused with what is."""
    with pytest.raises(ConfigError, match="is not a port"):
        MonitoringDashboard(StandIn()).start(port)  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["", "no such host", "host.invalid", "1.2.3.4.5"])
def test_hosts_that_are_none(host: str) -> None:
    """What cannot be listened at is refused before anything starts."""
    with pytest.raises((ConfigError, ProcessError)):
        MonitoringDashboard(StandIn(), token=TOKEN, host=host).start(0)


def test_ipv6_loopback() -> None:
    """The dashboard can listen at ::1, and its URL is right."""
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")
    with running(StandIn(), host="::1") as dashboard:
        assert (dashboard.url or "").startswith("http://[::1]:")
        with socket.create_connection(("::1", dashboard.port or 0), timeout=5) as connection:
            connection.sendall(b"GET /api/status HTTP/1.1\r\nHost: [::1]\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def test_signals_and_logging_stay_the_hosts() -> None:
    """Neither in a thread nor in the main thread's loop does it touch signal handlers or the host's logging."""

    def state() -> object:
        loggers = [
            logging.getLogger(name)
            for name in (None, "uvicorn", "uvicorn.error", "uvicorn.access", "asyncio")
        ]
        handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
        return handlers, [(logger.level, list(logger.handlers), logger.propagate) for logger in loggers]

    async def in_the_main_thread() -> None:
        before = state()  # with what asyncio.run has done for Ctrl-C
        dashboard = MonitoringDashboard(StandIn())
        task = asyncio.create_task(dashboard.serve(0))
        await asyncio.sleep(0.1)
        assert state() == before
        dashboard.stop()
        await task

    before = state()
    with running(StandIn()):
        assert state() == before
    asyncio.run(in_the_main_thread())
    assert state() == before


def test_it_says_nothing_on_the_hosts_logs(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    """Starting, serving nonsense and stopping print nothing and log nothing through other libraries' loggers."""
    caplog.set_level(logging.DEBUG)
    with running(StandIn()) as dashboard, Stream(dashboard.port) as stream:
        stream.next("snapshot")
        with socket.create_connection(("127.0.0.1", dashboard.port or 0), timeout=5) as connection:
            connection.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
            assert b"400" in connection.recv(1000)
        ask(dashboard.port, "/no/such/path")
    assert [
        r.name for r in caplog.records if r.name.startswith("uvicorn") or r.levelno >= logging.WARNING
    ] == []
    assert capfd.readouterr() == ("", "")


def test_in_an_event_loop() -> None:
    """``serve`` runs in the caller's loop until ``stop`` or cancellation, beside other tasks, with no thread of its own."""

    async def main() -> None:
        for end_by_stop in (True, False):
            dashboard = MonitoringDashboard(StandIn("web"), token=TOKEN)
            task = asyncio.create_task(dashboard.serve(0))
            await asyncio.sleep(0)
            assert dashboard.url is not None
            answer = await asyncio.to_thread(ask, dashboard.port, "/api/tunnels")
            assert answer.status == 200
            assert "frp-wrapper-dashboard" not in threads()
            stream = await asyncio.to_thread(Stream, dashboard.port)
            began = time.monotonic()
            if end_by_stop:
                dashboard.stop()
                await task
            else:
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            assert time.monotonic() - began < 1.0
            assert dashboard.port is None
            assert await asyncio.to_thread(stream.ends)
            stream.close()

    asyncio.run(main())
    assert threads() == []


def test_a_loop_is_stopped_from_another_thread() -> None:
    """``stop`` in a thread waits until the loop's dashboard has ended."""

    async def main() -> None:
        dashboard = MonitoringDashboard(StandIn(), token=TOKEN)
        task = asyncio.create_task(dashboard.serve(0))
        await asyncio.sleep(0.05)
        await asyncio.to_thread(dashboard.stop)
        assert dashboard.port is None
        await task

    asyncio.run(main())


def test_a_taken_port_in_an_event_loop() -> None:
    """``serve`` raises like ``start``."""
    with running(StandIn()) as dashboard, pytest.raises(ProcessError):
        asyncio.run(MonitoringDashboard(StandIn()).serve(dashboard.port or 0))


def serving_host(app: Starlette) -> tuple[uvicorn.Server, threading.Thread, int]:
    """Run a host's application as a host does."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    config = uvicorn.Config(app, log_config=None, log_level="critical", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    return server, thread, listener.getsockname()[1]


def test_mounted_in_a_hosts_application() -> None:
    """Below a path of a host's application all works: page, cookie, status, stream, and the end by ``stop``."""
    client = StandIn("web")
    dashboard = MonitoringDashboard(client, token=TOKEN)
    server, thread, port = serving_host(Starlette(routes=[Mount("/frp", dashboard.asgi_app())]))
    try:
        assert ask(port, "/frp/api/status", token=None).json["client"]["connected"] is True
        assert ask(port, "/frp/api/tunnels", token=None).status == 401
        assert ask(port, "/frp/api/tunnels").status == 200
        assert ask(port, "/frp/", token=None).status == 200
        assert ask(port, "/frp/api/tunnels", headers={"Host": "evil.example"}).status == 403
        answer = ask(port, f"/frp/?token={TOKEN}", token=None)
        assert (answer.status, answer.headers["location"]) == (303, "/frp/")
        assert "Path=/frp; HttpOnly" in answer.headers["set-cookie"]
        cookie = {"Cookie": answer.headers["set-cookie"].partition(";")[0]}
        assert ask(port, "/frp/api/tunnels", token=None, headers=cookie).status == 200
        assert ask(port, "/frp/openapi.json").json["servers"] == [{"url": "/frp"}]
        assert "frp-wrapper-monitor" in threads()
        dashboard.stop()
        deadline = time.monotonic() + 5
        while threads() and time.monotonic() < deadline:
            time.sleep(0.02)
        assert threads() == []
        assert ask(port, "/frp/healthz", token=None).status == 503
    finally:
        server.should_exit = True
        thread.join(10)


def test_served_by_a_hosts_server_with_its_lifespan() -> None:
    """As the whole application of a server it begins and ends with that server's lifespan."""
    dashboard = MonitoringDashboard(StandIn("web"), token=TOKEN)
    server, thread, port = serving_host(dashboard.asgi_app())  # type: ignore[arg-type]
    assert ask(port, "/api/tunnels").status == 200
    server.should_exit = True
    thread.join(10)
    assert threads() == []


def test_names_of_the_host_can_be_allowed() -> None:
    """A host's own names are served when they are given, and no others; the status then needs the token."""
    with running(StandIn(), allowed_hosts=["Status.Example"]) as dashboard:
        named = {"Host": "status.example"}
        assert ask(dashboard.port, "/api/tunnels", headers=named).status == 200
        assert ask(dashboard.port, "/api/status", token=None, headers=named).status == 401
        assert ask(dashboard.port, "/healthz", token=None, headers={"Host": "other.example"}).status == 403


def test_a_monitor_of_the_host_is_shown_and_not_ended() -> None:
    """With ``monitor=`` its alerts are shown, and it goes on when the dashboard ends."""
    monitor = TunnelMonitor(check_interval=60)
    with running(StandIn("web"), monitor=monitor) as dashboard:
        assert dashboard.monitor is monitor
        assert threads().count("frp-wrapper-monitor") == 1
    assert threads() == ["frp-wrapper-monitor"]
    monitor.stop_monitoring()


def test_its_own_monitor_watches_its_client_only() -> None:
    """Another client of the process does not show up in this one's alerts."""
    client, other = StandIn("web"), StandIn("other")
    dashboard = MonitoringDashboard(client)
    other.session.log_out("server_lost")
    dashboard.monitor.check_now()
    assert dashboard.monitor.get_metrics("web") is not None
    assert dashboard.monitor.get_metrics("other") is None
    assert {alert.tunnel_id for alert in dashboard.monitor.alerts()} <= {"web"}


def test_the_port_is_free_again_after_stop() -> None:
    """After ``stop`` a dashboard starts at the same port, and a tunnel may lead there."""
    client = StandIn()
    dashboard = MonitoringDashboard(client, token=TOKEN)
    dashboard.start(0)
    port = dashboard.port or 0
    ask(port, "/healthz")
    dashboard.stop()
    refused_ports.check(TunnelConfig(name="a", tunnel_type="tcp", local_port=port))
    dashboard.start(port)
    assert dashboard.port == port
    dashboard.stop()


def test_a_program_that_does_not_stop_it_ends() -> None:
    """A script that forgets ``stop`` ends at once and without a word."""
    code = (
        "import sys; sys.path.insert(0, '.');"
        "from tests.monitoring.dashboards import StandIn, ask;"
        "from frp_wrapper import MonitoringDashboard;"
        "d = MonitoringDashboard(StandIn('web')); d.start(0);"
        "print(ask(d.port, '/healthz').status)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30)
    assert (result.stdout, result.stderr, result.returncode) == ("200\n", "", 0)


def test_a_forked_child_leaves_it_alone() -> None:
    """``stop`` in a child process neither hangs nor ends the parent's dashboard."""
    with running(StandIn()) as dashboard:
        child = os.fork()
        if not child:
            dashboard.stop()
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        assert ask(dashboard.port, "/healthz").status == 200


def test_importing_it_loads_no_server() -> None:
    """The class can be imported and made without Starlette, uvicorn or a thread; only a start needs them."""
    code = (
        "import sys, threading; from frp_wrapper import MonitoringDashboard, FRPClient;"
        "MonitoringDashboard(FRPClient('localhost'));"
        "print({'starlette', 'uvicorn', 'httptools'} & set(sys.modules), threading.active_count())"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert result.stdout == "set() 1\n"
