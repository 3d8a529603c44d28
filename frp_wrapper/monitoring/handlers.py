"""Handlers of events: plain and async functions made alike, and what ends their registration."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from inspect import iscoroutinefunction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from asyncio import Task

__all__ = ["AnyHandler", "Handler", "Subscription", "synchronous"]

Handler = Callable[[Any], object]
AnyHandler = Callable[[dict[str, Any]], object] | Callable[[dict[str, Any]], Awaitable[object]]
OnError = Callable[[Exception, str], None]


class Subscription:
    """A handler's registration; ends with `cancel`, or with the ``with`` block that it is used for."""

    def __init__(self, cancel: Callable[[], None]) -> None:
        self._cancel = cancel

    def cancel(self) -> None:
        """Stop calling the handler; a second call does nothing."""
        self._cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.cancel()


def synchronous(handler: AnyHandler, on_error: OnError) -> Handler:
    """Give a plain function that runs a handler; an ``async def`` one in the event loop of this moment.

    Args:
        handler: The user's.
        on_error: Is told what an async handler raises.
    """
    if not iscoroutinefunction(handler):
        return handler
    asyncio = sys.modules.get("asyncio")
    loop = asyncio._get_running_loop() if asyncio is not None else None
    return _in_own_loop(handler) if loop is None else _in_loop(handler, loop, on_error)


def _in_own_loop(handler: Callable[[Any], Any]) -> Handler:
    def run(argument: Any) -> None:
        import asyncio  # noqa: PLC0415 - 20 ms that programs without async handlers do not pay

        asyncio.run(handler(argument))

    return run


def _in_loop(handler: Callable[[Any], Any], loop: Any, on_error: OnError) -> Handler:
    tasks: set[Task[Any]] = set()  # the loop holds its tasks weakly

    def done(task: Task[Any]) -> None:
        tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if isinstance(error, Exception):
            on_error(error, "async handler")

    def begin(argument: Any) -> None:
        task = loop.create_task(handler(argument))
        tasks.add(task)
        task.add_done_callback(done)

    def run(argument: Any) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(begin, argument)

    return run
