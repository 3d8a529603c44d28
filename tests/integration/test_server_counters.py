"""What frps itself counts, read from its dashboard: real frps, of the default version and of the oldest one."""

from __future__ import annotations

import logging
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from frp_wrapper import AuthenticationError, ConnectionFailedError, FRPClient, FRPServer, Tunnel
from frp_wrapper.frp.server_api import ServerApi
from frp_wrapper.metering import server_counters
from tests.integration.conftest import eventually, exchange
from tests.monitoring.dashboards import ask, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

VERSIONS = [None, pytest.param("0.52.3", marks=pytest.mark.compat)]
"""None: the default version."""


@dataclass
class Stage:
    """An frps with a dashboard, a client that knows it, and the API as the client has it."""

    server: FRPServer
    client: FRPClient
    api: ServerApi


@pytest.fixture(params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str | None:
    """Give each version."""
    return request.param  # type: ignore[no-any-return]


@contextmanager
def staged(version: str | None = None, *, dashboard: str | None = None, **options: object) -> Iterator[Stage]:
    """Run frps and a client; ``dashboard`` instead of the one of this frps."""
    with (
        FRPServer(vhost_http_port=0, dashboard_port=0, frp_version=version) as server,
        FRPClient(
            "localhost",
            server.bind_port,
            auth_token=server.auth_token,
            frp_version=version,
            server_dashboard=dashboard or server.dashboard_url,
            **options,  # type: ignore[arg-type]
        ) as client,
    ):
        assert client.server_api
        yield Stage(server, client, client.server_api)


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have frps asked with every call."""
    monkeypatch.setattr(server_counters, "_INTERVAL", 0.0)


def total(tunnel: Tunnel) -> tuple[int, int] | None:
    """Give what frps says of a tunnel: bytes sent and received."""
    counters = tunnel.server_counters()
    return (counters.bytes_sent_today, counters.bytes_received_today) if counters else None


def send_one_way(tunnel: Tunnel, up: bytes, down: int) -> None:
    """Send data to a service that answers with so many bytes."""
    with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=10) as visitor:
        visitor.sendall(struct.pack("!II", len(up), down) + up)
        while down:
            down -= len(visitor.recv(min(65536, down)))


@pytest.fixture
def uneven() -> Iterator[int]:
    """Give the port of a service that answers with as many bytes as the visitor wants."""
    import socketserver

    from tests.integration.conftest import EchoServer, serving

    class Uneven(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            up, down = struct.unpack("!II", self.rfile.read(8))
            self.rfile.read(up)
            self.wfile.write(b"d" * down)

    yield from serving(EchoServer(("127.0.0.1", 0), Uneven))


def test_bytes_of_closed_connections(version: str | None, uneven: int, eager: None) -> None:
    """Once connections have closed, frps has counted the bytes that went each way, and so have we."""
    with staged(version) as stage:
        tunnel = stage.client.expose_tcp(uneven)
        for number in range(5):
            send_one_way(tunnel, b"u" * 1000 * number, 70_000 + number)
        received, sent = 5 * 8 + 10_000, 350_010
        eventually(lambda: total(tunnel) == (sent, received))
        eventually(lambda: (tunnel.metrics.bytes_sent, tunnel.metrics.bytes_received) == (sent, received))
        counters = tunnel.server_counters()
        assert counters
        assert (counters.open_connections, counters.last_close, counters.source) == (0, None, "frps")
        assert counters.last_start is not None
        datetime.strptime(f"2000-{counters.last_start}", "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC)
        assert abs((datetime.now(UTC) - counters.as_of).total_seconds()) < 60


def test_an_open_connection(version: str | None, echo: int, eager: None) -> None:
    """Of a connection that is open frps counts no bytes yet, and that it is open."""
    with staged(version) as stage:
        tunnel = stage.client.expose_tcp(echo)
        with socket.create_connection(("127.0.0.1", tunnel.public_port or 0), timeout=10) as visitor:
            visitor.sendall(b"x" * 1000)
            eventually(lambda: tunnel.metrics.bytes_received == 1000)
            counters = tunnel.server_counters()
            assert counters
            assert (counters.open_connections, counters.bytes_received_today) == (1, 0)
        eventually(lambda: total(tunnel) == (1000, 1000))


def test_a_user(version: str | None, echo: int, eager: None) -> None:
    """With a user, a tunnel is found by its name on the server, and a namesake of another user is not taken for it."""
    with staged(version, user="bob") as stage:
        other = FRPClient(
            "localhost", stage.server.bind_port, auth_token=stage.server.auth_token, frp_version=version
        )
        with other:
            namesake = other.expose_tcp(echo, name="ssh")
            tunnel = stage.client.expose_tcp(echo, name="ssh")
            exchange(namesake.public_port or 0, b"y" * 50)
            exchange(tunnel.public_port or 0, b"x" * 700)
            eventually(lambda: total(tunnel) == (700, 700))
            names = {proxy.name for proxy in stage.api.proxies("tcp")}
            assert names == {"ssh", "bob.ssh"}


def test_other_types(version: str | None, echo: int, web: int, eager: None) -> None:
    """Each type is asked for by itself; what frps does not count is None, not 0."""
    with staged(version) as stage:
        path = stage.client.expose_path(web, "/x")
        udp = stage.client.expose_udp(echo)
        xtcp = stage.client.expose_xtcp(echo, secret_key="k")
        with urllib.request.urlopen(
            urllib.request.Request(f"{path.url}/", headers={"Connection": "close"}), timeout=10
        ) as answer:
            answer.read()
        eventually(lambda: path.server_counters() is not None)
        counters = udp.server_counters()
        assert counters
        assert (counters.bytes_sent_today, counters.open_connections) == (0, None)
        assert xtcp.server_counters() is None
        assert stage.client.server_counters_error is None


def test_the_server_as_a_whole(version: str | None, echo: int) -> None:
    """The API tells the server's version and totals, and a week of a tunnel by its name."""
    with staged(version, user="bob") as stage:
        tunnel = stage.client.expose_tcp(echo, name="ssh")
        exchange(tunnel.public_port or 0, b"x" * 300)
        eventually(lambda: stage.api.info().bytes_sent_today == 300)
        info = stage.api.info()
        assert info.version == (version or stage.client.frp_version)
        assert (info.clients, info.bytes_received_today, info.tunnels) == (1, 300, {"tcp": 1})
        days = stage.api.traffic("bob.ssh")
        assert days is not None
        assert [(day.bytes_sent, day.bytes_received) for day in days] == [(300, 300)] + [(0, 0)] * 6
        assert stage.api.traffic("nobody") is None


def test_one_question_for_many_tunnels(echo: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many ask about however many tunnels of a type, frps is asked once in ten seconds, and not if nobody asks."""
    asked = []
    proxies = ServerApi.proxies
    monkeypatch.setattr(ServerApi, "proxies", lambda api, kind: asked.append(kind) or proxies(api, kind))
    with staged() as stage:
        tunnels = [stage.client.expose_tcp(echo) for _ in range(3)]
        assert asked == []
        for _ in range(20):
            assert all(tunnel.server_counters() for tunnel in tunnels)
        assert asked == ["tcp"]


def test_a_wrong_password(echo: int, caplog: pytest.LogCaptureFixture, eager: None) -> None:
    """A wrong password is named, once in the log and in the client, is seen nowhere, and harms no tunnel."""
    with FRPServer(dashboard_port=0) as server:
        wrong = f"http://admin:wr%C3%B6ng-secret@127.0.0.1:{server.config.dashboard_port}"
        with (
            FRPClient(
                "localhost", server.bind_port, auth_token=server.auth_token, server_dashboard=wrong
            ) as client,
            caplog.at_level(logging.WARNING, "frp_wrapper.server"),
            running(client) as dashboard,
        ):
            tunnel = client.expose_tcp(echo, name="web")
            for _ in range(3):
                assert tunnel.server_counters() is None
            error = client.server_counters_error
            assert isinstance(error, AuthenticationError)
            assert (error.reason, bool(error.hint)) == ("server_dashboard_auth", True)
            assert exchange(tunnel.public_port or 0) == b"hello"
            (line,) = [each.getMessage() for each in caplog.records if each.name == "frp_wrapper.server"]
            assert "server_dashboard_auth" in line
            body = ask(dashboard.port, "/api/tunnels").body.decode()
            assert '"reason":"server_dashboard_auth"' in body
            seen = "".join(
                [body, line, str(error), repr(client), repr(client.config), repr(client.server_api)]
            )
            assert "secret" not in seen


def test_nothing_listens(echo: int, eager: None) -> None:
    """Where nothing listens, that is said; and once frps is there, the numbers come and the error goes."""
    with staged() as stage:
        free = socket.create_server(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        with pytest.raises(ConnectionFailedError, match="nothing listens") as caught:
            ServerApi(f"http://127.0.0.1:{port}").info()
        assert caught.value.reason == "server_dashboard_missing"
        tunnel = stage.client.expose_tcp(echo)
        eventually(lambda: tunnel.server_counters() is not None)
        stage.server.stop()
        eventually(
            lambda: tunnel.server_counters() is not None and stage.client.server_counters_error is not None
        )
        assert stage.client.server_counters_error.reason == "server_dashboard_missing"  # type: ignore[union-attr]
        config = stage.server.config
        again = FRPServer(
            config.bind_port,
            auth_token=config.auth_token,
            dashboard_port=config.dashboard_port,
            dashboard_user=config.dashboard_user,
            dashboard_password=config.dashboard_password,
        )
        with again:
            eventually(lambda: tunnel.server_counters() and stage.client.server_counters_error is None, 40)


@pytest.mark.parametrize("what", ["service", "bind_port", "frpc"])
def test_not_frps(what: str, web: int) -> None:
    """What answers but is no frps is named so: a web service, frps's own bindPort, frpc's admin API."""
    with staged() as stage:
        run = stage.client._run
        assert run
        port = {"service": web, "bind_port": stage.server.bind_port, "frpc": run.frpc.admin_port}[what]
        endpoint = run.frpc._admin._endpoint if what == "frpc" else None  # type: ignore[attr-defined]
        access = f"{endpoint.user}:{endpoint.password}@" if endpoint else ""
        with pytest.raises(ConnectionFailedError) as caught:
            ServerApi(f"http://{access}127.0.0.1:{port}").proxies("tcp")
        assert caught.value.reason == "server_dashboard_not_frps"


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_https(echo: int, tmp_path: Path) -> None:
    """A dashboard with TLS is read where its certificate is of the CA that was given, and only there."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=frps", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", "key.pem", "-out", "cert.pem"],
        cwd=tmp_path, check=True, capture_output=True,
    )  # fmt: skip
    files = {"certFile": str(tmp_path / "cert.pem"), "keyFile": str(tmp_path / "key.pem")}
    with FRPServer(dashboard_port=0, extra={"webServer": {"tls": files}}) as server:
        url = (server.dashboard_url or "").replace("http://", "https://")
        assert ServerApi(url, ca_file=files["certFile"]).info().clients == 0
        with pytest.raises(ConnectionFailedError) as caught:
            ServerApi(url).info()
        assert caught.value.reason == "tls_error"
        with pytest.raises(ConnectionFailedError, match="HTTP status 400") as caught:
            ServerApi(server.dashboard_url or "").info()
        assert "https://" in (caught.value.hint or "")


def test_the_caller_waits_no_longer_than_it_wants(echo: int) -> None:
    """A dashboard that takes connections and says nothing keeps nobody, and the client closes in time."""
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://a:b@127.0.0.1:{mute.getsockname()[1]}"
        with staged(dashboard=url) as stage:
            tunnel = stage.client.expose_tcp(echo)
            began = time.monotonic()
            assert tunnel.server_counters(timeout=0) is None
            assert tunnel.server_counters(timeout=0.2) is None
            assert time.monotonic() - began < 2
            eventually(lambda: stage.client.server_counters_error is not None)
            error = stage.client.server_counters_error
            assert error
            assert (error.reason, "within 3 s" in str(error)) == ("server_dashboard_unreachable", True)


def test_the_dashboard_shows_both(echo: int, eager: None) -> None:
    """``/api/tunnels/{id}`` has frps's numbers beside ours, the list has not, and Prometheus gets them too."""
    with staged() as stage, running(stage.client) as dashboard:
        tunnel = stage.client.expose_tcp(echo, name="web")
        exchange(tunnel.public_port or 0, b"x" * 400)
        eventually(lambda: total(tunnel) == (400, 400))
        eventually(lambda: tunnel.metrics.bytes_sent == 400)
        view = ask(dashboard.port, "/api/tunnels/web").json
        assert view["server_counters"]["bytes_sent_today"] == view["metrics"]["bytes_sent"] == 400
        assert (view["server_counters"]["source"], view["metrics"]["source"]) == ("frps", "passive")
        listed = ask(dashboard.port, "/api/tunnels").json
        assert "server_counters" not in listed["tunnels"][0]
        assert (listed["client"]["server_dashboard"], listed["client"]["server_counters_error"]) == (
            True,
            None,
        )
        text = ask(dashboard.port, "/metrics").body.decode()
        assert 'frp_wrapper_server_bytes_sent_today{tunnel="web",type="tcp"} 400\n' in text
