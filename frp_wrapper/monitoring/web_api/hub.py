"""The live stream: what has changed is found and written once, whatever the number of viewers."""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from os import getpid
from typing import Any

from frp_wrapper._version import __version__
from frp_wrapper.monitoring.events import Event, Subscription
from frp_wrapper.monitoring.web_api.alerts import AlertBook
from frp_wrapper.monitoring.web_api.encode import encode
from frp_wrapper.monitoring.web_api.snapshot import Snapshot, Steps, tunnels_document
from frp_wrapper.monitoring.web_api.viewers import Viewer, frame
from frp_wrapper.monitoring.web_api.views import Client, event_view, tunnel_key, tunnel_view

__all__ = ["Hub"]

_PROCESS = time.time_ns()
"""In a container every run has the same process id."""
_STUCK = 30.0
"""Seconds after which a viewer that reads nothing is given up."""
_BLOCK = 64 * 1024
"""Bytes of events that are sent together."""
_MAX_LINES = 200
"""Log lines in one frame; of more, the newest."""


class Hub:
    """Sends every viewer first a snapshot, and then what has changed. Does nothing while nobody watches.

    Everything here runs in one event loop.

    Args:
        client: Whose state is shown.
        alerts: The alerts and silences.
        interval: Seconds from one look to the next, as viewers are told.
        wake: Called from any thread when there is something new to send.
    """

    def __init__(self, client: Client, alerts: AlertBook, interval: float, wake: Callable[[], None]) -> None:
        self._client = client
        self._alerts = alerts
        self._interval = interval
        self._wake = wake
        self._joining: set[Viewer] = set()
        self._live: set[Viewer] = set()
        self._keys: dict[str, tuple[Any, ...]] = {}
        self._alerts_key: object = None
        self._event_id = 0
        self._line_id = 0
        self._subscription: Subscription | None = None
        self._run = f"{zlib.crc32(f'{_PROCESS} {getpid()} {id(client.events)}'.encode()):x}"
        """Another for events that are numbered anew: by another process, or of another client."""
        self.skipped_frames = 0
        """Frames thrown away because their viewer reads too slowly."""
        self.dropped_viewers = 0
        """Viewers given up because they did not read at all."""
        self.missed_events = 0
        """Events that were pushed out of the client's history before they could be sent."""

    @property
    def viewers(self) -> int:
        """How many watch now."""
        return len(self._joining) + len(self._live)

    @property
    def has_joining(self) -> bool:
        """Whether somebody waits for a snapshot."""
        return bool(self._joining)

    def viewer(self, last_id: str, *, wants_logs: bool, abort: Callable[[], None] | None) -> Viewer:
        """Add a viewer.

        Args:
            last_id: The id of the last frame that it has seen before, ``""``: none.
            wants_logs: Whether it wants log lines.
            abort: Ends its connection at once.
        """
        if not self.viewers:
            self._begin()
        run, _, number = last_id.partition("-")
        is_known = run == self._run and number.isascii() and number.isdigit()
        seen = min(int(number), self._event_id) if is_known else self._event_id
        viewer = Viewer(seen, wants_logs=wants_logs, abort=abort or (lambda: None))
        hello = {
            "run": self._run,
            "server_time": datetime.now(UTC),
            "interval": self._interval,
            "version": __version__,
        }
        self._put(viewer, self._frame("hello", hello), seen)
        self._joining.add(viewer)
        self._wake()
        return viewer

    def leave(self, viewer: Viewer) -> None:
        """Forget a viewer."""
        self._joining.discard(viewer)
        self._live.discard(viewer)
        if not self.viewers:
            self._rest()

    def catch_up(self, viewer: Viewer) -> None:
        """Have a viewer that was too slow get a fresh snapshot and the events that it has missed."""
        viewer.lags_since = None
        if viewer in self._live:
            self._live.discard(viewer)
            self._joining.add(viewer)
            self._wake()

    def close(self) -> None:
        """Let every stream end; viewers that do not read are cut off."""
        bye = self._frame("bye", {})
        for viewer in [*self._live, *self._joining]:
            viewer.end(bye)

    def heartbeat(self) -> None:
        """Tell viewers that the stream is alive though there is no news of it."""
        self._put_all(b": still here\n\n")

    def send_events(self) -> None:
        """Send what has happened since the last call."""
        if not self.viewers:
            return
        new = self._events_after(self._event_id)
        if not new:
            return
        self.missed_events += new[0].id - self._event_id - 1
        for data, event_id in self._event_blocks(new):
            self._event_id = event_id
            self._put_all(data)

    async def publish(self, snapshot: Snapshot, steps: Steps) -> None:
        """Send what has changed since the last snapshot, and all of it to those who are new."""
        if not self.viewers:
            return
        self._give_up_stuck()
        delta = await self._delta(snapshot, steps)
        self._put_all(delta)
        await self._welcome(snapshot, steps)
        self._send_alerts()
        self._send_lines()

    async def _delta(self, snapshot: Snapshot, steps: Steps) -> bytes:
        before, self._keys = self._keys, {}
        changed = []
        for tunnel, metrics in snapshot.tunnels:
            view = tunnel_view(tunnel, metrics)
            key = self._keys[tunnel.id] = tunnel_key(view)
            if before.get(tunnel.id) != key:
                changed.append(encode(view))
            await steps.pause()
        removed = [name for name in before if name not in self._keys]
        body = tunnels_document(snapshot.as_of, snapshot.client, changed)
        return self._frame("delta", body[:-1] + b',"removed":' + encode(removed) + b"}")

    async def _welcome(self, snapshot: Snapshot, steps: Steps) -> None:
        new = self._joining
        if not new:
            return
        self._joining = set()
        self._live |= new
        tunnels = []
        for tunnel, metrics in snapshot.tunnels:
            tunnels.append(encode(tunnel_view(tunnel, metrics)))
            await steps.pause()
        body = self._frame("snapshot", tunnels_document(snapshot.as_of, snapshot.client, tunnels))
        alerts = self._frame("alerts", self._alerts.view())
        missed = self._events_after(min(viewer.seen for viewer in new))  # once for all: they may be many
        for viewer in new:
            seen = viewer.seen
            self._put(viewer, body, seen)
            self._put(viewer, alerts, seen)
            its_own = [event for event in missed if seen < event.id <= self._event_id]
            for data, event_id in self._event_blocks(its_own):
                self._put(viewer, data, event_id)

    def _event_blocks(self, events: list[Event]) -> Iterator[tuple[bytes, int]]:
        """Give the frames of events in blocks, each with the id of its last: many at once are no burst of frames."""
        block = b""
        for event in events:
            block += self._frame("event", event_view(event), event.id)
            if len(block) >= _BLOCK or event is events[-1]:
                yield block, event.id
                block = b""

    def _send_alerts(self) -> None:
        key = self._alerts.key()
        if key != self._alerts_key:
            self._alerts_key = key
            self._put_all(self._frame("alerts", self._alerts.view()))

    def _send_lines(self) -> None:
        ring = self._client.log_lines
        if ring.last_id == self._line_id:
            return
        readers = [viewer for viewer in self._live if viewer.wants_logs]
        if readers:
            lines = ring.lines(after=self._line_id, limit=_MAX_LINES)
            data = self._frame("log", {"lines": lines})
            for viewer in readers:
                self._put(viewer, data)
        self._line_id = ring.last_id

    def _events_after(self, event_id: int) -> list[Event]:
        return self._client.events.history(after=event_id)

    def _give_up_stuck(self) -> None:
        limit = time.monotonic() - _STUCK
        for viewer in list(self._live):
            if viewer.lags_since is not None and viewer.lags_since < limit:
                self.dropped_viewers += 1
                viewer.end(b"")
                viewer.abort()
                self.leave(viewer)

    def _frame(self, event: str, data: bytes | dict[str, Any], event_id: int | None = None) -> bytes:
        return frame(event, data, f"{self._run}-{self._event_id if event_id is None else event_id}")

    def _put_all(self, data: bytes) -> None:
        for viewer in self._live:
            self._put(viewer, data)

    def _put(self, viewer: Viewer, data: bytes, position: int | None = None) -> None:
        at = self._event_id if position is None else position
        self.skipped_frames += viewer.put(data, at, time.monotonic())

    def _begin(self) -> None:
        history = self._client.events.history()
        self._event_id = history[-1].id if history else 0
        self._line_id = self._client.log_lines.last_id
        self._alerts_key = self._alerts.key()
        self._subscription = self._client.events.on_any(lambda _: self._wake())

    def _rest(self) -> None:
        self._keys = {}
        if self._subscription is not None:
            self._subscription.cancel()
            self._subscription = None
