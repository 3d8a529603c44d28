"""Emitting an event beside blinker and pyee; nobody logs.  ``python -m benchmarks.events``

Handlers do nothing. Ours remembers the event, says when it was, and goes on when a handler raises; the others do not.
"""

from __future__ import annotations

from typing import Any

import blinker
from pyee.base import EventEmitter as Pyee

from benchmarks.compare import Row, Way, nanoseconds, show
from frp_wrapper.monitoring.events import EventEmitter, EventType

DATA = {"tunnel_id": "web", "url": "tcp://localhost:41873"}


def ways(handlers: int) -> dict[str, Way]:
    ours, theirs, other = EventEmitter(), blinker.Signal(), Pyee()
    for _ in range(handlers):  # new functions each time, as some know a function again
        ours.on(EventType.TUNNEL_CONNECTED, lambda data: data)
        theirs.connect(lambda _, data: data, weak=False)
        other.add_listener("connected", lambda data: data)
    names: dict[str, Any] = {"data": DATA, "kind": EventType.TUNNEL_CONNECTED}
    return {
        "ours": Way("emit(kind, data)", names | {"emit": ours.emit}),
        "blinker": Way("send('sender', data=data)", names | {"send": theirs.send}),
        "pyee": Way("emit('connected', data)", names | {"emit": other.emit}),
    }


def rows() -> list[Row]:
    made = []
    for handlers, aim in ((1, 100.0), (5, 250.0)):
        taken = nanoseconds(ways(handlers))
        for peer, times in (("blinker", 10.0), ("pyee", 3.5)):
            what = f"event: emit to {handlers} handler" + "s" * (handlers > 1)
            made.append(Row(what, taken["ours"], "ns", peer, taken[peer], at_most=aim, times=times))
    return made


if __name__ == "__main__":
    show(rows())
