"""The dashboard as an ASGI application: the wall, the table of routes, and the headers of every answer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, Router

from frp_wrapper.monitoring.logger import FRPLogger
from frp_wrapper.monitoring.monitor import TunnelMonitor
from frp_wrapper.monitoring.web_api.assets import Assets
from frp_wrapper.monitoring.web_api.faults import ApiError
from frp_wrapper.monitoring.web_api.guard import SECURITY_HEADERS, Guard, path_of
from frp_wrapper.monitoring.web_api.reads import Reads
from frp_wrapper.monitoring.web_api.runtime import Runtime
from frp_wrapper.monitoring.web_api.stream import EventStream
from frp_wrapper.monitoring.web_api.views import Client
from frp_wrapper.monitoring.web_api.writes import Writes

__all__ = ["DashboardApp"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]
Handler = Callable[[Request], Awaitable[Any]]

_NO_STORE = (b"cache-control", b"no-store")
_JSON = (b"content-type", b"application/json")


class DashboardApp:
    """Serves one client; starts with the first request, or with the lifespan where the server has one.

    Args:
        client: Whose.
        monitor: Whose alerts; it is started with this.
        guard: Who may ask what.
        owns_monitor: Whether the monitor is ended with this too.
        assets: The page.
    """

    def __init__(
        self,
        client: Client,
        monitor: TunnelMonitor,
        guard: Guard,
        *,
        owns_monitor: bool,
        assets: Assets | None = None,
    ) -> None:
        self._client = client
        self._monitor = monitor
        self._owns_monitor = owns_monitor
        self.guard = guard
        self._assets = assets or Assets()
        self._logger = FRPLogger("dashboard")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._has_ended = False
        self._runtime: Runtime | None = None
        self._router: Router | None = None
        self._last_status: tuple[bytes, Headers, bytes] = (b"", [], b"")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] == "http":
            await self._serve(scope, receive, send)
        elif scope["type"] == "lifespan":
            await self._live(receive, send)
        else:
            await receive()
            await send({"type": "websocket.close", "code": 1008})

    @property
    def routes(self) -> list[Route]:
        """The table of routes; of a running application."""
        assert self._router is not None
        return [route for route in self._router.routes if isinstance(route, Route)]

    def start(self) -> None:
        """Begin to look at the client, in the event loop that runs now; a second call does nothing.

        Raises:
            ApiError: The dashboard was stopped.
        """
        if self._has_ended:
            raise ApiError(503, "stopped", "the dashboard was stopped", "Mount a new asgi_app().")
        if self._runtime is None:
            self._monitor.start_monitoring()
            self._loop = asyncio.get_running_loop()
            self._runtime = Runtime(self._client, self._monitor)
            self._router = Router(_routes(self._runtime, self._assets, self.guard), redirect_slashes=False)

    def status_at_hand(self, scope: Scope, server_headers: Headers) -> bytes | None:
        """Give the whole answer for ``/api/status``, head and body, if it is at hand and the request may have it.

        What is refused, or must be made first, is for `__call__`.

        Args:
            scope: The request.
            server_headers: What the server adds; another list when they have changed.
        """
        if self._runtime is None:
            return None
        try:
            self.guard.check(scope)
        except ApiError:
            return None
        body = self._runtime.status.at_hand()
        return None if body is None else self._with_head(body, server_headers)

    def _with_head(self, body: bytes, server_headers: Headers) -> bytes:
        last_body, last_headers, answer = self._last_status
        if last_body is not body or last_headers is not server_headers:
            lines = [b"%s: %s\r\n" % header for header in (*server_headers, *_json_headers(body))]
            answer = b"".join((b"HTTP/1.1 200 OK\r\n", *lines, b"\r\n", body))
            self._last_status = (body, server_headers, answer)
        return answer

    async def close(self) -> None:
        """End every stream and the looks."""
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            await runtime.close()
            if self._owns_monitor:
                self._monitor.stop_monitoring()

    def close_soon(self) -> None:
        """Have it end for good, in its own event loop; from any thread."""
        loop, self._has_ended = self._loop, True
        if loop is not None and not loop.is_closed():
            asyncio.run_coroutine_threadsafe(self.close(), loop)

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self.start()
                await send({"type": "lifespan.startup.complete"})
            else:
                await self.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = _Answer(send)
        try:
            self.guard.check(scope)
            self.start()
            assert self._runtime is not None
            assert self._router is not None
            if scope["method"] == "GET" and path_of(scope) == "/api/status":
                await _send(send, 200, await self._runtime.status.get())
                return
            scope["app"] = self  # Starlette's router then raises what it does not find
            await self._router(scope, receive, answer.send)
        except ApiError as exc:
            await answer.refuse(exc)
        except HTTPException as exc:
            await answer.refuse(_of_http_exception(exc))
        except Exception as exc:  # noqa: BLE001 - one request that fails must not show its inside, nor end others
            self._logger.log_error(exc, {"dashboard": scope["path"][:200]})
            await answer.refuse(
                ApiError(500, "internal_error", "the dashboard failed at this", "Look at the program's log.")
            )


class _Answer:
    """Adds the headers of every answer, and knows whether one has begun."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._has_begun = False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._has_begun = True
            headers = [*message["headers"], *SECURITY_HEADERS]
            if not any(name == b"cache-control" for name, _ in headers):
                headers.append(_NO_STORE)
            message = {**message, "headers": headers}
        await self._send(message)

    async def refuse(self, error: ApiError) -> None:
        if not self._has_begun:
            await _send(self._send, error.status, error.body, error.headers)


def _json_headers(body: bytes) -> Headers:
    """Give the headers of a JSON answer."""
    return [_JSON, (b"content-length", b"%d" % len(body)), _NO_STORE, *SECURITY_HEADERS]


async def _send(
    send: Send, status: int, body: bytes, more_headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    headers = [*_json_headers(body), *more_headers]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _of_http_exception(error: HTTPException) -> ApiError:
    headers = tuple((name.lower().encode(), value.encode()) for name, value in (error.headers or {}).items())
    if error.status_code == 405:
        return ApiError(
            405, "method_not_allowed", "this path has no such method", "See the Allow header.", headers
        )
    return ApiError(404, "not_found", "there is no such path", "openapi.json lists all paths.", headers)


def _routes(runtime: Runtime, assets: Assets, guard: Guard) -> list[Route]:
    reads = Reads(runtime, assets, guard)
    writes = Writes(runtime, reads)

    async def stream(request: Request) -> Any:
        return EventStream(runtime.hub, request)

    return [
        _route("/", get=reads.page),
        _route("/assets/{path:path}", get=reads.asset),
        _route("/healthz", get=reads.healthz),
        _route("/readyz", get=reads.readyz),
        _route("/api/status", get=reads.status),
        _route("/api/tunnels", get=reads.tunnels, post=writes.add_tunnel),
        _route("/api/tunnels/{id}", get=reads.tunnel, delete=writes.close_tunnel),
        _route("/api/tunnels/{id}/restart", post=writes.restart_tunnel),
        _route("/api/tunnels/{id}/connections", get=reads.connections),
        _route("/api/tunnels/{id}/metrics", get=reads.history),
        _route("/api/tunnels/{id}/usage", get=reads.usage),
        _route("/api/metrics", get=reads.histories),
        _route("/api/events", get=reads.events),
        _route("/api/alerts", get=reads.alerts),
        _route("/api/silences", post=writes.silence),
        _route("/api/silences/{id}", delete=writes.end_silence),
        _route("/api/logs", get=reads.logs),
        _route("/api/stream", get=stream),
        _route("/metrics", get=reads.metrics),
        _route("/openapi.json", get=reads.openapi),
    ]


def _route(path: str, **handlers: Handler) -> Route:
    """Make one route for all methods of a path, so that the Allow header is right."""
    by_method = {method.upper(): handler for method, handler in handlers.items()}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def handle(request: Request) -> Response:
        answer: Response = await by_method[request.method](request)
        return answer

    return Route(path, handle, methods=list(by_method))
