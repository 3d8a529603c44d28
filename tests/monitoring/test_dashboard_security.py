"""Who gets what from the dashboard: each rule over a real socket, on every route of the table."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from frp_wrapper.config import TunnelConfig
from frp_wrapper.errors import ConfigError, ProcessError
from frp_wrapper.monitoring.dashboard import MonitoringDashboard
from frp_wrapper.monitoring.web_api import bodies
from frp_wrapper.monitoring.web_api.app import DashboardApp
from frp_wrapper.monitoring.web_api.bodies import MAX_BODY
from frp_wrapper.monitoring.web_api.faults import ApiError
from frp_wrapper.monitoring.web_api.guard import Guard
from frp_wrapper.plugins import Http2HttpPlugin, HttpProxyPlugin
from frp_wrapper.tunnel import Tunnel
from tests.monitoring.dashboards import TOKEN, Meter, StandIn, Stream, ask, record, running

OPEN = {"/", "/assets/{path:path}", "/healthz", "/readyz", "/api/status"}
"""The short list: what answers without a token."""


async def table() -> list[tuple[str, str]]:
    """Give every path and method of the table of routes."""
    client = StandIn()
    dashboard = MonitoringDashboard(client, token=TOKEN)
    app = dashboard.asgi_app()
    app.start()
    routes = [(route.path, method) for route in app.routes for method in sorted(route.methods or ())]
    await app.close()
    return routes


def every_route() -> list[tuple[str, str]]:
    """Give the table; made here so that a new route cannot be forgotten."""
    import asyncio

    return asyncio.run(table())


ROUTES = every_route()
CLOSED = [(path, method) for path, method in ROUTES if path not in OPEN]
WRITES = [(path, method) for path, method in ROUTES if method not in ("GET", "HEAD")]


def filled(path: str) -> str:
    """Give a path that a route matches."""
    return path.replace("{id}", "web").replace("{path:path}", "index.html")


@pytest.fixture(scope="module")
def shared() -> Iterator[MonitoringDashboard]:
    """Give a dashboard of a client with one tunnel."""
    with running(StandIn("web")) as dashboard:
        yield dashboard


@pytest.mark.parametrize(("path", "method"), CLOSED)
def test_a_route_needs_the_token(shared: MonitoringDashboard, path: str, method: str) -> None:
    """Every route that is not on the short list refuses a request without the token, and one with a wrong token."""
    for token in (None, "a-wrong-token-of-some-length", TOKEN + "x", TOKEN[:-1], "é" * 20):
        answer = ask(shared.port, filled(path), method, token=token)
        assert answer.status == 401
        assert method == "HEAD" or answer.code == "token_needed"


def test_the_short_list_is_all_there_is(shared: MonitoringDashboard) -> None:
    """What is open answers without the token, to reading only; a path that does not exist is not told from one that does."""
    for path in ("/", "/healthz", "/readyz", "/api/status"):
        assert ask(shared.port, path, token=None).status == 200
        assert ask(shared.port, path, "POST", token=None).status == 401
    assert ask(shared.port, "/no/such/path", token=None).status == 401
    assert ask(shared.port, "/no/such/path").status == 404


@pytest.mark.parametrize(("path", "method"), ROUTES)
def test_every_route_refuses_another_host(shared: MonitoringDashboard, path: str, method: str) -> None:
    """A name that DNS was made to point here is refused everywhere, with the right token too: stream, metrics, assets."""
    for host in ("evil.example", f"evil.example:{shared.port}", "localhost.evil.example", "192.0.2.1", ""):
        answer = ask(shared.port, filled(path), method, headers={"Host": host})
        assert answer.status == 403
        assert method == "HEAD" or answer.code == "host_not_allowed"


def test_a_request_names_one_host(shared: MonitoringDashboard) -> None:
    """Without a Host, or with two, nothing is answered."""
    for head in ("", "Host: localhost\r\nHost: localhost\r\n"):
        with socket.create_connection(("127.0.0.1", shared.port or 0), timeout=5) as connection:
            connection.sendall(f"GET /api/status HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
            assert connection.recv(1000).split()[1] in (b"400", b"403")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]", "LOCALHOST"])
def test_names_of_loopback_are_served(shared: MonitoringDashboard, host: str) -> None:
    """The names of this machine's loopback are allowed, with any port: it may have been forwarded by ssh."""
    assert ask(shared.port, "/api/tunnels", headers={"Host": host}).status == 200
    assert ask(shared.port, "/api/tunnels", headers={"Host": f"{host}:8080"}).status == 200


@pytest.mark.parametrize(("path", "method"), WRITES)
def test_a_write_from_another_site_is_refused(shared: MonitoringDashboard, path: str, method: str) -> None:
    """A page of another origin changes nothing, whether it has the token or makes a browser send the cookie."""
    cookie = {"Cookie": f"frp_wrapper_{shared.port}={TOKEN}"}
    own = f"http://localhost:{shared.port}"
    attempts: list[tuple[str | None, dict[str, str]]] = [
        (TOKEN, {"Origin": "http://evil.example"}),
        (TOKEN, {"Origin": "null"}),
        (TOKEN, {"Origin": "http://localhost:1"}),
        (TOKEN, {"Sec-Fetch-Site": "cross-site"}),
        (TOKEN, {"Sec-Fetch-Site": "same-site", "Origin": own}),
        (None, {**cookie, "Origin": "http://evil.example"}),
        (None, {**cookie, "Sec-Fetch-Site": "cross-site"}),
        (None, cookie),
    ]
    for token, headers in attempts:
        answer = ask(shared.port, filled(path), method, token=token, body={}, headers=headers)
        assert answer.status == 403
        assert answer.code in ("foreign_origin", "origin_needed")
    for headers in ({"Origin": own}, {"Sec-Fetch-Site": "same-origin"}):
        headers |= {"Cookie": f"frp_wrapper_{shared.port}={TOKEN}"}
        assert ask(shared.port, filled(path) + "-not-there", method, token=None, headers=headers).status in (
            404,
            405,
        )


def test_a_read_from_another_site_gets_no_use_of_the_cookie(shared: MonitoringDashboard) -> None:
    """What another site's page makes the browser fetch with the cookie is refused, though it could not read it."""
    cookie = {"Cookie": f"frp_wrapper_{shared.port}={TOKEN}"}
    for site in ("cross-site", "same-site"):
        answer = ask(shared.port, "/api/tunnels", token=None, headers={**cookie, "Sec-Fetch-Site": site})
        assert answer.status == 403
    answer = ask(shared.port, "/api/tunnels", token=None, headers={**cookie, "Sec-Fetch-Site": "same-origin"})
    assert answer.status == 200


def test_the_token_becomes_a_cookie(shared: MonitoringDashboard) -> None:
    """The printed URL gives a cookie that scripts cannot read and other sites do not send, and goes from the address bar."""
    answer = ask(shared.port, f"/?token={TOKEN}", token=None)
    assert (answer.status, answer.headers["location"]) == (303, "/")
    name, _, rest = answer.headers["set-cookie"].partition("=")
    assert name == f"frp_wrapper_{shared.port}"
    assert rest == f"{TOKEN}; Path=/; HttpOnly; SameSite=Strict"
    cookie = {"Cookie": f"other=1; {name}={TOKEN}"}
    assert ask(shared.port, "/api/tunnels", token=None, headers=cookie).status == 200
    wrong = ask(shared.port, "/?token=wrong", token=None)
    assert (wrong.status, wrong.headers["location"]) == (303, "?refused")
    assert "set-cookie" not in wrong.headers


@pytest.mark.parametrize(
    "cookie", ["frp_wrapper_1={t}", "frp_wrapper_{p}=x{t}", "{t}", ";;=;", 'frp_wrapper_{p}="\\']
)
def test_other_cookies_open_nothing(shared: MonitoringDashboard, cookie: str) -> None:
    """Another port's cookie, a wrong or a broken one are like none."""
    text = cookie.format(t=TOKEN, p=shared.port)
    assert ask(shared.port, "/api/tunnels", token=None, headers={"Cookie": text}).status == 401


@pytest.mark.parametrize(
    "path", ["/", "/api/status", "/api/tunnels", "/no/such/path", "/metrics", "/api/stream", "/assets/x"]
)
@pytest.mark.parametrize("token", [TOKEN, None])
def test_the_headers_of_every_answer(shared: MonitoringDashboard, path: str, token: str | None) -> None:
    """Answers and errors alike forbid scripts of others, frames and guessing, and allow no other origin to read."""
    headers = ask(shared.port, path, token=token, headers={"Origin": "http://evil.example"}).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == ("no-store" if path != "/" else "no-cache")
    assert not [name for name in headers if name.startswith("access-control")]


def test_a_preflight_is_refused(shared: MonitoringDashboard) -> None:
    """No other origin is allowed anything."""
    answer = ask(
        shared.port,
        "/api/tunnels",
        "OPTIONS",
        token=None,
        headers={"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"},
    )
    assert answer.status in (401, 403, 405)
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_only_loopback_is_bound(shared: MonitoringDashboard) -> None:
    """The socket itself listens on 127.0.0.1 and nowhere else."""
    listening = [
        connection.laddr
        for connection in psutil.Process().net_connections("inet")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == shared.port
    ]
    assert [address.ip for address in listening] == ["127.0.0.1"]


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7"])
def test_another_address_needs_a_token_of_ones_own(host: str) -> None:
    """Where others could reach it, nothing is bound without an explicit token."""
    dashboard = MonitoringDashboard(StandIn(), host=host)
    with pytest.raises(ConfigError) as caught:
        dashboard.start(0)
    assert caught.value.reason == "token_needed"
    assert dashboard.port is None


@pytest.mark.parametrize("token", ["", "short", "with a space in it", "a;cookie=breaks-with-this", "x" * 300])
def test_tokens_that_are_refused(token: str) -> None:
    """A token that can be guessed or that no cookie carries is refused at once."""
    with pytest.raises(ConfigError, match="16 to 256"):
        MonitoringDashboard(StandIn(), token=token)


def scope(**changes: Any) -> dict[str, Any]:
    """Give a request as a server hands it on."""
    request = {
        "type": "http",
        "method": "GET",
        "path": "/api/status",
        "headers": [(b"host", b"localhost:9999")],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 9999),
    }
    return request | changes


@pytest.mark.parametrize(
    "changes",
    [
        {"client": ("192.0.2.1", 5000)},
        {"server": ("192.0.2.2", 9999)},
        {"client": None},
        {"headers": [(b"host", b"localhost"), (b"x-forwarded-for", b"192.0.2.1")]},
        {"headers": [(b"host", b"localhost"), (b"forwarded", b"for=192.0.2.1")]},
        {"headers": [(b"host", b"shown.example")]},
        {"headers": [(b"host", b"192.0.2.2:9999")]},
    ],
)
def test_the_status_is_open_on_this_machine_only(changes: dict[str, Any]) -> None:
    """What comes from another machine, or through a proxy, needs the token for the status too."""
    guard = Guard(TOKEN, ["shown.example"], any_address=True)
    guard.check(scope())
    with pytest.raises(ApiError) as caught:
        guard.check(scope(**changes))
    assert caught.value.status == 401


def test_addresses_are_hosts_only_where_the_dashboard_is_shared() -> None:
    """Any address may stand in Host where others may come, because only names can be rebound; else only loopback's."""
    request = scope(path="/healthz", headers=[(b"host", b"192.0.2.2:9999")])
    Guard(TOKEN, any_address=True).check(request)
    with pytest.raises(ApiError):
        Guard(TOKEN).check(request)
    with pytest.raises(ApiError):
        Guard(TOKEN, any_address=True).check(scope(path="/healthz", headers=[(b"host", b"evil.example")]))


@pytest.mark.parametrize(
    "config",
    [
        {"local_port": "PORT"},
        {"local_port": "PORT", "local_host": "localhost"},
        {"local_port": "PORT", "local_host": "0.0.0.0"},
        {"local_port": "PORT", "local_host": "::ffff:127.0.0.1"},
        {"local_port": "PORT", "tunnel_type": "http", "subdomain": "a"},
        {"plugin": "127.0.0.1:PORT"},
        {"plugin": ":PORT"},
    ],
)
def test_no_tunnel_leads_to_the_dashboard(config: dict[str, Any]) -> None:
    """Whatever opens it, a tunnel to our own port is refused while the dashboard runs, and not after."""
    client = StandIn()
    with running(client) as dashboard:
        port = dashboard.port
        if "plugin" in config:
            plugin = Http2HttpPlugin(local_addr=config["plugin"].replace("PORT", str(port)))
            options: dict[str, Any] = {"plugin": plugin}
        else:
            options = {**config, "local_port": port}
        tunnel = TunnelConfig(**{"name": "own", "tunnel_type": "tcp", **options})
        with pytest.raises(ConfigError) as caught:
            client.expose(tunnel)
        assert caught.value.reason == "own_dashboard_port"
    client.expose(tunnel)


def test_other_tunnels_to_the_same_port_number_are_fine() -> None:
    """A service of another machine, or UDP, may have the dashboard's port number."""
    client = StandIn()
    with running(client) as dashboard:
        client.expose(
            TunnelConfig(name="a", tunnel_type="tcp", local_port=dashboard.port, local_host="192.0.2.1")
        )
        client.expose(TunnelConfig(name="b", tunnel_type="udp", local_port=dashboard.port))


def test_the_interface_opens_no_tunnel_to_itself() -> None:
    """Neither does a request to the dashboard."""
    with running(StandIn()) as dashboard:
        answer = ask(
            dashboard.port, "/api/tunnels", "POST", body={"type": "tcp", "local_port": dashboard.port}
        )
        assert (answer.status, answer.code) == (400, "own_dashboard_port")


def test_it_does_not_start_where_a_tunnel_leads() -> None:
    """A tunnel that was opened before to the same port would show the dashboard to its visitors."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    client = StandIn()
    client.add("web", port)
    dashboard = MonitoringDashboard(client)
    with pytest.raises(ConfigError) as caught:
        dashboard.start(port)
    assert caught.value.reason == "own_dashboard_port"
    dashboard.start(0)
    dashboard.stop()


def test_a_proxy_tunnel_closes_the_open_status() -> None:
    """While visitors of a proxy can reach loopback, the status needs the token too."""
    client = StandIn("web")
    with running(client) as dashboard:
        assert ask(dashboard.port, "/api/status", token=None).status == 200
        tunnel = client.add("proxy", None, plugin=HttpProxyPlugin())
        assert ask(dashboard.port, "/api/status", token=None).status == 401
        assert ask(dashboard.port, "/api/status").status == 200
        tunnel.close()
        assert ask(dashboard.port, "/api/status", token=None).status == 200


def test_a_tunnel_of_somebody_elses_frpc_closes_the_open_status() -> None:
    """A tunnel that could not be refused, to the dashboard itself or with a plugin that nothing tells, may bring visitors."""
    client = StandIn("web")
    with running(client) as dashboard:
        assert dashboard.port is not None
        for port in (dashboard.port, None):
            config = TunnelConfig(name="theirs", tunnel_type="tcp", local_port=port)
            tunnel = Tunnel(config, client, Meter("theirs"))
            client.session.add(tunnel)
            assert ask(dashboard.port, "/api/status", token=None).status == 401
            tunnel.close()
            assert ask(dashboard.port, "/api/status", token=None).status == 200


def test_plugins_are_not_opened_over_http(shared: MonitoringDashboard) -> None:
    """A plugin may reach all of this machine's files and ports: who has the token gets none by HTTP."""
    body = {"type": "tcp", "plugin": {"type": "static_file", "local_path": "/"}}
    answer = ask(shared.port, "/api/tunnels", "POST", body=body)
    assert (answer.status, answer.code) == (403, "plugin_refused")


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"{}", "text/plain", 415),
        (b"{}", "", 415),
        (b"seconds=60", "application/x-www-form-urlencoded", 415),
        (b"[]", "application/json", 400),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"\xff\xfe", "application/json", 400),
        (b'{"seconds": NaN}', "application/json", 400),
        (b'{"seconds": 1e999}', "application/json", 400),
        (b'{"seconds": true}', "application/json", 400),
        (b'{"seconds": 60, "more": 1}', "application/json", 400),
        (b'{"seconds": 60, "rule": "no_such_rule"}', "application/json", 400),
        (b"[" * 30_000, "application/json", 400),
        (b'{"seconds": ' + b"9" * 5000 + b"}", "application/json", 400),
        (b" " * (MAX_BODY + 1), "application/json", 413),
    ],
)
def test_bodies_that_are_refused(shared: MonitoringDashboard, body: bytes, kind: str, status: int) -> None:
    """A body is a bounded JSON object, or gets a clear error."""
    answer = ask(shared.port, "/api/silences", "POST", body=body, headers={"Content-Type": kind})
    assert answer.status == status
    assert answer.json["error"]["hint"]


def test_a_body_that_does_not_come(shared: MonitoringDashboard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever promises a body and does not send it is answered, and not waited for."""
    monkeypatch.setattr(bodies, "_MAX_SECONDS", 0.1)
    with socket.create_connection(("127.0.0.1", shared.port or 0), timeout=5) as connection:
        connection.sendall(
            f"POST /api/silences HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {TOKEN}\r\n"
            "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
        )
        assert b" 408 " in connection.recv(1000)


def test_the_token_is_nowhere_to_be_seen(caplog: pytest.LogCaptureFixture) -> None:
    """No answer, log record or repr has the token in it."""
    caplog.set_level(logging.DEBUG)
    client = StandIn("web")
    with running(client) as dashboard:
        client.log_lines.add(record("detail", f"who says {TOKEN} aloud"))
        assert TOKEN not in repr(dashboard)
        ask(dashboard.port, f"/?token={TOKEN}", token=None)
        for path, method in ROUTES:
            answer = ask(dashboard.port, filled(path), method)
            assert TOKEN.encode() not in answer.body
            assert TOKEN not in str(answer.headers)
        assert "who says ***" in ask(dashboard.port, "/api/logs").body.decode()
    assert TOKEN not in caplog.text


def test_an_own_config_is_never_answered() -> None:
    """Passwords and keys of a tunnel are in no answer."""
    client = StandIn()
    client.expose(
        TunnelConfig(
            name="web",
            tunnel_type="http",
            local_port=3000,
            subdomain="a",
            http_user="me",
            http_password="a-password-of-mine",
        )
    )
    with running(client) as dashboard:
        for path, method in ROUTES:
            assert b"a-password-of-mine" not in ask(dashboard.port, filled(path), method).body


def test_hostile_names_are_data() -> None:
    """What visitors and frps write comes out as JSON text, whatever is in it."""
    client = StandIn("web")
    client.log_lines.add(record("detail", "<script>alert(1)</script>\n\nevent: bye\ndata: x\n\n{{%s}}"))
    with running(client) as dashboard:
        answer = ask(dashboard.port, "/api/logs")
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["lines"][0]["message"].startswith("<script>")
        with Stream(dashboard.port, "?logs=1") as stream:
            stream.next("snapshot")
            client.log_lines.add(record("detail", "a\n\nevent: bye\ndata: x\n\n"))
            assert stream.next("log").data["lines"][0]["message"].startswith("a\n\nevent: bye")


def test_websockets_are_closed() -> None:
    """What is no HTTP gets nothing."""
    import asyncio

    sent: list[Any] = []

    async def connect() -> None:
        app: DashboardApp = MonitoringDashboard(StandIn(), token=TOKEN).asgi_app()

        async def receive() -> dict[str, str]:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        await app({"type": "websocket", "path": "/", "headers": []}, receive, send)

    asyncio.run(connect())
    assert sent == [{"type": "websocket.close", "code": 1008}]


def test_a_taken_port_is_a_clear_error(shared: MonitoringDashboard) -> None:
    """The error names the port and another one."""
    with pytest.raises(ProcessError) as caught:
        MonitoringDashboard(StandIn()).start(shared.port or 0)
    assert str(shared.port) in caught.value.what
    assert caught.value.reason == "dashboard_port"
    assert "port=0" in (caught.value.hint or "")
