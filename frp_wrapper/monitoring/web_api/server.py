"""Runs the application: a socket of ours, uvicorn's protocol, and an end within bounded time."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable
from typing import Any, cast

import uvicorn

from frp_wrapper.errors import ConfigError, ProcessError
from frp_wrapper.monitoring.web_api.app import DashboardApp
from frp_wrapper.monitoring.web_api.http_protocol import HttpProtocol
from frp_wrapper.monitoring.web_api.stream import MAX_VIEWERS

__all__ = ["Server", "listen", "resolve"]

_MAX_CONNECTIONS = 2 * MAX_VIEWERS
_STUCK_MS = 30_000
"""Milliseconds after which the kernel gives up a peer that takes nothing (Linux)."""
_UNSENT = 256 * 1024
"""Bytes that the kernel holds for a peer that reads slowly; it would let them grow to megabytes."""
_LAST_WORDS = 0.3
"""Seconds that connections have to take what is on its way, before they are cut off."""
_TICK = 1.0
"""Seconds between two times of the Date header."""
_BACKLOG = 512


def resolve(host: str) -> str:
    """Give the address that a host name means.

    Raises:
        ConfigError: It is no address and no name.
    """
    try:
        return str(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0])
    except (OSError, UnicodeError) as exc:
        raise ConfigError(f"host {host!r} is no address of this machine", hint="Use 127.0.0.1.") from exc


def listen(address: str, port: int) -> socket.socket:
    """Give a socket that listens.

    Raises:
        ProcessError: The port is taken, or the address is not of this machine.
        ConfigError: It cannot be a port.
    """
    if type(port) is not int or not 0 <= port <= 65535:
        raise ConfigError(f"port {port!r} is not a port", hint="Give a number to 65535; 0: any that is free.")
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    # with the protocol named, else asyncio does not switch Nagle's algorithm off: 40 ms for each answer
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _STUCK_MS)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _UNSENT)
        listener.bind((address, port))
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as exc:
        listener.close()
        raise ProcessError(
            f"the dashboard cannot listen at {address}:{port}: {exc.strerror or exc}",
            reason="dashboard_port",
            hint=f"Use another port, such as start(port={min(port + 1, 65535)}), or port=0 for any that is free.",
        ) from exc
    return listener


class Server(uvicorn.Server):
    """Serves until `stop`, in the event loop that runs.

    It touches neither signal handlers nor logging, and its end never waits for a viewer.

    Args:
        app: What is served.
        listener: Where.
    """

    def __init__(self, app: DashboardApp, listener: socket.socket) -> None:
        config = uvicorn.Config(
            cast(Any, app),  # its messages are plain mappings, not the types that uvicorn has for them
            interface="asgi3",
            http=HttpProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=_MAX_CONNECTIONS,
        )
        super().__init__(config)
        self._app = app
        self._listener = listener
        self._stopping = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def run_until_stopped(self, on_started: Callable[[], None]) -> None:
        """Serve; cancelling it ends it in the same order."""
        self.config.load()
        self.lifespan = self.config.lifespan_class(self.config)
        self._app.start()
        try:
            await self.startup(sockets=[self._listener])
            on_started()
            while not await self._stopped_within(_TICK):
                await self.on_tick(0)
        finally:
            await self._end()

    def stop(self) -> None:
        """Have it end; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended, and the server with it
            self._loop.call_soon_threadsafe(self._stopping.set)

    def runs_here(self) -> bool:
        """Say whether the caller is in the event loop that serves, which must not be waited for."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                return await self._stopping.wait()
        except TimeoutError:
            return False

    async def _end(self) -> None:
        for server in getattr(self, "servers", ()):
            server.close()
        self._listener.close()
        await self._app.close()
        connections, tasks = self.server_state.connections, self.server_state.tasks
        for connection in list(connections):
            connection.shutdown()
        deadline = self._loop.time() + _LAST_WORDS
        while (connections or tasks) and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        for connection in list(connections):
            connection.transport.abort()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
