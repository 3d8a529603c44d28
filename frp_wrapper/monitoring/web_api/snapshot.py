"""How everything was at one moment: taken and written in small steps, and shared by all who ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.web_api.encode import encode
from frp_wrapper.monitoring.web_api.views import (
    Client,
    View,
    client_view,
    specified_numbers,
    status_of_tunnel,
    tunnel_view,
)
from frp_wrapper.tunnel import Tunnel

__all__ = ["Body", "Snapshot", "Snapshots", "Steps", "status_body", "tunnels_body", "tunnels_document"]

_FRESH = 0.1
"""Seconds for which an answer is given again without a look."""
_SHARE = 40.0
"""An answer is kept for so many times the seconds that it took, so that making answers takes little of a core."""
_LONGEST = 1.0
"""Seconds for which an answer is kept, however long it took."""
_LATE = 0.9
"""Seconds for which the answer before may still be given while a new one is being made."""
_STEP = 0.0003
"""Seconds of work after which others get their turn."""
_REST = 3.0
"""What nobody waits for rests for so many times the seconds that it has worked."""


class Steps:
    """Divides long work in an event loop, so that nobody waits for all of it.

    Args:
        hurry: Whether somebody waits for this work; else all others go first.
    """

    def __init__(self, *, hurry: bool) -> None:
        self.hurry = hurry
        self._began = time.perf_counter()
        self.worked = 0.0
        """Seconds of work so far, without the turns of others."""

    async def pause(self) -> None:
        """Let others have their turn, if it is time."""
        worked = time.perf_counter() - self._began
        if worked > _STEP:
            self.worked += worked
            await asyncio.sleep(0 if self.hurry else _REST * worked)
            self._began = time.perf_counter()


@dataclass(frozen=True, slots=True)
class Snapshot:
    """How everything was at one moment.

    Attributes:
        as_of: When it was taken, timezone-aware UTC.
        version: The client's `state_version` just before.
        client: The client's view.
        tunnels: The tunnels and their numbers.
    """

    as_of: datetime
    version: object
    client: View
    tunnels: tuple[tuple[Tunnel, TunnelMetrics], ...]


class Snapshots:
    """Takes snapshots of a client."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def take(self, steps: Steps) -> Snapshot:
        """Give a snapshot that was begun after the call."""
        version = self.client.state_version
        as_of = datetime.now(UTC)
        client = client_view(self.client)
        rows = []
        for tunnel in self.client.list_tunnels():
            rows.append((tunnel, tunnel.metrics))
            await steps.pause()
        return Snapshot(as_of, version, client, tuple(rows))


class Body:
    """An answer as bytes that is made anew at most ten times a second, and at once after a change of state.

    An answer may be up to a second old while everybody asks at the same time; each carries when its numbers were taken.

    Args:
        snapshots: What it is made from.
        write: Makes it.
    """

    def __init__(self, snapshots: Snapshots, write: Callable[[Snapshot, Steps], Awaitable[bytes]]) -> None:
        self._snapshots = snapshots
        self._write = write
        self._bytes: bytes | None = None
        self._version: object = None
        self._began = 0.0
        self._keep = _FRESH
        self._making: asyncio.Task[None] | None = None
        self._steps = Steps(hurry=True)

    def at_hand(self) -> bytes | None:
        """Give the answer if it can be given now; an old one has a new one made behind it."""
        if self._bytes is None or self._version != self._snapshots.client.state_version:
            return None
        age = time.monotonic() - self._began
        if age > self._keep:
            if age > self._keep + _LATE:
                return None
            self._make_soon(hurry=False)
        return self._bytes

    async def get(self) -> bytes:
        """Give the answer, as the state was when this was called or later."""
        answer = self.at_hand()
        if answer is None and self._making is not None:
            self._steps.hurry = True
            await asyncio.shield(self._making)
            answer = self.at_hand()  # what was under way may have begun before the last change
        if answer is None:
            await asyncio.shield(self._make_soon(hurry=True))
            answer = self._bytes
        assert answer is not None
        return answer

    def _make_soon(self, *, hurry: bool) -> asyncio.Task[None]:
        if self._making is None:
            self._steps = Steps(hurry=hurry)
            making = self._make(self._steps)
            self._making = asyncio.create_task(making, name="frp-wrapper-dashboard-answer")
            self._making.add_done_callback(self._made)
        return self._making

    def _made(self, task: asyncio.Task[None]) -> None:
        self._making = None
        if not task.cancelled():
            task.exception()  # who waits for it gets it too

    async def _make(self, steps: Steps) -> None:
        began = time.monotonic()
        snapshot = await self._snapshots.take(steps)
        self._bytes = await self._write(snapshot, steps)
        self._version, self._began = snapshot.version, began
        self._keep = min(_LONGEST, max(_FRESH, _SHARE * steps.worked))


async def status_body(snapshot: Snapshot, steps: Steps) -> bytes:
    """Write the body of ``/api/status``."""
    head: dict[str, Any] = {key: snapshot.client[key] for key in ("connected", "server", "uptime")}
    tunnels = []
    for tunnel, metrics in snapshot.tunnels:
        tunnels.append(encode(status_of_tunnel(tunnel, specified_numbers(metrics))))
        await steps.pause()
    return b'{"client":' + encode(head) + b',"tunnels":[' + b",".join(tunnels) + b"]}"


async def tunnels_body(snapshot: Snapshot, steps: Steps) -> bytes:
    """Write the body of ``/api/tunnels``."""
    tunnels = []
    for tunnel, metrics in snapshot.tunnels:
        tunnels.append(encode(tunnel_view(tunnel, metrics)))
        await steps.pause()
    return tunnels_document(snapshot.as_of, snapshot.client, tunnels)


def tunnels_document(as_of: datetime, client: View, tunnels: list[bytes]) -> bytes:
    """Put the body of ``/api/tunnels`` together from tunnels that are written already."""
    head = encode({"as_of": as_of, "client": client})
    return head[:-1] + b',"tunnels":[' + b",".join(tunnels) + b"]}"
