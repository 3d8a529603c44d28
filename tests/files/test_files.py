"""Files: our own and frp's, and what is said when they are wrong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from frp_wrapper.config import HealthCheck
from frp_wrapper.errors import ConfigError
from frp_wrapper.files import Setup, load
from frp_wrapper.files.load import parse
from frp_wrapper.plugins import Https2HttpPlugin, Socks5Plugin, StaticFilePlugin

OWN = """
[client]
server = "frp.example.com"
auth_token = "t0ken"
tls = { trusted_ca_file = "ca.pem" }

[tunnels.web]
type = "tcp"
local_port = 3000
meter = "relay"
allow = ["10.0.0.0/8", "2001:db8::/32"]
deny = ["10.1.2.3"]
max_connections = 100
connection_rate = 50
visitor_connection_rate = 0.5

[tunnels.api]
path = "/api"
local_port = 8000
health_check = { type = "http", path = "/healthz" }

[tunnels.files]
type = "tcp"
plugin = { type = "static_file", local_path = "/srv" }

[visitors.db]
type = "stcp"
server_name = "db"
secret_key = "k"
bind_port = 5432
"""

FRPC_TOML = """
serverAddr = "frp.example.com"
serverPort = 7001
user = "bob"
auth.token = "{{ .Envs.TEST_FRP_TOKEN }}"
log.to = "frpc.log"
log.level = "info"
webServer.port = 7400
loginFailExit = false
transport.protocol = "quic"
transport.tls.enable = true
transport.tls.trustedCaFile = "ca.pem"
transport.quic.keepalivePeriod = 10
metadatas.team = "edge"
start = ["ssh", "web", "proxy", "db"]

[[proxies]]
name = "ssh"
type = "tcp"
localIP = "10.0.0.5"
localPort = 22
remotePort = 6000
transport.useEncryption = true
transport.bandwidthLimit = "1MB"

[[proxies]]
name = "web"
type = "http"
localPort = 80
customDomains = ["a.example.com"]
requestHeaders.set.x-from = "frp"
[proxies.healthCheck]
type = "http"
path = "/up"
httpHeaders = [{ name = "x-check", value = "1" }]

[[proxies]]
name = "proxy"
type = "https"
customDomains = ["b.example.com"]
[proxies.plugin]
type = "https2http"
localAddr = "127.0.0.1:80"
enableHTTP2 = true
requestHeaders.set.x-a = "b"

[[proxies]]
name = "not-started"
type = "tcp"
localPort = 1

[[visitors]]
name = "db"
type = "stcp"
serverName = "postgres"
secretKey = "k"
bindPort = 5432
"""

INI = """
[common]
server_addr = frp.example.com
server_port = 7001
token = t0ken
tls_enable = true
log_file = ./frpc.log
meta_team = edge

[ssh]
type = tcp
local_port = 22
remote_port = 6000
use_encryption = true

[web]
type = http
local_port = 80
custom_domains = a.example.com, b.example.com
header_X-From = frp
health_check_type = http
health_check_url = /up

[range:many]
type = tcp
local_port = 6010-6011,6020
remote_port = 7010-7011,7020

[socks]
type = tcp
remote_port = 6005
plugin = socks5
plugin_user = me
plugin_passwd = secret

[db]
role = visitor
type = stcp
server_name = postgres
sk = k
bind_port = 5432
"""


def load_text(folder: Path, text: str, name: str = "tunnels.toml") -> Setup:
    """Write a file and load it."""
    (folder / name).write_text(text)
    return load(folder / name)


def faults(folder: Path, text: str, name: str = "tunnels.toml") -> tuple[str, ...]:
    """Give the faults of a file."""
    with pytest.raises(ConfigError) as caught:
        load_text(folder, text, name)
    return tuple(caught.value.faults)


def test_our_own_file(tmp_path: Path) -> None:
    """Client, tunnels and visitors are read with the names of the Python options."""
    setup = load_text(tmp_path, OWN)
    assert (setup.client.server, setup.client.auth_token) == ("frp.example.com", "t0ken")
    assert setup.client.tls.trusted_ca_file == "ca.pem"
    web, api, files = setup.tunnels
    assert (web.name, web.tunnel_type, web.local_port, web.meter) == ("web", "tcp", 3000, "relay")
    assert (list(web.allow), list(web.deny)) == (["10.0.0.0/8", "2001:db8::/32"], ["10.1.2.3"])
    assert (web.max_connections, web.connection_rate, web.visitor_connection_rate) == (100, 50, 0.5)
    assert (api.meter, list(api.allow), api.max_connections) == ("auto", [], None)
    assert (api.tunnel_type, list(api.locations), list(api.custom_domains)) == (
        "http",
        ["/api"],
        ["frp.example.com"],
    )
    assert api.health_check == HealthCheck(type="http", path="/healthz")
    assert files.plugin == StaticFilePlugin(local_path="/srv")
    assert setup.visitors[0].bind_port == 5432


def test_the_token_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token may stand in the environment or in a file beside the first."""
    (tmp_path / "token").write_text("from-file\n")
    monkeypatch.setenv("TEST_FRP_TOKEN", "from-env")
    by_file = load_text(tmp_path, '[client]\nserver = "h"\nauth_token_file = "token"')
    by_env = load_text(tmp_path, '[client]\nserver = "h"\nauth_token_env = "TEST_FRP_TOKEN"')
    assert (by_file.client.auth_token, by_env.client.auth_token) == ("from-file", "from-env")


def test_the_dashboard_of_frps_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The address of frps's dashboard, which has a password in it, may stand elsewhere as the token may."""
    url = "http://admin:s3cret@h:7500"
    (tmp_path / "dashboard").write_text(url + "\n")
    monkeypatch.setenv("TEST_FRPS_DASHBOARD", url)
    for line in (
        f'server_dashboard = "{url}"',
        'server_dashboard_file = "dashboard"',
        'server_dashboard_env = "TEST_FRPS_DASHBOARD"',
    ):
        assert load_text(tmp_path, f'[client]\nserver = "h"\n{line}').client.server_dashboard == url
    text = "\n".join(faults(tmp_path, f'[client]\nserver = "h"\nserver_dashboard = ["{url}"]'))
    assert "server_dashboard" in text
    assert "s3cret" not in text


def test_frpc_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file of frp's is read whole: what we have no name for is handed on, what we set ourselves is told."""
    monkeypatch.setenv("TEST_FRP_TOKEN", "t0ken")
    setup = load_text(tmp_path, FRPC_TOML, "frpc.toml")
    client = setup.client
    assert (client.server, client.port, client.user, client.auth_token) == (
        "frp.example.com",
        7001,
        "bob",
        "t0ken",
    )
    assert (client.protocol, client.tls.enable, client.tls.trusted_ca_file) == ("quic", True, "ca.pem")
    assert client.extra == {"transport": {"quic": {"keepalivePeriod": 10}}}
    assert client.metadatas == {"team": "edge"}
    assert client.log_level == "debug"
    assert set(setup.ignored) == {"log", "webServer", "loginFailExit"}
    ssh, web, proxy = setup.tunnels
    assert (ssh.local_host, ssh.remote_port, ssh.use_encryption, ssh.bandwidth_limit) == (
        "10.0.0.5",
        6000,
        True,
        "1MB",
    )
    assert web.request_headers == {"x-from": "frp"}
    assert web.health_check == HealthCheck(type="http", path="/up", http_headers={"x-check": "1"})
    assert proxy.plugin == Https2HttpPlugin(
        local_addr="127.0.0.1:80", enable_http2=True, request_headers={"x-a": "b"}
    )
    assert setup.visitors[0].server_name == "postgres"


def test_frpc_json_and_includes(tmp_path: Path) -> None:
    """JSON is read as TOML is, and ``includes`` bring further tunnels."""
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "a.toml").write_text('[[proxies]]\nname = "a"\ntype = "tcp"\nlocalPort = 1\n')
    text = json.dumps(
        {
            "serverAddr": "h",
            "includes": ["./more/*.toml"],
            "proxies": [
                {"name": "b", "type": "tcp", "localPort": 2},
                {"name": "off", "type": "tcp", "localPort": 3, "enabled": False},
            ],
        }
    )
    setup = load_text(tmp_path, text, "frpc.json")
    assert [tunnel.name for tunnel in setup.tunnels] == ["b", "a"]


def test_frpc_ini(tmp_path: Path) -> None:
    """The old kind of file is read too, with ranges, plugins, headers and visitors."""
    setup = load_text(tmp_path, INI, "frpc.ini")
    assert (setup.client.server, setup.client.port, setup.client.auth_token) == (
        "frp.example.com",
        7001,
        "t0ken",
    )
    assert setup.client.tls.enable is True
    assert setup.client.metadatas == {"team": "edge"}
    by_name = {tunnel.name: tunnel for tunnel in setup.tunnels}
    assert list(by_name) == ["ssh", "web", "many_0", "many_1", "many_2", "socks"]
    assert by_name["ssh"].use_encryption is True
    assert list(by_name["web"].custom_domains) == ["a.example.com", "b.example.com"]
    assert by_name["web"].request_headers == {"X-From": "frp"}
    assert by_name["web"].health_check == HealthCheck(type="http", path="/up")
    assert (by_name["many_2"].local_port, by_name["many_2"].remote_port) == (6020, 7020)
    assert by_name["socks"].plugin == Socks5Plugin(username="me", password="secret")
    assert setup.visitors[0].secret_key == "k"


def test_all_faults_at_once(tmp_path: Path) -> None:
    """Every fault of a file is named, with the tunnel that has it."""
    found = faults(
        tmp_path,
        """
        [client]
        server = "frp.example.com"
        prot = 7000
        [tunnels.web]
        type = "tpc"
        [tunnels.api]
        type = "tcp"
        local_port = 70000
        colour = "red"
        [tunnels.ok]
        type = "tcp"
        local_port = 1
        remote_port = 99999
        """,
    )
    text = "\n".join(found)
    assert "there is no option prot" in text
    assert "tunnel 'web': tunnel_type 'tpc'" in text
    assert "tunnel 'api': there is no option colour" in text
    assert "tunnel 'ok': remote_port 99999 is not a port" in text


@pytest.mark.parametrize(
    ("name", "text", "part"),
    [
        ("tunnels.toml", "[client\n", "is not TOML"),
        ("frpc.json", "{", "is not JSON"),
        ("frpc.json", "[]", "holds no table"),
        ("frpc.yaml", "a: 1", "YAML"),
        ("frpc.ini", "x", "is not INI"),
        ("frpc.toml", 'serverAddr = "{{ range 3 }}"', "line 1: only templates"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, text: str, part: str) -> None:
    """A file of the wrong kind is refused with the place and what to do."""
    with pytest.raises(ConfigError, match=part) as caught:
        load_text(tmp_path, text, name)
    assert caught.value.hint


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A missing file is named."""
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "nothing.toml")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ('serverAddr = "h"\n[[proxies]]\nname = "a"\ntype = "tcp"\nlocalPort = 1\nremotPort = 5', "no option remotPort"),
        ('serverAddr = "h"\n[[proxies]]\nname = "a"\ntype = "tcp"\n[proxies.plugin]\ntype = "x"', "plugin.type 'x'"),
        ('[client]\nserver = "h"\n[tunnels]\na = 1', "tunnels.a is no table"),
        ('[client]\nserver = "h"\nauth_token = "a"\nauth_token_env = "B"', "exclude each other"),
        ('[client]\nserver = "h"\nauth_token_env = "TEST_NOT_SET"', "has no TEST_NOT_SET"),
        ('[client]\nserver = "h"\n[tunel.a]\ntype="tcp"', "there is no table tunel"),
        ('[client]\nserver = "h"\n[tunnels.a]\ntype="tcp"\nlocal_port=1\n[visitors.a]\ntype="stcp"\nserver_name="b"\nsecret_key="k"\nbind_port=1', "given twice"),
    ],
)  # fmt: skip
def test_faults(tmp_path: Path, text: str, part: str) -> None:
    """Each kind of fault is said in words."""
    assert part in "\n".join(faults(tmp_path, text))


def test_a_secret_is_in_no_message(tmp_path: Path) -> None:
    """The token of a faulty file does not show up in the error."""
    text = "\n".join(faults(tmp_path, '[client]\nserver = "h"\nauth_token = "s3cret"\nport = "x"'))
    assert "s3cret" not in text


def test_an_environment_of_ones_own(tmp_path: Path) -> None:
    """Variables are looked up in the environment that is given, also where a template stands for a bare number."""
    file = tmp_path / "frpc.toml"
    file.write_text('serverAddr = "{{ .Envs.HOST }}"\nserverPort = {{ .Envs.PORT }}\n')
    setup = load(file, {"HOST": "frp.example.com", "PORT": "7001"})
    assert (setup.client.server, setup.client.port) == ("frp.example.com", 7001)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("frpc.toml", 'log.to = "frpc.log"\nwebServer.port = 7400\nwebServer.user = "me"'),
        ("frpc.ini", "[common]\nlog_file = frpc.log\nadmin_port = 7400\nadmin_user = me"),
    ],
)
def test_what_is_left_out_is_told(tmp_path: Path, name: str, text: str) -> None:
    """What a file of frp's sets for frpc itself is told by frp's keys, whatever kind of file it is."""
    ignored = load_text(tmp_path, text, name).ignored
    assert ignored["log"] == {"to": "frpc.log"}
    assert (int(ignored["webServer"]["port"]), ignored["webServer"]["user"]) == (7400, "me")


def test_a_file_that_frpc_runs_with_already(tmp_path: Path) -> None:
    """Of a file that is in use, faults are told and the rest is read; of two tunnels of one name the last one counts."""
    file = tmp_path / "frpc.toml"
    file.write_text(
        'serverAddr = "h"\n[[proxies]]\nname = "my web"\ntype = "tcp"\nlocalPort = 80\nremotePort = 1\n'
        '[[proxies]]\nname = "new"\ntype = "of-tomorrow"\n'
        '[[proxies]]\nname = "my web"\ntype = "tcp"\nlocalPort = 81\nremotePort = 1\n'
    )
    setup = load(file, strict=False)
    assert [(tunnel.name, tunnel.local_port) for tunnel in setup.tunnels] == [("my web", 81)]
    assert any("of-tomorrow" in fault for fault in setup.faults)
    with pytest.raises(ConfigError):
        load(file)


def test_where_includes_are(tmp_path: Path) -> None:
    """Includes may be absolute; relative ones are looked for beside the file, or where frpc was started."""
    for folder in ("beside", "started"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "more.toml").write_text(
            f'[[proxies]]\nname = "{folder}"\ntype = "tcp"\nlocalPort = 1\n'
        )
    file = tmp_path / "beside" / "frpc.toml"
    file.write_text('serverAddr = "h"\nincludes = ["./m*.toml"]\n')
    assert [tunnel.name for tunnel in load(file).tunnels] == ["beside"]
    assert [tunnel.name for tunnel in load(file, folder=tmp_path / "started").tunnels] == ["started"]
    file.write_text(f'serverAddr = "h"\nincludes = ["{tmp_path}/started/*.toml"]\n')
    assert [tunnel.name for tunnel in load(file).tunnels] == ["started"]


def test_a_file_from_elsewhere(tmp_path: Path) -> None:
    """Of a text that comes from another machine nothing that it includes is read here."""
    (tmp_path / "more.toml").write_text('[[proxies]]\nname = "ours"\ntype = "tcp"\nlocalPort = 1\n')
    setup = parse(f'serverAddr = "h"\nincludes = ["{tmp_path}/*.toml"]\n', "frpc.toml")
    assert (setup.client.server, setup.tunnels) == ("h", ())
