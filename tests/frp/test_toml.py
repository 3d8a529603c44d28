"""The configuration that frpc reads says what the options say, and nothing that this frp does not know."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from frp_wrapper.config import ClientConfig, HealthCheck, OIDCConfig, TLSConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.frp.admin import AdminEndpoint
from frp_wrapper.frp.toml import client_tables, proxy_table, render, store_body, visitor_table
from frp_wrapper.plugins import Https2HttpPlugin

NEW, OLD = (0, 71, 0), (0, 52, 3)
ADMIN = AdminEndpoint(7400, "user", "password")


def client(**options: object) -> dict[str, object]:
    """Give the common part for a client."""
    config = ClientConfig(server="h", **options)  # type: ignore[arg-type]
    return client_tables(config, admin=ADMIN, store_path=None, version=NEW)


def test_a_tunnel_with_everything() -> None:
    """Each option has its place in frp's table."""
    config = TunnelConfig(
        name="web", tunnel_type="http", local_port=80, custom_domains=["a.b"], locations=["/x"], http_user="u",
        http_password="p", host_header_rewrite="h", request_headers={"a": "b"}, response_headers={"c": "d"},
        use_encryption=True, bandwidth_limit="1MB", proxy_protocol="v2", group="g", group_key="k",
        health_check=HealthCheck(type="http", path="/up", http_headers={"x": "y"}), metadatas={"m": "n"},
    )  # fmt: skip
    table = proxy_table(config, version=NEW)
    assert table == {
        "name": "web", "type": "http", "localIP": "127.0.0.1", "localPort": 80, "customDomains": ["a.b"],
        "locations": ["/x"], "httpUser": "u", "httpPassword": "p", "hostHeaderRewrite": "h",
        "requestHeaders": {"set": {"a": "b"}}, "responseHeaders": {"set": {"c": "d"}},
        "transport": {"useEncryption": True, "bandwidthLimit": "1MB", "proxyProtocolVersion": "v2"},
        "loadBalancer": {"group": "g", "groupKey": "k"},
        "healthCheck": {
            "type": "http", "path": "/up", "timeoutSeconds": 3, "maxFailed": 1, "intervalSeconds": 10,
            "httpHeaders": [{"name": "x", "value": "y"}],
        },
        "metadatas": {"m": "n"},
    }  # fmt: skip


def test_a_relayed_tunnel() -> None:
    """Frpc connects to the relay and sends it the visitor's address, in the version that the service wants."""
    config = TunnelConfig(name="a", tunnel_type="tcp", local_port=80)
    table = proxy_table(config, version=NEW, local=("127.0.0.1", 5555))
    assert (table["localPort"], table["transport"]) == (5555, {"proxyProtocolVersion": "v2"})
    config = TunnelConfig(name="a", tunnel_type="tcp", local_port=80, proxy_protocol="v1")
    assert proxy_table(config, version=NEW, local=("127.0.0.1", 5555))["transport"] == {
        "proxyProtocolVersion": "v1"
    }


def test_a_tcp_health_check_through_the_relay() -> None:
    """Frpc asks the relay whether the service takes connections, as often and as patiently as was said; an http check stays."""
    check = HealthCheck(type="tcp", timeout_seconds=2, max_failed=4, interval_seconds=7)
    config = TunnelConfig(name="a", tunnel_type="tcp", local_port=80, health_check=check)
    assert proxy_table(config, version=NEW)["healthCheck"]["type"] == "tcp"
    assert proxy_table(config, version=OLD, local=("127.0.0.1", 5555))["healthCheck"] == {
        "type": "http", "path": "/.frp-wrapper/accepts-connections", "timeoutSeconds": 2, "maxFailed": 4,
        "intervalSeconds": 7,
    }  # fmt: skip
    config = TunnelConfig(
        name="a", tunnel_type="tcp", local_port=80, health_check=HealthCheck(type="http", path="/up")
    )
    assert proxy_table(config, version=NEW, local=("127.0.0.1", 5555))["healthCheck"]["path"] == "/up"


def test_addresses_of_visitors_of_datagrams_need_a_newer_frp() -> None:
    """An frpc that sends none cannot serve a tunnel with rules by address; limits need no address."""
    config = TunnelConfig(name="a", tunnel_type="udp", local_port=53, deny=["10.0.0.1"])
    with pytest.raises(ConfigError, match=r"needs frp 0\.63\.0 or later") as caught:
        proxy_table(config, version=(0, 61, 2), local=("127.0.0.1", 5555))
    assert caught.value.reason == "needs_newer_frp"
    config = TunnelConfig(name="a", tunnel_type="udp", local_port=53, max_connections=3)
    assert proxy_table(config, version=(0, 61, 2), local=("127.0.0.1", 5555))["localPort"] == 5555


def test_a_plugin_replaces_the_local_service() -> None:
    """A plugin's options stand in its own table."""
    plugin = Https2HttpPlugin(local_addr="127.0.0.1:80", enable_http2=False, request_headers={"a": "b"})
    config = TunnelConfig(name="a", tunnel_type="https", custom_domains=["a.b"], plugin=plugin)
    table = proxy_table(config, version=NEW)
    assert "localPort" not in table
    assert table["plugin"] == {
        "type": "https2http", "localAddr": "127.0.0.1:80", "enableHTTP2": False, "requestHeaders": {"set": {"a": "b"}},
    }  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [
        {"response_headers": {"a": "b"}},
        {"annotations": {"a": "b"}},
        {"health_check": HealthCheck(http_headers={"a": "b"})},
        {"local_port": None, "plugin": Https2HttpPlugin(local_addr="x:1", enable_http2=True)},
    ],
)
def test_an_option_that_is_too_new(options: dict[str, object]) -> None:
    """An option that an older frp would stumble over is refused with the version it needs."""
    config = TunnelConfig(**({"name": "a", "tunnel_type": "tcp", "local_port": 1} | options))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="needs frp 0") as caught:
        proxy_table(config, version=OLD)
    assert caught.value.reason == "needs_newer_frp"


def test_a_visitor() -> None:
    """A visitor's options have their places too."""
    config = VisitorConfig(
        name="v", visitor_type="xtcp", server_name="s", secret_key="k", bind_port=1, protocol="kcp"
    )
    assert visitor_table(config) == {
        "name": "v", "type": "xtcp", "serverName": "s", "secretKey": "k", "bindAddr": "127.0.0.1", "bindPort": 1,
        "protocol": "kcp",
    }  # fmt: skip


def test_the_client() -> None:
    """Server, login, transport and TLS have their places; what is not set is left to frp, but for a heartbeat a second."""
    table = client(auth_token="t", user="bob", protocol="quic", tls=TLSConfig(trusted_ca_file="/ca"))
    assert table["auth"] == {"method": "token", "token": "t"}
    assert table["transport"] == {
        "protocol": "quic",
        "tcpMux": True,
        "heartbeatInterval": 1,
        "tls": {"trustedCaFile": "/ca"},
    }
    assert table["webServer"] == {"addr": "127.0.0.1", "port": 7400, "user": "user", "password": "password"}
    assert table["loginFailExit"] is False


def test_oidc() -> None:
    """A login by OpenID Connect replaces the token."""
    oidc = OIDCConfig(client_id="c", client_secret="s", token_endpoint_url="https://x")
    assert client(oidc=oidc)["auth"] == {
        "method": "oidc",
        "oidc": {"clientID": "c", "clientSecret": "s", "tokenEndpointURL": "https://x"},
    }
    assert client(oidc=oidc)["transport"]["heartbeatInterval"] == 30  # each may cost a token
    assert client(heartbeat_interval=-1)["transport"]["heartbeatInterval"] == -1


def test_extra_keys_win() -> None:
    """What frp knows and this package does not can be given as frp spells it."""
    table = client(extra={"transport": {"quic": {"maxIdleTimeout": 9}, "tcpMux": False}})
    assert table["transport"] == {
        "protocol": "tcp",
        "tcpMux": False,
        "heartbeatInterval": 1,
        "quic": {"maxIdleTimeout": 9},
    }


def test_hostile_values_stay_values() -> None:
    """Quotes, line ends and frp's template braces in a value do not break out of it."""
    value = 'a"\n[[proxies]]\n{{ .Envs.HOME }} \\'
    text = render({"auth": {"token": value}})
    assert "{{ .Envs" not in text.replace('{{"{{"}}', "")
    assert tomllib.loads(text.replace('{{"{{"}}', "{{"))["auth"]["token"] == value


def test_the_body_of_the_store() -> None:
    """The store takes the options in a block named like the type."""
    body = store_body({"name": "a", "type": "tcp", "localPort": 1})
    assert body == {"name": "a", "type": "tcp", "tcp": {"localPort": 1}}


@pytest.mark.integration
def test_frpc_itself_accepts_it(frpc_path: Path, tmp_path: Path) -> None:
    """The real frpc verifies a configuration with every kind of option, in its strict mode."""
    import subprocess

    tables = client(auth_token="{{ x }}", user="bob", tls=TLSConfig(server_name="n"), metadatas={"a": "b"})
    tables["proxies"] = [
        proxy_table(config, version=NEW)
        for config in (
            TunnelConfig(name="a", tunnel_type="tcp", local_port=1, remote_port=2, use_compression=True, group="g", group_key="k"),
            TunnelConfig(name="b", tunnel_type="http", local_port=1, subdomain="s", locations=["/"], response_headers={"a": "b"}),
            TunnelConfig(name="c", tunnel_type="https", custom_domains=["a.b"], plugin=Https2HttpPlugin(local_addr="x:1")),
            TunnelConfig(name="d", tunnel_type="tcpmux", local_port=1, custom_domains=["a.b"], multiplexer="httpconnect"),
            TunnelConfig(name="e", tunnel_type="xtcp", local_port=1, secret_key="k", allow_users=["*"], disable_assisted_addrs=True),
            TunnelConfig(name="f", tunnel_type="udp", local_port=1, annotations={"a": "b"}),
        )
    ]  # fmt: skip
    tables["visitors"] = [
        visitor_table(
            VisitorConfig(name="v", visitor_type="stcp", server_name="s", secret_key="k", bind_port=1)
        )
    ]
    (tmp_path / "frpc.toml").write_text(render(tables))
    result = subprocess.run(
        [frpc_path, "verify", "--strict_config", "-c", tmp_path / "frpc.toml"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout
