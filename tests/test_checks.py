"""Bad arguments are refused before anything starts, all at once, in words."""

from __future__ import annotations

from typing import Any

import pytest

from frp_wrapper.checks import check, faults_of
from frp_wrapper.config import ClientConfig, HealthCheck, ServerConfig, TunnelConfig, VisitorConfig
from frp_wrapper.errors import ConfigError
from frp_wrapper.plugins import Socks5Plugin


def tunnel(**options: Any) -> list[str]:
    """Give the faults of a tunnel."""
    return faults_of(TunnelConfig(**({"name": "web", "tunnel_type": "tcp", "local_port": 80} | options)))


def test_a_sound_tunnel_has_no_faults() -> None:
    """What frp takes is not refused."""
    assert tunnel() == []
    assert tunnel(remote_port=0) == []
    assert tunnel(local_host="fe80::1%eth0") == []
    assert tunnel(tunnel_type="http", custom_domains=["*.example.com"], locations=["/"]) == []
    assert tunnel(local_port=None, plugin=Socks5Plugin()) == []
    assert tunnel(allow=["203.0.113.9", "2001:db8::/32"], deny=["10.0.0.0/8"], max_connections=1) == []
    assert tunnel(tunnel_type="http", custom_domains=["a.b"], max_connections=9, connection_rate=0.5) == []
    assert tunnel(tunnel_type="udp", meter="relay", visitor_connection_rate=3) == []


@pytest.mark.parametrize(
    ("options", "part"),
    [
        ({"name": "a b"}, "name may have"),
        ({"name": "a%s"}, "name may have"),
        ({"name": None}, "name None"),
        ({"tunnel_type": "tpc"}, "tunnel_type 'tpc'"),
        ({"local_port": "80"}, "local_port '80'"),
        ({"local_port": True}, "local_port True"),
        ({"local_port": 0}, "local_port 0"),
        ({"local_port": None}, "local_port is missing"),
        ({"plugin": Socks5Plugin()}, "exclude each other"),
        ({"plugin": {"type": "socks5"}, "local_port": None}, "plugin is a dict"),
        ({"plugin": Socks5Plugin(username=3), "local_port": None}, "plugin.Socks5Plugin.username 3"),  # type: ignore[arg-type]
        ({"local_host": "http://x"}, "local_host"),
        ({"custom_domains": ["a.b"]}, "custom_domains is for"),
        ({"tunnel_type": "http"}, "needs custom_domains or subdomain"),
        ({"tunnel_type": "http", "custom_domains": "a.b"}, "custom_domains 'a.b'"),
        ({"tunnel_type": "http", "custom_domains": ["http://a.b"]}, "not a domain"),
        ({"tunnel_type": "http", "subdomain": "a.b"}, "subdomain 'a.b'"),
        ({"tunnel_type": "http", "subdomain": "a", "locations": ["api"]}, "does not begin with '/'"),
        ({"tunnel_type": "stcp"}, "secret_key is missing"),
        ({"bandwidth_limit": "1GB"}, "bandwidth_limit '1GB'"),
        ({"health_check": HealthCheck(type="http")}, "health_check.path is missing"),
        ({"health_check": HealthCheck(timeout_seconds="3")}, "health_check.timeout_seconds '3'"),  # type: ignore[arg-type]
        ({"meter": "relay", "plugin": Socks5Plugin(), "local_port": None}, "a plugin has none"),
        ({"meter": "loud"}, "meter 'loud'"),
        ({"allow": "10.0.0.0/8"}, "allow '10.0.0.0/8'"),
        ({"allow": ["10.0.0.1/8"]}, "not an address or network such as '10.0.0.0/8'"),
        ({"deny": ["evil.example"]}, "deny has 'evil.example', which is not an address"),
        ({"deny": ["10.0.0.1"] * 10_001}, "deny has 10001 networks"),
        ({"max_connections": 0}, "max_connections 0 lets nobody in"),
        ({"max_connections": 1.5}, "max_connections 1.5"),
        (
            {"connection_rate": 0.0, "visitor_connection_rate": -1.0},
            "visitor_connection_rate -1 is not a number",
        ),
        ({"connection_rate": float("nan")}, "connection_rate nan is not a number"),
        (
            {"meter": "passive", "allow": ["10.0.0.1"]},
            "allow can only be had through the relay, which meter='passive'",
        ),
        (
            {"meter": "off", "max_connections": 3, "deny": ["::1"]},
            "leave meter out, or deny and max_connections",
        ),
        (
            {"plugin": Socks5Plugin(), "local_port": None, "max_connections": 3},
            "a plugin has none: leave max_con",
        ),
        (
            {"tunnel_type": "http", "custom_domains": ["a.b"], "deny": ["::1"]},
            "deny cannot be had: visitors of an http tunnel share connections",
        ),
        (
            {"tunnel_type": "xtcp", "secret_key": "k", "visitor_connection_rate": 1.0},
            "frpc does not tell the addresses of an xtcp tunnel's visitors",
        ),
        ({"tunnel_type": "udp", "meter": "relay", "health_check": HealthCheck()}, "health_check asks by TCP"),
        ({"tunnel_type": "udp", "proxy_protocol": "v1"}, "proxy_protocol 'v1' has no form for datagrams"),
    ],
)
def test_faults_of_a_tunnel(options: dict[str, Any], part: str) -> None:
    """Each fault is named with its value."""
    assert part in "\n".join(tunnel(**options))


@pytest.mark.parametrize(
    ("config", "part"),
    [
        (ClientConfig(server="http://example.com"), "server 'http://example.com'"),
        (ClientConfig(server="h", port=70000), "port 70000"),
        (ClientConfig(server="h", user="a b"), "user may have"),
        (ClientConfig(server="h", auth_token="x\n"), "auth_token has characters"),
        (ServerConfig(allow_ports=["a"]), "allow_ports has 'a'"),
        (ServerConfig(dashboard_port=7500), "dashboard_port needs"),
        (
            VisitorConfig(name="v", visitor_type="stcp", server_name="a b", secret_key="", bind_port=1),
            "secret_key is missing",
        ),
    ],
)
def test_faults_of_others(config: Any, part: str) -> None:
    """Clients, servers and visitors are checked too."""
    assert part in "\n".join(faults_of(config))


def test_all_faults_of_all_configurations() -> None:
    """One error lists the faults of everything that was checked."""
    with pytest.raises(ConfigError) as caught:
        check(ClientConfig(server="h", port=0), TunnelConfig(name="x y", tunnel_type="tcp"))
    assert len(caught.value.faults) == 3


def test_no_secret_in_a_message() -> None:
    """A token is neither in the fault about it nor in the repr of what holds it."""
    config = ClientConfig(server="h", auth_token="s3cret\n")
    assert "s3cret" not in "\n".join(faults_of(config))
    assert "s3cret" not in repr(config)
    assert "s3cret" not in "\n".join(faults_of(ClientConfig(server="h", auth_token=["s3cret"])))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:7500",
        "https://admin:p%40ss@frps.example.com",
        "http://a:b@[::1]:7500/frps/",
    ],
)
def test_addresses_of_a_dashboard(url: str) -> None:
    """The dashboard of frps may have user and password, be encrypted, and be below a path."""
    assert faults_of(ClientConfig(server="h", server_dashboard=url)) == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "frps.example.com:7500",
        "ftp://a:s3cret@h",
        "http://a:s3cret@",
        "http://a:s3cret@h:99999",
        "http://a:s3cret@h:0",
        "http://a:s3cret@h:7500?x=1",
        "http://a:s3cret#1@h:7500",
        "http://a:1/s3cret@h:7500",
        "http://a:s3cret word@h:7500",
        "http://a:s3cret@h:7500\n",
        "http://a:s3crét@h:7500",
        ["http://a:s3cret@h:7500"],
    ],
)
def test_what_is_no_address_of_a_dashboard(url: Any) -> None:
    """What cannot be the address of frps's dashboard is refused without showing it: it may have a password in it."""
    (fault,) = faults_of(ClientConfig(server="h", server_dashboard=url))
    assert fault.startswith("server_dashboard")
    assert "s3c" not in fault
