"""Events: what happened, told to whoever asked to know."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from frp_wrapper.monitoring.counters import default_counters
from frp_wrapper.monitoring.event_types import PER_CONNECTION, EventType
from frp_wrapper.monitoring.handlers import AnyHandler, Handler, Subscription, synchronous
from frp_wrapper.monitoring.logger import FRPLogger

__all__ = ["Event", "EventDispatcher", "EventEmitter", "EventType", "Subscription"]


_ANY, _ANY_CONNECTION = "any", "any connection"
"""What handlers of all events are registered for."""
_PER_CONNECTION = frozenset(kind.value for kind in PER_CONNECTION)
_LOGGED_AS = {kind.value: f"event_emitted_{kind.value}" for kind in EventType}
_Remembered = tuple[int, str, dict[str, Any], float]
"""An event before somebody asks for it: its number, the word of its type, its data, and when, since the epoch."""


class _Entry:
    """A handler's registration: another one each time, also of the same handler."""

    __slots__ = ("call", "handler")

    def __init__(self, handler: object, call: Handler) -> None:
        self.handler = handler
        self.call = call


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Attributes:
        type: What.
        data: As the handlers got it.
        at: When it was emitted, timezone-aware UTC.
        id: Grows by one with every event of an emitter, from 1 on.
    """

    type: EventType
    data: dict[str, Any]
    at: datetime
    id: int = 0


class EventEmitter:
    """Calls handlers when something happens.

    Handlers run inside `emit`, in the order in which they were registered; one that raises is logged and the rest still
    run. All methods may be called from any thread, and from handlers. An ``async def`` handler runs as a task in the
    event loop that was running when it was registered, or where there was none, in one of its own before `emit` goes on.

    Args:
        history: How many events are remembered; besides them as many of single connections, which would push out all
            others.
    """

    def __init__(self, history: int = 1000) -> None:
        self._handlers: dict[str, tuple[_Entry, ...]] = {}
        self._history: deque[_Remembered] = deque(maxlen=history)
        self._connections: deque[_Remembered] = deque(maxlen=history)
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._logger = FRPLogger("event_emitter")
        self.handler_errors = 0
        """Handlers that raised."""
        default_counters.watch(
            self,
            "handler_errors",
            "frp_wrapper_event_handler_errors_total",
            "Handlers of events that raised.",
        )

    def on(self, event_type: EventType, handler: AnyHandler) -> Subscription:
        """Call ``handler`` with the data of every event of this type from now on.

        Returns:
            What ends it: ``subscription.cancel()``, or the end of a ``with`` block.
        """
        return self._add(event_type.value, handler, synchronous(handler, self._failed))

    def once(self, event_type: EventType, handler: AnyHandler) -> Subscription:
        """Call ``handler`` for the next event of this type only."""
        subscription: Subscription
        call = synchronous(handler, self._failed)
        taken = threading.Lock()

        def first(data: dict[str, Any]) -> None:
            if taken.acquire(blocking=False):
                subscription.cancel()
                call(data)

        subscription = self._add(event_type.value, handler, first)
        return subscription

    def on_any(self, handler: Callable[[Event], object], *, connections: bool = False) -> Subscription:
        """Call ``handler`` with every event, as an `Event`, after the handlers of its type.

        Args:
            handler: Is called.
            connections: Also with those of single connections, of which there may be thousands a second.
        """
        keys = (_ANY, _ANY_CONNECTION) if connections else (_ANY,)
        subscriptions = [self._add(key, handler, handler) for key in keys]

        def cancel() -> None:
            for subscription in subscriptions:
                subscription.cancel()

        return Subscription(cancel)

    def off(self, event_type: EventType, handler: AnyHandler) -> None:
        """Stop calling ``handler``; one that is not registered is no error."""
        self._remove(event_type.value, lambda entry: entry.handler == handler)

    def history(self, event_type: EventType | None = None, *, after: int = 0) -> list[Event]:
        """Give the last events, oldest first.

        Args:
            event_type: Only those of this type.
            after: Only those whose `Event.id` is greater.
        """
        remembered = sorted([*self._history.copy(), *self._connections.copy()])
        return [
            _event(number, kind, data, at)
            for number, kind, data, at in remembered
            if number > after and (event_type is None or event_type._value_ == kind)
        ]

    def is_heard(self, event_type: EventType) -> bool:
        """Say whether a handler of this type, or of all, is registered now."""
        kind = event_type._value_
        return bool(self._handlers.get(kind) or self._handlers.get(_any(kind)))

    def emit(self, event_type: EventType, data: dict[str, Any]) -> None:
        """Log the event and call its handlers, now and on this thread."""
        kind = event_type._value_  # an Enum itself is slow as a key
        self._logger.log_tunnel_event(
            _LOGGED_AS[kind], tunnel_id=data.get("tunnel_id", "N/A"), event_data=data
        )
        number, at = next(self._numbers), time.time()
        (self._connections if kind in _PER_CONNECTION else self._history).append((number, kind, data, at))
        for entry in self._handlers.get(kind, ()):
            try:
                entry.call(data)
            except Exception as exc:  # noqa: BLE001 - a handler is the user's code and may raise anything
                self._failed(exc, kind)
        others = self._handlers.get(_any(kind))
        if others:
            event = _event(number, kind, data, at)
            for entry in others:
                try:
                    entry.call(event)
                except Exception as exc:  # noqa: BLE001 - likewise
                    self._failed(exc, kind)

    def _failed(self, error: Exception, event_type: str) -> None:
        self.handler_errors += 1
        self._logger.log_error(error, {"event_type": event_type})

    def _add(self, key: str, handler: object, call: Handler) -> Subscription:
        entry = _Entry(handler, call)
        with self._lock:  # replaced, not changed: an emit that runs at this moment keeps its own tuple
            self._handlers[key] = (*self._handlers.get(key, ()), entry)
        return Subscription(lambda: self._remove(key, lambda other: other is entry))

    def _remove(self, key: str, is_meant: Callable[[_Entry], bool]) -> None:
        with self._lock:
            entries = self._handlers.get(key, ())
            self._handlers[key] = tuple(entry for entry in entries if not is_meant(entry))


def _any(kind: str) -> str:
    return _ANY_CONNECTION if kind in _PER_CONNECTION else _ANY


def _event(number: int, kind: str, data: dict[str, Any], at: float) -> Event:
    return Event(EventType(kind), data, datetime.fromtimestamp(at, UTC), number)


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
        default_counters.watch(
            self,
            "dropped",
            "frp_wrapper_events_dropped_total",
            "Events that no handler has seen, because handlers were so slow that too many waited.",
            server=name,
        )

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
