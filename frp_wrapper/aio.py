"""The client for asyncio: the same core, called in a thread, because every call may wait for frps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from frp_wrapper.client import FRPClient

__all__ = ["AsyncFRPClient"]

P = ParamSpec("P")
R = TypeVar("R")


def _awaitable(
    method: Callable[Concatenate[FRPClient, P], R],
) -> Callable[Concatenate[AsyncFRPClient, P], Awaitable[R]]:
    """Give the awaitable twin of a method of the client."""

    async def call(self: AsyncFRPClient, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(method, self.client, *args, **kwargs)

    call.__name__ = method.__name__
    call.__doc__ = method.__doc__
    return call


class AsyncFRPClient:
    """An `FRPClient` whose waiting methods are awaited; `client` is the one underneath.

    Tunnels, events and state are those of the client. A tunnel's own ``close`` and ``wait`` block; in a coroutine use
    `close_tunnel`, or ``await asyncio.to_thread(tunnel.wait)``. Cancelling an ``expose_*`` call leaves a tunnel that
    still comes up; closing the client ends it.

    Args:
        args: As for `FRPClient`.
        kwargs: As for `FRPClient`.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.client = FRPClient(*args, **kwargs)
        self.events = self.client.events

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    connect = _awaitable(FRPClient.connect)
    close = _awaitable(FRPClient.close)
    close_tunnel = _awaitable(FRPClient.close_endpoint)
    expose = _awaitable(FRPClient.expose)
    expose_tcp = _awaitable(FRPClient.expose_tcp)
    expose_udp = _awaitable(FRPClient.expose_udp)
    expose_http = _awaitable(FRPClient.expose_http)
    expose_https = _awaitable(FRPClient.expose_https)
    expose_path = _awaitable(FRPClient.expose_path)
    expose_tcpmux = _awaitable(FRPClient.expose_tcpmux)
    expose_stcp = _awaitable(FRPClient.expose_stcp)
    expose_sudp = _awaitable(FRPClient.expose_sudp)
    expose_xtcp = _awaitable(FRPClient.expose_xtcp)
    visit = _awaitable(FRPClient.visit)
    visit_stcp = _awaitable(FRPClient.visit_stcp)
    visit_sudp = _awaitable(FRPClient.visit_sudp)
    visit_xtcp = _awaitable(FRPClient.visit_xtcp)
