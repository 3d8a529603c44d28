"""The viewers of the live stream: each has a bounded queue of frames that are written once for all."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any

from frp_wrapper.monitoring.web_api.encode import encode

__all__ = ["Viewer", "frame"]

_MAX_FRAMES = 64
_MAX_BYTES = 4 * 1024 * 1024
"""What may wait for a viewer who reads slowly."""


def frame(event: str, data: bytes | Any, frame_id: str) -> bytes:
    """Give a server-sent event; bytes are taken as JSON that is written already."""
    body = data if isinstance(data, bytes) else encode(data)
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (frame_id.encode(), event.encode(), body)


class Viewer:
    """Who reads the stream.

    When more waits for it than it may, all of that is thrown away, and the viewer gets a fresh snapshot and the events
    that it has missed once it has read what is on its way. One that reads nothing at all is given up.

    Args:
        seen: The last event that it knows.
        wants_logs: Whether it gets log lines too.
        abort: Ends its connection at once, whatever is still unsent.
    """

    def __init__(
        self, seen: int, *, wants_logs: bool = False, abort: Callable[[], None] = lambda: None
    ) -> None:
        self.seen = seen
        """The last event that is on its way to it; thrown away ones do not count."""
        self.wants_logs = wants_logs
        self.abort = abort
        self.lags_since: float | None = None
        """Since when nothing is queued because too much waited; None: it keeps up."""
        self._frames: deque[bytes] = deque()
        self._bytes = 0
        self._position = seen
        self._ended = False
        self._ready = asyncio.Event()

    def put(self, data: bytes, position: int, now: float) -> int:
        """Queue a frame; never waits.

        Args:
            data: The frame.
            position: The last event of the client when the frame was made.
            now: Seconds on a clock that never goes back.

        Returns:
            How many frames were thrown away.
        """
        if self.lags_since is not None:
            return 1
        if self._frames and (len(self._frames) >= _MAX_FRAMES or self._bytes + len(data) > _MAX_BYTES):
            thrown_away = len(self._frames) + 1
            self._clear()
            self.lags_since = now
            self._ready.set()
            return thrown_away
        self._frames.append(data)
        self._bytes += len(data)
        self._position = position
        self._ready.set()
        return 0

    def end(self, last: bytes) -> None:
        """Let the stream end with a last frame, once what is queued has been read."""
        self.lags_since = None
        self.put(last, self._position, 0.0)
        self._ended = True
        self._ready.set()

    async def next(self) -> bytes | None:
        """Wait for frames and give all that wait; none when it lags; None: the stream has ended."""
        while not self._frames and self.lags_since is None:
            if self._ended:
                return None
            self._ready.clear()
            await self._ready.wait()
        data = b"".join(self._frames)  # of one, it is that one and no copy
        if data:
            self.seen = self._position
        self._clear()
        return data

    def _clear(self) -> None:
        self._frames.clear()
        self._bytes = 0
