"""The route of the live stream, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request

from frp_wrapper.monitoring.web_api.faults import ApiError
from frp_wrapper.monitoring.web_api.hub import Hub
from frp_wrapper.monitoring.web_api.viewers import Viewer

__all__ = ["ABORT", "EventStream"]

MAX_VIEWERS = 1000
_PIECE = 64 * 1024
"""Bytes that are handed to the server at once, so that it holds no more than that for each of many viewers."""
ABORT = "frp_wrapper.abort"
"""The extension of a scope whose ``call`` ends its connection at once; only our own server has it."""

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class EventStream:
    """An answer that lasts until the viewer or the dashboard ends it.

    Raises:
        ApiError: There are too many viewers.
    """

    def __init__(self, hub: Hub, request: Request) -> None:
        if hub.viewers >= MAX_VIEWERS:
            raise ApiError(
                503,
                "too_many_viewers",
                f"{MAX_VIEWERS} viewers watch already",
                "Close another page of the dashboard.",
            )
        self._hub = hub
        self._last_id = request.headers.get("last-event-id") or request.query_params.get("last_id", "")
        self._wants_logs = request.query_params.get("logs") in ("1", "true")

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: Send) -> None:
        """Send frames until one side ends."""
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b""})
            return
        abort = scope.get("extensions", {}).get(ABORT, {}).get("call")
        viewer = self._hub.viewer(self._last_id, wants_logs=self._wants_logs, abort=abort)
        sending = asyncio.create_task(self._send_frames(viewer, send), name="frp-wrapper-dashboard-stream")
        leaving = asyncio.create_task(_gone(receive), name="frp-wrapper-dashboard-viewer")
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._hub.leave(viewer)
            for task in (sending, leaving):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await task

    async def _send_frames(self, viewer: Viewer, send: Send) -> None:
        while (data := await viewer.next()) is not None:
            for begin in range(0, len(data), _PIECE):
                piece = data[begin : begin + _PIECE]
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            if viewer.lags_since is not None:
                self._hub.catch_up(viewer)
        await send({"type": "http.response.body", "body": b""})


async def _gone(receive: Callable[[], Awaitable[MutableMapping[str, Any]]]) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
