"""The session follows frpc's words: a state machine without any process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from frp_wrapper.config import TunnelConfig, VisitorConfig
from frp_wrapper.errors import AuthenticationError, ConnectionFailedError, TunnelError
from frp_wrapper.metering.tunnel_meters import NoMeter
from frp_wrapper.monitoring.event_types import DEFINITIONS, TUNNEL_DATA
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.session import Session
from frp_wrapper.tunnel import Tunnel, TunnelStatus, Visitor

ONLINE, OFFLINE, ERROR, STARTING, CLOSED = (
    TunnelStatus.ONLINE, TunnelStatus.OFFLINE, TunnelStatus.ERROR, TunnelStatus.STARTING, TunnelStatus.CLOSED,
)  # fmt: skip


@dataclass
class Status:
    """One proxy in an answer of the admin API."""

    status: str
    error: str = ""
    remote_addr: str = ""


class World:
    """A session, its clock, and what it told."""

    def __init__(self, user: str = "") -> None:
        self.now = 100.0
        self.told: list[tuple[EventType, dict[str, Any]]] = []
        self.listening = True
        self.session = Session(
            "example.com",
            user,
            lambda kind, data: self.told.append((kind, dict(data))),
            lambda visitor: self.listening,
            lambda: self.now,
        )

    def tunnel(self, name: str = "web", **options: Any) -> Tunnel:
        """Add a tunnel."""
        config = TunnelConfig(name=name, **({"tunnel_type": "tcp", "local_port": 1} | options))
        tunnel = Tunnel(config, None, NoMeter())  # type: ignore[arg-type]
        self.session.add(tunnel)
        return tunnel

    def says(self, kind: str, **fields: Any) -> None:
        """Let frpc print a line."""
        self.session.apply({"type": kind, "tunnel_id": None, "message": "", **fields})

    def login(self) -> None:
        """Let frpc log in."""
        self.says("client_connected")

    def kinds(self) -> list[EventType]:
        """Give the kinds of the events told."""
        return [kind for kind, _ in self.told]


@pytest.fixture
def world() -> World:
    """Give a session that nothing has happened to."""
    return World()


def test_uptime_counts_from_the_login(world: World) -> None:
    """Connected and uptime begin with the login and end with the loss."""
    assert (world.session.connected, world.session.uptime) == (False, 0.0)
    world.login()
    world.now += 5
    assert (world.session.connected, world.session.uptime) == (True, 5.0)
    world.says("connecting")
    assert (world.session.connected, world.session.uptime) == (False, 0.0)


def test_a_fixed_port_is_online_with_the_line(world: World) -> None:
    """A tunnel whose address cannot change is online as soon as frpc says so, once its address is known."""
    world.login()
    tunnel = world.tunnel(remote_port=6000)
    world.says("tunnel_connected", tunnel_id="web")
    assert tunnel.status is STARTING  # the address has not been told yet
    world.session.apply_status({"web": Status("running", remote_addr="1.2.3.4:6000")})
    assert (tunnel.status, tunnel.url) == (ONLINE, "tcp://example.com:6000")
    world.says("connecting")
    assert tunnel.status is OFFLINE
    world.login()
    world.says("tunnel_connected", tunnel_id="web")
    assert tunnel.status is ONLINE


def test_a_chosen_port_waits_for_the_status(world: World) -> None:
    """A port that frps chooses may be another one after each login, so only the status makes it online."""
    world.login()
    tunnel = world.tunnel()
    world.session.apply_status({"web": Status("running", remote_addr=":41873")})
    assert tunnel.public_port == 41873
    world.says("connecting")
    world.login()
    world.says("tunnel_connected", tunnel_id="web")
    assert tunnel.status is STARTING
    world.session.apply_status({"web": Status("running", remote_addr=":50000")})
    assert (tunnel.status, tunnel.public_port) == (ONLINE, 50000)


def test_a_refusal_has_a_reason(world: World) -> None:
    """A refused tunnel is in error, with a reason and a hint, and the event says the same; it may still come online."""
    world.login()
    tunnel = world.tunnel(remote_port=6000)
    world.says("tunnel_error", tunnel_id="web", error="port already used")
    assert tunnel.status is ERROR
    assert isinstance(tunnel.error, TunnelError)
    assert tunnel.error.reason == "port_in_use"
    kind, data = world.told[-1]
    assert (kind, data["reason"], data["error"]) == (
        EventType.TUNNEL_ERROR,
        "port_in_use",
        "port already used",
    )
    world.says("tunnel_error", tunnel_id="web", error="port already used")
    assert world.kinds().count(EventType.TUNNEL_ERROR) == 1  # frpc repeats it every 30 s
    world.session.apply_status({"web": Status("running", remote_addr=":6000")})
    assert (tunnel.status, tunnel.error) == (ONLINE, None)


def test_an_empty_status_means_logged_out(world: World) -> None:
    """Frpc answers ``{}`` when it is not logged in; just after a login it may not have loaded its tunnels yet."""
    world.login()
    world.tunnel()
    world.session.apply_status({})
    assert world.session.connected
    world.now += 10
    world.session.apply_status({})
    assert not world.session.connected


def test_an_empty_status_without_tunnels_means_nothing(world: World) -> None:
    """A client without tunnels stays connected."""
    world.login()
    world.now += 10
    world.session.apply_status({})
    assert world.session.connected


@pytest.mark.parametrize(
    ("text", "kind", "reason"),
    [
        ("token in login doesn't match token from configuration", AuthenticationError, "auth_failed"),
        ("authorization failed", AuthenticationError, "auth_failed"),
        ("dial tcp 1.2.3.4:7000: connect: connection refused", ConnectionFailedError, "server_unreachable"),
        ("dial tcp: lookup nope on 1.1.1.1:53: no such host", ConnectionFailedError, "unknown_host"),
        ("Please upgrade your frpc version to at least 0.51.0", ConnectionFailedError, "version_mismatch"),
    ],
)
def test_why_a_login_failed(world: World, text: str, kind: type[Exception], reason: str) -> None:
    """A failed login gives an error of the right class with its reason; a success takes it back."""
    world.says("login_failed", error=text)
    error = world.session.login_error
    assert type(error) is kind
    assert error is not None
    assert error.reason == reason
    assert error.hint
    world.login()
    assert world.session.login_error is None


def test_names_with_a_user() -> None:
    """Older frpc print the user in front of a name; it is taken off."""
    world = World(user="bob")
    world.login()
    tunnel = world.tunnel(remote_port=6000)
    world.session.apply_status({"bob.web": Status("running", remote_addr=":6000")})
    assert tunnel.status is ONLINE


def test_a_visitor_is_known_by_its_port(world: World) -> None:
    """Frpc says that a visitor has started but not which; the one whose port answers is."""
    world.login()
    config = VisitorConfig(name="v", visitor_type="stcp", server_name="db", secret_key="k", bind_port=5432)
    visitor = Visitor(config, None)  # type: ignore[arg-type]
    world.session.add(visitor)
    world.listening = False
    world.says("visitor_started")
    assert visitor.status is STARTING
    world.says("visitor_error", error="listen tcp 127.0.0.1:5432: bind: address already in use")
    assert visitor.status is ERROR
    world.listening = True
    world.says("visitor_started")
    assert visitor.status is ONLINE


def test_a_visitor_error_of_another_port(world: World) -> None:
    """An error that names another port is not this visitor's."""
    world.login()
    config = VisitorConfig(name="v", visitor_type="stcp", server_name="db", secret_key="k", bind_port=5432)
    visitor = Visitor(config, None)  # type: ignore[arg-type]
    world.session.add(visitor)
    world.says("visitor_error", error="listen tcp 127.0.0.1:54321: bind: address already in use")
    assert visitor.status is STARTING


def test_health_checks(world: World) -> None:
    """A failing health check is an error of the tunnel; a passing one brings it back."""
    world.login()
    tunnel = world.tunnel(remote_port=6000)
    world.session.apply_status({"web": Status("running", remote_addr=":6000")})
    world.says("health_check_failed", tunnel_id="web")
    assert tunnel.error is not None
    assert tunnel.error.reason == "health_check_failed"
    world.says("tunnel_connected", tunnel_id="web")
    assert tunnel.status is ONLINE


def test_what_is_removed_is_closed(world: World) -> None:
    """A removed tunnel is closed, told once, and its name is free again."""
    tunnel = world.tunnel()
    with pytest.raises(TunnelError, match="already"):
        world.tunnel()
    assert world.session.remove(tunnel)
    assert not world.session.remove(tunnel)
    assert tunnel.status is CLOSED
    assert world.kinds() == [EventType.TUNNEL_CREATED, EventType.TUNNEL_CLOSED]
    world.tunnel()


def test_nothing_comes_back_after_the_end(world: World) -> None:
    """A line or status that arrives while the client closes does not make it connected again."""
    world.login()
    world.tunnel()
    world.session.end()
    world.login()
    world.session.apply_status({"web": Status("running", remote_addr=":1")})
    assert not world.session.connected


@pytest.mark.parametrize(
    ("options", "remote", "urls"),
    [
        ({"tunnel_type": "udp"}, ":53", ["udp://example.com:53"]),
        ({"tunnel_type": "http", "custom_domains": ["a.b"]}, "a.b:8080", ["http://a.b:8080"]),
        (
            {"tunnel_type": "http", "custom_domains": ["a.b", "c.d"], "locations": ["/x", "/"]},
            "a.b:80,c.d:80",
            ["http://a.b:80/x", "http://a.b:80", "http://c.d:80/x", "http://c.d:80"],
        ),
        ({"tunnel_type": "https", "custom_domains": ["a.b"]}, "a.b:443", ["https://a.b:443"]),
        ({"tunnel_type": "stcp", "secret_key": "k"}, "", []),
    ],
)
def test_urls(world: World, options: dict[str, Any], remote: str, urls: list[str]) -> None:
    """The addresses of each type follow from what frps answered."""
    world.login()
    tunnel = world.tunnel(**options)
    world.session.apply_status({"web": Status("running", remote_addr=remote)})
    assert list(tunnel.urls) == urls


def test_a_silent_server(world: World) -> None:
    """A server that does not answer is lost, whatever frpc's status says, until it answers again: then nothing has to log in."""
    world.login()
    tunnel = world.tunnel(remote_port=6000)
    world.session.apply_status({"web": Status("running", remote_addr="example.com:6000")})
    world.session.fall_silent()
    assert (world.session.connected, tunnel.status) == (False, OFFLINE)
    assert world.session.login_error is not None
    assert world.session.login_error.reason == "server_silent"
    world.session.apply_status({"web": Status("running", remote_addr="example.com:6000")})
    assert (world.session.connected, tunnel.status) == (False, OFFLINE)
    assert world.session.hear_again()
    assert not world.session.hear_again()
    assert (world.session.connected, world.session.logins, world.session.login_error) == (True, 1, None)
    world.session.apply_status({"web": Status("running", remote_addr="example.com:6000")})
    assert tunnel.status is ONLINE
    lost = [data for kind, data in world.told if kind is EventType.TUNNEL_DISCONNECTED]
    assert [data["cause"] for data in lost] == ["server_silent"]


def test_a_silent_server_that_is_lost_after_all(world: World) -> None:
    """When frpc logs in anew, silence is over; an answer that is late changes nothing then."""
    world.login()
    world.session.fall_silent()
    world.says("connecting")
    assert not world.session.hear_again()
    world.login()
    assert (world.session.connected, world.session.logins) == (True, 2)


def test_a_local_service_that_is_down(world: World) -> None:
    """A tunnel whose service is down is in error, whatever frps says, and online when the service is back."""
    world.login()
    tunnel = world.tunnel()
    running = {"web": Status("running", remote_addr="example.com:6000")}
    world.session.apply_status(running)
    for _ in range(2):
        world.session.set_service(tunnel, up=False)
        world.session.apply_status(running)
    assert tunnel.status is ERROR
    assert tunnel.error is not None
    assert (tunnel.error.reason, "127.0.0.1:1" in tunnel.error.what) == ("local_service_down", True)
    world.session.set_service(tunnel, up=True)
    assert tunnel.status is ONLINE
    kinds = [kind.value for kind, data in world.told if data.get("tunnel_id")]
    assert kinds == [
        *("tunnel_created", "tunnel_connected", "tunnel_error", "health_changed"),
        *("tunnel_connected", "health_changed"),
    ]
    health = [data["healthy"] for kind, data in world.told if kind is EventType.HEALTH_CHANGED]
    assert health == [False, True]


def test_a_service_that_goes_while_the_server_is_away(world: World) -> None:
    """What was found out about the service while the tunnel was offline shows when it comes back."""
    world.login()
    tunnel = world.tunnel()
    running = {"web": Status("running", remote_addr="example.com:6000")}
    world.session.apply_status(running)
    world.says("connecting")
    world.session.set_service(tunnel, up=False)
    assert tunnel.status is OFFLINE
    world.login()
    world.session.apply_status(running)
    assert tunnel.status is ERROR


def test_failed_logins_are_counted(world: World) -> None:
    """Each failed try is told once, with its number, reason and what to do, though some versions of frpc print two lines."""
    for _ in range(2):
        world.says("login_rejected", error="token in login doesn't match token from configuration")
        world.says("login_failed", error="token in login doesn't match token from configuration")
    world.login()
    world.says("connecting")
    world.says("login_failed", error="EOF")
    tries = [data for kind, data in world.told if kind is EventType.CLIENT_RECONNECTING]
    assert [(data["attempt"], data["reason"]) for data in tries] == [
        (1, "auth_failed"),
        (2, "auth_failed"),
        (1, "server_closed"),
    ]
    assert all(data["hint"] for data in tries)


def test_flapping(world: World) -> None:
    """A tunnel that goes and comes twice within minutes is said to flap, once."""
    world.tunnel(remote_port=6000)
    for _ in range(4):
        world.login()
        world.session.apply_status({"web": Status("running", remote_addr="example.com:6000")})
        world.says("connecting")
    flaps = [data for kind, data in world.told if kind is EventType.TUNNEL_FLAPPING]
    assert [data["changes"] for data in flaps] == [4]


def test_what_is_told_is_what_is_documented(world: World) -> None:
    """Every event has exactly the data that its definition names."""
    test_flapping(world)
    test_failed_logins_are_counted(world)
    tunnel = world.tunnel("other")
    world.session.apply_status({"other": Status("running", remote_addr="example.com:6001")})
    world.session.set_service(tunnel, up=False)
    world.session.set_service(tunnel, up=True)
    world.session.remove(tunnel)
    world.session.end()
    for kind, data in world.told:
        definition = DEFINITIONS[kind]
        assert data.keys() == {*definition.data, *(TUNNEL_DATA if definition.about_tunnel else ())}, kind


def test_a_connection_that_only_the_kernel_tells_of() -> None:
    """A tunnel of which nothing tells is unknown, neither online nor offline, until a visitor has come through."""
    world = World()
    web, other = world.tunnel("web"), world.tunnel("other")
    world.session.suppose_connected()
    assert world.session.connected
    assert (web.status, other.status) == (TunnelStatus.UNKNOWN, TunnelStatus.UNKNOWN)
    world.session.prove("web")
    assert (web.status, other.status) == (ONLINE, TunnelStatus.UNKNOWN)
    world.session.log_out("server_lost")
    assert (web.status, other.status) == (OFFLINE, OFFLINE)
    told = [data["tunnel_id"] for kind, data in world.told if kind is EventType.TUNNEL_DISCONNECTED]
    assert told == ["web"]


def test_the_end_of_watching_is_no_end() -> None:
    """Who stops watching tells nobody that anything went away, and takes in nothing more."""
    world = World()
    web = world.tunnel(remote_port=1)
    world.session.suppose_connected()
    world.session.prove("web")
    before = len(world.told)
    world.session.stop()
    world.says("connecting")
    assert (web.status, world.session.connected, len(world.told)) == (ONLINE, True, before)
