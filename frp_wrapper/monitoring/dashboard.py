"""A web page and an HTTP interface that show a client live."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
from collections.abc import Iterable
from socket import socket
from typing import TYPE_CHECKING, Any

from frp_wrapper import refused_ports
from frp_wrapper.errors import ConfigError, FRPError, ProcessError
from frp_wrapper.monitoring.log_mask import mask_secret
from frp_wrapper.monitoring.monitor import TunnelMonitor
from frp_wrapper.monitoring.registry import Registry
from frp_wrapper.monitoring.web_api.guard import Guard, require_good_token
from frp_wrapper.monitoring.web_api.loopback import Loopback
from frp_wrapper.monitoring.web_api.views import Client, status_of_tunnel

if TYPE_CHECKING:
    from frp_wrapper.monitoring.web_api.app import DashboardApp
    from frp_wrapper.monitoring.web_api.server import Server

__all__ = ["MonitoringDashboard"]

_START_TIMEOUT = 10.0
_STOP_TIMEOUT = 2.0
_LOOPBACK = ("127.", "::1")


class MonitoringDashboard:
    """Shows a client in the browser, and as JSON, server-sent events and Prometheus metrics.

    It may be started before the client connects, and goes on after the client is closed. There are three ways to run it:
    `start` (on a thread of its own), `serve` (in the event loop of the caller), and `asgi_app` (in an ASGI application of
    the host). What shows visitors or logs, or changes something, needs the `token`.

    Args:
        client: An `FRPClient`.
        token: What a reader must know, 16 characters at least; None: a random one, another with each start.
        host: Where to listen. Any address but loopback needs a token of one's own.
        allowed_hosts: Host names by which browsers may ask for it, besides ``localhost``.
        monitor: Whose alerts are shown; None: a monitor of its own, which watches this client only.

    Raises:
        ConfigError: The token can be guessed, or is missing for an address that others can reach.
    """

    def __init__(
        self,
        client: Client,
        *,
        token: str | None = None,
        host: str = "127.0.0.1",
        allowed_hosts: Iterable[str] = (),
        monitor: TunnelMonitor | None = None,
    ) -> None:
        if token is not None:
            require_good_token(token)
        self.client = client
        self._own_registry = Registry()
        self._own_registry.add(client)
        self._owns_monitor = monitor is None
        self.monitor = monitor or TunnelMonitor(registry=self._own_registry)
        """Whose alerts are shown."""
        self._host = host
        self._allowed_hosts = tuple(allowed_hosts)
        self._has_own_token = token is not None
        self._new_token(token)
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._thread: threading.Thread | None = None
        self._server: Server | None = None
        self._address: tuple[str, int] | None = None
        self._ended = threading.Event()
        self._apps: list[DashboardApp] = []

    def __repr__(self) -> str:
        where = f"at {self._address[0]}:{self._address[1]}" if self._address else "not started"
        return f"<MonitoringDashboard of {self.client.server} {where}>"

    @property
    def token(self) -> str:
        """What a reader must know: ``Authorization: Bearer TOKEN``, or once as ``?token=`` in the browser."""
        return self._token

    @property
    def port(self) -> int | None:
        """Where it listens; None while it does not."""
        return self._address[1] if self._address else None

    @property
    def url(self) -> str | None:
        """What to open in the browser, with the token in it; None while it does not listen."""
        if self._address is None:
            return None
        host, port = self._address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - nothing is bound here
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/?token={self._token}"

    def get_status(self) -> dict[str, Any]:
        """Give how the client and its tunnels are, now: what ``GET /api/status`` answers, with `TunnelMetrics` objects."""
        return {
            "client": {
                "connected": self.client.is_connected(),
                "server": self.client.server,
                "uptime": self.client.get_uptime(),
            },
            "tunnels": [status_of_tunnel(tunnel, tunnel.metrics) for tunnel in self.client.list_tunnels()],
        }

    def start(self, port: int = 9999) -> None:
        """Serve on a thread named ``frp-wrapper-dashboard`` until `stop`.

        Args:
            port: Where to listen; 0: any that is free, see `port` and `url`.

        Raises:
            ProcessError: The port is taken, or it is started already.
            ConfigError: A tunnel leads to this port, or the address needs a token of one's own.
        """
        with self._lock:
            listener = self._listen(port)
            started = threading.Event()
            failure: list[BaseException] = []
            self._thread = threading.Thread(
                target=self._run, args=(listener, started, failure), name="frp-wrapper-dashboard", daemon=True
            )
            self._thread.start()
            if not started.wait(_START_TIMEOUT) or failure:
                self._forget(listener)
                raise failure[0] if failure else ProcessError("the dashboard does not start")

    async def serve(self, port: int = 9999) -> None:
        """Serve in the event loop that runs, until `stop` is called or this is cancelled; `url` is known at once.

        Args:
            port: As for `start`.

        Raises:
            ProcessError: As for `start`.
            ConfigError: As for `start`.
        """
        with self._lock:
            listener = self._listen(port)
        await self._serve(listener, lambda: None)

    def asgi_app(self) -> DashboardApp:
        """Give the dashboard as an ASGI application, to be served or mounted by the host.

        It begins to look at the client with the first request (or with the lifespan, where it gets one), and ends with
        `stop`. ``allowed_hosts`` must name the host's names.
        """
        app = self._app(any_address=False)
        self._apps.append(app)
        return app

    def stop(self) -> None:
        """End it within a second, whoever watches; a second call does nothing. The client goes on."""
        if self._pid != os.getpid():  # forked: neither the thread nor the socket is ours
            return
        for app in self._apps:
            app.close_soon()
        server, thread = self._server, self._thread
        if server is not None:
            server.stop()
            if not server.runs_here():
                self._ended.wait(_STOP_TIMEOUT)
        if thread is not None and thread is not threading.current_thread():
            thread.join(_STOP_TIMEOUT)

    def _run(self, listener: socket, started: threading.Event, failure: list[BaseException]) -> None:
        try:
            asyncio.run(self._serve(listener, started.set))
        except BaseException as exc:  # noqa: BLE001 - told to the thread that waits in start
            failure.append(exc)
            started.set()

    async def _serve(self, listener: socket, on_started: Any) -> None:
        from frp_wrapper.monitoring.web_api.server import Server  # noqa: PLC0415 - see _app

        assert self._address is not None
        try:
            app = self._app(any_address=not _is_loopback(self._address[0]))
            self._server = Server(app, listener)
            self._ended.clear()
            await self._server.run_until_stopped(on_started)
        finally:
            self._forget(listener)

    def _app(self, *, any_address: bool) -> DashboardApp:
        from frp_wrapper.monitoring.web_api.app import (  # noqa: PLC0415 - 100 ms that only who starts it pays
            DashboardApp,
        )

        guard = Guard(self._token, self._allowed_hosts, any_address=any_address)
        guard.status_is_open = Loopback(self.client).is_private
        return DashboardApp(self.client, self.monitor, guard, owns_monitor=self._owns_monitor)

    def _listen(self, port: int) -> socket:
        from frp_wrapper.monitoring.web_api.server import listen, resolve  # noqa: PLC0415 - see _app

        if self._address is not None:
            raise ProcessError(
                f"the dashboard runs at port {self._address[1]} already",
                reason="dashboard_started",
                hint="Call stop() first.",
            )
        host = resolve(self._host)
        self._require_token_beyond_loopback(host)
        listener = listen(host, port)
        address = (host, listener.getsockname()[1])
        try:
            self._refuse_tunnels_to(*address)
        except FRPError:
            listener.close()
            raise
        if not self._has_own_token and self._ended.is_set():
            self._new_token(None)
        self._address = address
        return listener

    def _require_token_beyond_loopback(self, address: str) -> None:
        if not _is_loopback(address) and not self._has_own_token:
            raise ConfigError(
                f"others can reach the dashboard at {address}, so it needs a token of your own",
                reason="token_needed",
                hint="Give token=, such as the output of secrets.token_urlsafe(), or stay at host='127.0.0.1'.",
            )

    def _refuse_tunnels_to(self, host: str, port: int) -> None:
        refused_ports.refuse(port, host)
        leading = [
            tunnel.id
            for tunnel in self.client.list_tunnels()
            if refused_ports.leads(tunnel.config, host, port)
        ]
        if leading:
            refused_ports.allow(port)
            raise ConfigError(
                f"tunnel {leading[0]!r} leads to port {port}: the dashboard there would be open to its visitors",
                reason="own_dashboard_port",
                hint="Start the dashboard at another port.",
            )

    def _forget(self, listener: socket) -> None:
        listener.close()
        if self._address is not None:
            refused_ports.allow(self._address[1])
        self._address = None
        self._server = None
        self._ended.set()

    def _new_token(self, token: str | None) -> None:
        self._token = token or secrets.token_urlsafe(24)
        mask_secret(self._token)


def _is_loopback(address: str) -> bool:
    return address.startswith(_LOOPBACK)
