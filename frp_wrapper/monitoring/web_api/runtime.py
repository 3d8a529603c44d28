"""What goes on while the dashboard serves: one look a second, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from frp_wrapper.monitoring.history import History
from frp_wrapper.monitoring.logger import FRPLogger
from frp_wrapper.monitoring.monitor import TunnelMonitor
from frp_wrapper.monitoring.web_api.alerts import AlertBook
from frp_wrapper.monitoring.web_api.hub import Hub
from frp_wrapper.monitoring.web_api.snapshot import (
    Body,
    Snapshot,
    Snapshots,
    Steps,
    status_body,
    tunnels_body,
)
from frp_wrapper.monitoring.web_api.views import Client

__all__ = ["Runtime"]

INTERVAL = 1.0
"""Seconds from one look to the next."""
_REST = 0.05
"""Seconds after something was sent in which what happens is gathered."""
_WORKERS = 4

T = TypeVar("T")


class Runtime:
    """The snapshots, the stream and the history of one run; made and used in one event loop.

    Args:
        client: Whose.
        monitor: Whose alerts.
    """

    def __init__(self, client: Client, monitor: TunnelMonitor) -> None:
        self.client = client
        self.alerts = AlertBook(monitor)
        self.history = History()
        self.snapshots = Snapshots(client)
        self.status = Body(self.snapshots, status_body)
        self.tunnels = Body(self.snapshots, tunnels_body)
        self.hub = Hub(client, self.alerts, INTERVAL, self._wake)
        self._logger = FRPLogger("dashboard")
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._workers = ThreadPoolExecutor(_WORKERS, thread_name_prefix="frp-wrapper-dashboard-work")
        self._last_failure = ""
        self._task = self._loop.create_task(self._run(), name="frp-wrapper-dashboard-look")

    async def call(self, function: Callable[[], T]) -> T:
        """Run what may wait, on a thread."""
        return await self._loop.run_in_executor(self._workers, function)

    async def close(self) -> None:
        """End the streams and the looks."""
        self.hub.close()
        self._task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._task
        self._workers.shutdown(wait=False, cancel_futures=True)

    def now(self) -> float:
        """Give the Unix seconds of this moment."""
        return time.time()

    def _wake(self) -> None:
        """Have what is new sent soon; from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop has ended
            self._loop.call_soon_threadsafe(self._woken.set)

    async def _run(self) -> None:
        next_look = time.monotonic()
        while True:
            await self._rest_until(next_look)
            try:
                next_look = await self._round(next_look)
            except Exception as exc:  # noqa: BLE001 - whatever a look raises, the next one may work
                next_look = time.monotonic() + INTERVAL
                self._fail(exc)
            await asyncio.sleep(_REST)

    async def _rest_until(self, moment: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, moment - time.monotonic())):
                await self._woken.wait()
        self._woken.clear()

    async def _round(self, next_look: float) -> float:
        """Send what has happened, and look if it is time or somebody new waits; give when to look next."""
        self.hub.send_events()
        is_time = time.monotonic() >= next_look
        if is_time or self.hub.has_joining:
            steps = Steps(hurry=self.hub.has_joining)
            snapshot = await self.snapshots.take(steps)
            if is_time:
                await self._remember(snapshot, steps)
            await self.hub.publish(snapshot, steps)
            self._last_failure = ""
        return max(next_look + INTERVAL, time.monotonic()) if is_time else next_look

    async def _remember(self, snapshot: Snapshot, steps: Steps) -> None:
        now = snapshot.as_of.timestamp()
        for _, metrics in snapshot.tunnels:
            self.history.add(metrics, now)
            await steps.pause()
        self.history.forget_others({tunnel.id for tunnel, _ in snapshot.tunnels})

    def _fail(self, error: Exception) -> None:
        self.hub.heartbeat()
        if repr(error) != self._last_failure:  # not the same once a second
            self._last_failure = repr(error)
            self._logger.log_error(error, {"dashboard": "look"})
