"""What is known about one frpc: is it logged in, and how is each of its tunnels. Pure logic; it starts nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from frp_wrapper.errors import FRPError, TunnelError
from frp_wrapper.failures import (
    SERVICE_DOWN,
    UNHEALTHY,
    login_error,
    refusal,
    service_down,
    silent,
    unhealthy,
)
from frp_wrapper.lifeline import FLAPPING_WINDOW
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.tunnel import Endpoint, Tunnel, TunnelStatus, Visitor, public_addresses

Notify = Callable[[EventType, Mapping[str, Any]], None]
E = TypeVar("E", bound=Endpoint)

_SETTLING = 3.0
"""Seconds after a login in which an empty status says nothing: frpc may not have loaded its tunnels yet."""


class Status(Protocol):
    """One proxy as frpc's admin API reports it."""

    @property
    def status(self) -> str:
        """``running``, ``start error``, ``check failed``, ``new`` or ``wait start``."""

    @property
    def error(self) -> str:
        """Why it does not run."""

    @property
    def remote_addr(self) -> str:
        """Where visitors reach it."""


class Session:
    """The state of one client, fed with log records (fast hints) and status answers (the slow truth).

    Args:
        server: The server's host as the user wrote it; it goes into URLs and messages.
        user: frp's user; frpc up to 0.67 puts it in front of every name.
        notify: Told of every change, in order; must not block.
        listens: Says whether anybody listens where a visitor should: frpc does not name the visitor that has started.
        clock: Seconds on a clock that never goes back.
        has_status: Whether `apply_status` will be called; without it a line must do where a status answer would tell more.
    """

    def __init__(
        self,
        server: str,
        user: str,
        notify: Notify,
        listens: Callable[[Visitor], bool],
        clock: Callable[[], float] = time.monotonic,
        *,
        has_status: bool = True,
    ) -> None:
        self._server = server
        self._prefix = f"{user}." if user else ""
        self._notify = notify
        self._listens = listens
        self._clock = clock
        self._has_status = has_status
        self._endpoints: dict[str, Endpoint] = {}
        self._logged_in_since: float | None = None
        self._silent = False
        self._ended = False
        self.changed = threading.Condition(threading.RLock())
        """Held while anything here changes, and notified after."""
        self.login_error: FRPError | None = None
        """Why frpc is not logged in: why the last try failed, or that the server has fallen silent; None since it is."""
        self._failed_logins = 0
        self.logins = 0
        """How often frpc has logged in; more than one means that it had to come back."""

    # What is asked

    @property
    def connected(self) -> bool:
        """True while frpc is logged in."""
        return self._logged_in_since is not None

    @property
    def uptime(self) -> float:
        """Seconds since the last login; 0.0 while not logged in."""
        since = self._logged_in_since
        return self._clock() - since if since is not None else 0.0

    def endpoints(self, kind: type[E]) -> list[E]:
        """Give the tunnels or the visitors, oldest first."""
        with self.changed:
            return [endpoint for endpoint in self._endpoints.values() if isinstance(endpoint, kind)]

    def __contains__(self, name: str) -> bool:
        return name in self._endpoints

    def wait_until(self, condition: Callable[[], bool], timeout: float | None) -> bool:
        """Wait until ``condition`` holds, tested after every change; False when ``timeout`` seconds (None: no limit) were not enough."""
        with self.changed:
            return self.changed.wait_for(condition, timeout)

    # What happens

    def require_free(self, name: str) -> None:
        """Refuse a name that a tunnel or visitor of this client has.

        Raises:
            TunnelError: The name is taken.
        """
        if name in self._endpoints:
            raise TunnelError(
                f"there is a tunnel or visitor named {name!r} already",
                reason="name_in_use",
                hint="Close the other one first, or give this one another name.",
            )

    def add(self, endpoint: Endpoint) -> None:
        """Note a new tunnel or visitor.

        Raises:
            TunnelError: The name is taken.
        """
        with self.changed:
            self.require_free(endpoint.id)
            self._endpoints[endpoint.id] = endpoint
        self._tell(EventType.TUNNEL_CREATED, endpoint)

    def remove(self, endpoint: Endpoint) -> bool:
        """Forget an endpoint and mark it closed; False when that was done before."""
        with self.changed:
            if self._endpoints.pop(endpoint.id, None) is None:
                return False
            endpoint.set_status(TunnelStatus.CLOSED)
            self._tell(EventType.TUNNEL_CLOSED, endpoint)
            self.changed.notify_all()
        return True

    def apply(self, record: Mapping[str, Any]) -> None:
        """Take in one parsed line of frpc."""
        handler = _HANDLERS.get(record["type"])
        if handler is not None and not self._ended:
            with self.changed:
                handler(self, record)
                self.changed.notify_all()

    def apply_status(self, statuses: Mapping[str, Status]) -> None:
        """Take in an answer of the admin API; ``{}`` means not logged in, unless there are no tunnels."""
        with self.changed:
            if self._ended or self._silent:  # frpc would still call its tunnels running
                return
            tunnels = self.endpoints(Tunnel)
            if statuses and not self.connected:
                self._log_in()
            if not statuses and tunnels and self.connected and self.uptime > _SETTLING:
                self.log_out("server_lost")
            for name, status in statuses.items():
                tunnel = self._endpoints.get(name.removeprefix(self._prefix))
                if isinstance(tunnel, Tunnel):
                    self._apply_tunnel_status(tunnel, status)
            self.changed.notify_all()

    def set_service(self, tunnel: Tunnel, *, up: bool) -> None:
        """Note whether the local service of a tunnel accepts connections."""
        with self.changed:
            if self._ended or tunnel.service_is_up is up:
                return
            tunnel.service_is_up = up
            was_down = tunnel.error is not None and tunnel.error.reason == SERVICE_DOWN
            if tunnel.status is TunnelStatus.ONLINE or was_down:
                self._set_online(tunnel)
            self.changed.notify_all()

    def tell_connection(self, event: EventType, name: str, data: Mapping[str, Any]) -> None:
        """Tell what a connection of a tunnel did."""
        with self.changed:
            endpoint = self._endpoints.get(name)
            if endpoint is not None:
                self._tell(event, endpoint, **data)

    def suppose_connected(self) -> None:
        """Note that frpc has a connection to its server, when nothing tells how its tunnels are."""
        with self.changed:
            if self.connected or self._ended:
                return
            self._log_in()
            for endpoint in self._endpoints.values():
                endpoint.set_status(TunnelStatus.UNKNOWN)
            self.changed.notify_all()

    def prove(self, name: str) -> None:
        """Note that a visitor has come through a tunnel, which it proves to be online when nothing else tells of it."""
        endpoint = self._endpoints.get(name)
        if endpoint is not None and endpoint.status is TunnelStatus.UNKNOWN:
            with self.changed:
                self._set_online(endpoint)
                self.changed.notify_all()

    def end(self) -> None:
        """Take in nothing any more: frpc is being ended, and what it still says must not bring anything back."""
        with self.changed:
            self._ended = True
            self.log_out("closed")

    def stop(self) -> None:
        """Take in nothing any more, as nobody looks; frpc goes on, so nothing changes."""
        with self.changed:
            self._ended = True
            self.changed.notify_all()

    def fall_silent(self) -> None:
        """Note that the server does not answer; frpc itself does not know yet, and may never have to."""
        with self.changed:
            if self.connected:
                self.log_out("server_silent")
                self._silent = True
                self.login_error = silent(self._server)

    def hear_again(self) -> bool:
        """Note an answer of the server; True when it had fallen silent."""
        with self.changed:
            if not self._silent or self._ended:
                return False
            self._log_in(anew=False)
            self.changed.notify_all()
        return True

    def log_out(self, cause: str) -> None:
        """Note that frpc is not logged in any more: ``server_lost``, ``server_silent``, ``frpc_ended`` or ``closed``."""
        with self.changed:
            self._silent = False
            if not self.connected:
                return
            self._logged_in_since = None
            self._notify(EventType.CLIENT_DISCONNECTED, {"server": self._server, "cause": cause})
            for endpoint in self._endpoints.values():
                was_online = endpoint.status is TunnelStatus.ONLINE
                endpoint.set_status(TunnelStatus.OFFLINE)
                if was_online:
                    self._tell(EventType.TUNNEL_DISCONNECTED, endpoint, cause=cause)
                    self._tell_flapping(endpoint)
            self.changed.notify_all()

    def _log_in(self, *, anew: bool = True) -> None:
        self._logged_in_since = self._clock()
        self._silent = False
        self.login_error = None
        self._failed_logins = 0
        self.logins += anew
        self._notify(EventType.CLIENT_CONNECTED, {"server": self._server, "logins": self.logins})
        for endpoint in self._endpoints.values():
            endpoint.set_status(TunnelStatus.STARTING)

    def _apply_tunnel_status(self, tunnel: Tunnel, status: Status) -> None:
        if status.status == "running":
            tunnel.set_addresses(public_addresses(tunnel.config, self._server, status.remote_addr))
            self._set_online(tunnel)
        elif status.status == "start error":
            self._set_error(tunnel, status.error)
        elif status.status == "check failed":
            self._set_unhealthy(tunnel, unhealthy(tunnel.id))

    def _set_online(self, endpoint: Endpoint) -> None:
        """Note that frps serves it, which makes it online unless there is nothing behind it."""
        if isinstance(endpoint, Tunnel) and not endpoint.service_is_up:
            where = f"{endpoint.config.local_host}:{endpoint.config.local_port}"
            self._set_unhealthy(endpoint, service_down(endpoint.id, where))
            return
        was_ill = endpoint.error is not None and endpoint.error.reason in UNHEALTHY
        if endpoint.set_status(TunnelStatus.ONLINE):
            self._tell(EventType.TUNNEL_CONNECTED, endpoint)
            if was_ill:
                self._tell(EventType.HEALTH_CHANGED, endpoint, healthy=True, reason=None, hint=None)
            self._tell_flapping(endpoint)

    def _set_error(self, endpoint: Endpoint, text: str) -> None:
        error = refusal(endpoint.id, text)
        if error.reason != "ignored" and endpoint.set_status(TunnelStatus.ERROR, error):
            self._tell(EventType.TUNNEL_ERROR, endpoint, **_described(error, text))

    def _set_unhealthy(self, endpoint: Endpoint, error: FRPError) -> None:
        if endpoint.set_status(TunnelStatus.ERROR, error):
            self._tell(EventType.TUNNEL_ERROR, endpoint, **_described(error, error.what))
            self._tell(
                EventType.HEALTH_CHANGED, endpoint, healthy=False, reason=error.reason, hint=error.hint
            )
            self._tell_flapping(endpoint)

    def _tell_flapping(self, endpoint: Endpoint) -> None:
        if endpoint.lifeline.begins_to_flap():
            changes = endpoint.lifeline.changes()
            self._tell(EventType.TUNNEL_FLAPPING, endpoint, changes=changes, seconds=FLAPPING_WINDOW)

    def _tell(self, event: EventType, endpoint: Endpoint, **data: Any) -> None:
        known: dict[str, Any] = {"tunnel_id": endpoint.id}
        if isinstance(endpoint, Tunnel):
            known |= {
                "tunnel_type": endpoint.config.tunnel_type,
                "local_port": endpoint.config.local_port,
                "url": endpoint.url,
            }
        self._notify(event, known | data)

    def _named(self, record: Mapping[str, Any]) -> Endpoint | None:
        name = record.get("tunnel_id")
        return self._endpoints.get(name.removeprefix(self._prefix)) if name else None

    # What each type of record means

    def _on_login(self, record: Mapping[str, Any]) -> None:
        if self.connected:
            self.log_out("server_lost")
        self._log_in()

    def _on_lost(self, record: Mapping[str, Any]) -> None:
        self.log_out("server_lost")

    def _on_login_rejected(self, record: Mapping[str, Any]) -> None:
        self.log_out("server_lost")
        self.login_error = login_error(self._server, _text(record))

    def _on_login_failed(self, record: Mapping[str, Any]) -> None:
        """Take in the line that ends every failed try; one of a refusal stands before it in some versions."""
        self._on_login_rejected(record)
        self._failed_logins += 1
        assert self.login_error is not None
        self._notify(
            EventType.CLIENT_RECONNECTING,
            {"server": self._server, "attempt": self._failed_logins}
            | _described(self.login_error, _text(record)),
        )

    def _on_tunnel_up(self, record: Mapping[str, Any]) -> None:
        endpoint = self._named(record)
        if endpoint is None or not self.connected:
            return
        if isinstance(endpoint, Tunnel) and self._has_status and _address_may_change(endpoint):
            return  # online once the status has told where
        self._set_online(endpoint)

    def _on_visitor_up(self, record: Mapping[str, Any]) -> None:
        if not self.connected:
            return
        visitors = self.endpoints(Visitor)
        starting = [visitor for visitor in visitors if visitor.status is TunnelStatus.STARTING]
        failed = [visitor for visitor in visitors if visitor.status is TunnelStatus.ERROR]
        for visitor in starting or failed:
            if self._listens(visitor):
                self._set_online(visitor)

    def _on_visitor_error(self, record: Mapping[str, Any]) -> None:
        text = _text(record)
        named = self._named(record)
        for visitor in [named] if named else self.endpoints(Visitor):
            if named or (isinstance(visitor, Visitor) and f"{visitor.local_address}:" in text):
                self._set_error(visitor, text)

    def _on_tunnel_error(self, record: Mapping[str, Any]) -> None:
        if (endpoint := self._named(record)) is not None:
            self._set_error(endpoint, _text(record))

    def _on_health_failed(self, record: Mapping[str, Any]) -> None:
        if (endpoint := self._named(record)) is not None:
            self._set_unhealthy(endpoint, unhealthy(endpoint.id))


_HANDLERS: Mapping[str, Callable[[Session, Mapping[str, Any]], None]] = {
    "client_connected": Session._on_login,
    "client_disconnected": Session._on_lost,
    "heartbeat_timeout": Session._on_lost,
    "connecting": Session._on_lost,  # since frp 0.53 the only sign that the server is gone
    "reconnecting": Session._on_lost,
    "login_failed": Session._on_login_failed,
    "login_rejected": Session._on_login_rejected,
    "login_failed_exit": Session._on_login_failed,
    "tunnel_connected": Session._on_tunnel_up,
    "visitor_started": Session._on_visitor_up,
    "tunnel_error": Session._on_tunnel_error,
    "visitor_error": Session._on_visitor_error,
    "health_check_failed": Session._on_health_failed,
}


def _text(record: Mapping[str, Any]) -> str:
    return str(record.get("error") or record["message"])


def _described(error: FRPError, text: str) -> dict[str, Any]:
    return {"error": text, "reason": error.reason, "hint": error.hint}


def _address_may_change(tunnel: Tunnel) -> bool:
    """Say whether only a status answer can tell where this tunnel is reachable now."""
    if tunnel.config.tunnel_type in ("tcp", "udp"):
        return tunnel.url is None or not tunnel.config.remote_port  # frps may pick another port at each login
    return tunnel.url is None and tunnel.config.tunnel_type in ("http", "https", "tcpmux")
