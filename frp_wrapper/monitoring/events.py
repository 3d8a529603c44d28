"""Events: what happened, told to whoever asked to know."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from frp_wrapper.monitoring.logger import FRPLogger

__all__ = ["EventDispatcher", "EventEmitter", "EventType"]

Handler = Callable[[dict[str, Any]], None]


class EventType(Enum):
    """What can happen; the data of each carries ``tunnel_id`` where it is about a tunnel."""

    TUNNEL_CREATED = "tunnel_created"
    """A tunnel was asked for; frps has not answered yet."""
    TUNNEL_CONNECTED = "tunnel_connected"
    """A tunnel is reachable, for the first time or again; the data has its ``url``."""
    TUNNEL_DISCONNECTED = "tunnel_disconnected"
    """A tunnel that was reachable is not: the server or frpc is away."""
    TUNNEL_ERROR = "tunnel_error"
    """The server refuses a tunnel; the data has ``error``, ``reason`` and ``hint``."""
    TUNNEL_CLOSED = "tunnel_closed"
    """A tunnel was closed by its owner."""
    CLIENT_CONNECTED = "client_connected"
    """frpc is logged in, for the first time or again."""
    CLIENT_DISCONNECTED = "client_disconnected"
    """frpc was logged in and is not; the data has ``cause``: ``server_lost``, ``frpc_ended`` or ``closed``."""
    METRIC_THRESHOLD = "metric_threshold"
    """A number crossed a limit."""


class EventEmitter:
    """Calls handlers when something happens.

    Handlers run inside `emit`, in the order in which they were registered; one that raises is logged and the rest still
    run. All methods may be called from any thread, and from handlers.
    """

    def __init__(self) -> None:
        self._handlers: dict[EventType, tuple[Handler, ...]] = {}
        self._lock = threading.Lock()
        self._logger = FRPLogger("event_emitter")

    def on(self, event_type: EventType, handler: Handler) -> None:
        """Call ``handler`` with the data of every event of this type from now on."""
        with self._lock:  # replaced, not changed: an emit that runs at this moment keeps its own tuple
            self._handlers[event_type] = (*self._handlers.get(event_type, ()), handler)

    def off(self, event_type: EventType, handler: Handler) -> None:
        """Stop calling ``handler``; one that is not registered is no error."""
        with self._lock:
            rest = tuple(h for h in self._handlers.get(event_type, ()) if h != handler)
            self._handlers[event_type] = rest

    def emit(self, event_type: EventType, data: dict[str, Any]) -> None:
        """Log the event and call its handlers, now and on this thread."""
        self._logger.log_tunnel_event(
            f"event_emitted_{event_type.value}", tunnel_id=data.get("tunnel_id", "N/A"), event_data=data
        )
        for handler in self._handlers.get(event_type, ()):
            try:
                handler(data)
            except Exception as exc:  # noqa: BLE001 - a handler is the user's code and may raise anything
                self._logger.log_error(exc, {"event_type": event_type.value})


class EventDispatcher:
    """Emits on a thread of its own, so that a slow handler delays other handlers at most.

    Args:
        emitter: Where the events go.
        name: For the thread's name, ``frp-wrapper-events-NAME``.
        limit: Events that may wait. When a handler is so slow that more come in, new ones are dropped and counted in
            `dropped`.
    """

    def __init__(self, emitter: EventEmitter, name: str, limit: int = 10_000) -> None:
        self._emitter = emitter
        self._limit = limit
        self._waiting: deque[tuple[EventType, dict[str, Any]]] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name=f"frp-wrapper-events-{name}", daemon=True)
        self.dropped = 0
        """Events that no handler has seen because the queue was full."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def post(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Queue an event; never blocks."""
        with self._changed:
            if len(self._waiting) >= self._limit:
                self.dropped += 1
                return
            self._waiting.append((event_type, dict(data)))
            self._changed.notify()

    def close(self, timeout: float = 2.0) -> None:
        """Deliver what waits, for at most ``timeout`` seconds, and end the thread; a handler may call this too."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting and not self._closed:
                    self._changed.wait()
                if not self._waiting:
                    return
                event_type, data = self._waiting.popleft()
            self._emitter.emit(event_type, data)
