"""Events: the specification's scenario, and what subscriptions promise."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from frp_wrapper import EventEmitter, EventType
from frp_wrapper.monitoring.events import Event, EventDispatcher

CREATED, CLOSED = EventType.TUNNEL_CREATED, EventType.TUNNEL_CLOSED


def test_event_system() -> None:
    """Scenario "event system" of the specification, word for word."""
    emitter = EventEmitter()
    received_events: list[dict[str, Any]] = []

    def handler(data: dict[str, Any]) -> None:
        received_events.append(data)

    emitter.on(EventType.TUNNEL_CREATED, handler)
    emitter.emit(EventType.TUNNEL_CREATED, {"tunnel_id": "test_123", "local_port": 3000})
    assert len(received_events) == 1
    assert received_events[0]["tunnel_id"] == "test_123"


def test_the_types_of_the_specification() -> None:
    """The eight types have the values of the specification."""
    assert [kind.value for kind in EventType][:8] == [
        "tunnel_created", "tunnel_connected", "tunnel_disconnected", "tunnel_error", "tunnel_closed",
        "client_connected", "client_disconnected", "metric_threshold",
    ]  # fmt: skip


def test_an_emit_is_logged() -> None:
    """Each emit is an event in the log, with the tunnel (N/A where there is none) and the data."""
    from structlog.testing import capture_logs

    with capture_logs() as logs:
        EventEmitter().emit(CREATED, {"tunnel_id": "web"})
        EventEmitter().emit(CREATED, {})
    assert [(log["event"], log["tunnel_id"], log["event_data"]) for log in logs] == [
        ("event_emitted_tunnel_created", "web", {"tunnel_id": "web"}),
        ("event_emitted_tunnel_created", "N/A", {}),
    ]


def test_a_handler_that_raises(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged with the type of the event and counted, and the rest still run, in order."""
    emitter, calls = EventEmitter(), []
    emitter.on(CREATED, lambda data: calls.append("first"))
    emitter.on(CREATED, lambda data: 1 / 0)
    emitter.on(CREATED, lambda data: calls.append("last"))
    emitter.emit(CREATED, {})
    assert calls == ["first", "last"]
    assert emitter.handler_errors == 1
    assert "tunnel_created" in caplog.text


def test_ways_to_end_a_subscription() -> None:
    """`off`, `cancel` and the end of a block end it; each registration of one handler is its own."""
    emitter, calls = EventEmitter(), []

    def handler(data: dict[str, Any]) -> None:
        calls.append(data["n"])

    emitter.on(CREATED, handler)
    emitter.off(CREATED, handler)
    emitter.off(CREATED, handler)
    emitter.emit(CREATED, {"n": 1})
    with emitter.on(CREATED, handler):
        emitter.emit(CREATED, {"n": 2})
    emitter.emit(CREATED, {"n": 3})
    first, second = emitter.on(CREATED, handler), emitter.on(CREATED, handler)
    first.cancel()
    emitter.emit(CREATED, {"n": 4})
    second.cancel()
    emitter.emit(CREATED, {"n": 5})
    assert calls == [2, 4]


def test_once() -> None:
    """A handler registered with `once` is called once, also when two threads emit at the same time."""
    emitter, calls = EventEmitter(), []
    emitter.once(CREATED, calls.append)
    threads = [threading.Thread(target=emitter.emit, args=(CREATED, {"n": n})) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(calls) == 1


def test_all_events_and_the_history() -> None:
    """`on_any` gets every event with its type and time; the history keeps the last ones."""
    emitter, seen = EventEmitter(history=2), []
    emitter.on_any(seen.append)
    for number, kind in enumerate((CREATED, CLOSED, CREATED)):
        emitter.emit(kind, {"n": number})
    assert [(event.type, event.data["n"]) for event in seen] == [(CREATED, 0), (CLOSED, 1), (CREATED, 2)]
    assert [event.data["n"] for event in emitter.history()] == [1, 2]
    assert [event.data["n"] for event in emitter.history(CLOSED)] == [1]
    assert [event.data["n"] for event in emitter.history(after=emitter.history()[0].id)] == [2]
    assert isinstance(seen[0], Event)
    assert seen[0].at.tzinfo is not None


def test_async_handlers_in_a_running_loop(caplog: pytest.LogCaptureFixture) -> None:
    """An async handler runs in the loop it was registered in, whatever thread emits; what it raises is logged."""
    emitter = EventEmitter()

    async def run() -> list[str]:
        seen: list[str] = []
        done = asyncio.Event()

        async def handler(data: dict[str, Any]) -> None:
            await asyncio.sleep(0)
            seen.append(threading.current_thread().name)
            done.set()
            raise ValueError("from an async handler")

        emitter.on(CREATED, handler)
        await asyncio.to_thread(emitter.emit, CREATED, {})
        await asyncio.wait_for(done.wait(), 5)
        await asyncio.sleep(0.01)
        return seen

    assert asyncio.run(run()) == ["MainThread"]
    assert emitter.handler_errors == 1
    assert "from an async handler" in caplog.text
    emitter.emit(CREATED, {})  # its loop is closed by now: nothing happens


def test_async_handlers_without_a_loop() -> None:
    """Where no loop ran at registration, the handler has run when `emit` returns."""
    emitter, seen = EventEmitter(), []

    async def handler(data: dict[str, Any]) -> None:
        await asyncio.sleep(0)
        seen.append(data)

    emitter.on(CREATED, handler)
    emitter.emit(CREATED, {"n": 1})
    assert seen == [{"n": 1}]


def test_a_slow_handler_delays_nobody_who_posts() -> None:
    """Posting never waits; what does not fit is counted; order is kept."""
    emitter, seen = EventEmitter(), []
    gate = threading.Event()

    def slow(data: dict[str, Any]) -> None:
        gate.wait(10)
        seen.append(data["n"])

    emitter.on(CREATED, slow)
    dispatcher = EventDispatcher(emitter, "test", limit=5)
    dispatcher.start()
    began = time.monotonic()
    dispatcher.post(CREATED, {"n": 0})
    while dispatcher._waiting:
        time.sleep(0.001)
    for number in range(1, 21):
        dispatcher.post(CREATED, {"n": number})
    assert time.monotonic() - began < 5
    gate.set()
    dispatcher.close()
    assert seen == [0, 1, 2, 3, 4, 5]
    assert dispatcher.dropped == 15


def test_a_handler_may_register_and_end_others() -> None:
    """Handlers may change subscriptions while an event is delivered; those who were there are called."""
    emitter, calls = EventEmitter(), []
    later = emitter.on(CREATED, lambda data: calls.append("later"))

    def first(data: dict[str, Any]) -> None:
        later.cancel()
        emitter.on(CREATED, lambda data: calls.append("new"))

    emitter.once(CREATED, first)
    emitter.emit(CREATED, {})
    assert calls == ["later"]
    emitter.emit(CREATED, {})
    assert calls == ["later", "new"]


def test_all_events_but_those_of_connections() -> None:
    """A handler of all events is spared those of single connections unless it asks for them; nobody asks by accident."""
    emitter = EventEmitter()
    some: list[EventType] = []
    every: list[EventType] = []
    emitter.on_any(lambda event: some.append(event.type))
    assert not emitter.is_heard(EventType.CONNECTION_OPENED)
    with emitter.on_any(lambda event: every.append(event.type), connections=True):
        assert emitter.is_heard(EventType.CONNECTION_OPENED)
        for kind in (EventType.CONNECTION_OPENED, EventType.TUNNEL_CLOSED):
            emitter.emit(kind, {})
    emitter.emit(EventType.TUNNEL_CREATED, {})
    assert some == [EventType.TUNNEL_CLOSED, EventType.TUNNEL_CREATED]
    assert every == [EventType.CONNECTION_OPENED, EventType.TUNNEL_CLOSED]
    assert [event.id for event in emitter.history()] == [1, 2, 3]
