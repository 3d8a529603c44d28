"""What one thread waits for: epoll, who handles its descriptors, and what other threads ask it to do."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import threading
from collections import deque
from collections.abc import Callable

_EVENTS = 512
"""Descriptors that one look tells of; the others have their turn at the next."""
_CALL_SECONDS = 2.0
"""How long somebody waits for the thread."""

Handler = Callable[[int], None]
"""Takes what epoll says of a descriptor."""


class EventLoop:
    """Tells one thread what happens to its descriptors. Only `call`, `wake` and `close` are for others.

    Attributes:
        handlers: What is called for descriptors that `watch` was given.
        epoll: For descriptors that the thread serves without a handler.

    Raises:
        OSError: This system has no epoll.
    """

    def __init__(self) -> None:
        if not hasattr(select, "epoll"):
            raise OSError(errno.EPROTONOSUPPORT, "the relay needs epoll, which only Linux has")
        self.epoll = select.epoll()
        self.handlers: dict[int, Handler] = {}
        self._actions: deque[tuple[Callable[[], None], threading.Event]] = deque()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.handlers[self._wake_read] = self._act
        self.epoll.register(self._wake_read, select.EPOLLIN)

    def watch(self, end: socket.SocketType, handler: Handler, events: int) -> None:
        """Call ``handler`` with what epoll says of a socket."""
        descriptor = end.fileno()
        change = self.epoll.modify if descriptor in self.handlers else self.epoll.register
        self.handlers[descriptor] = handler
        change(descriptor, events)

    def unwatch(self, end: socket.SocketType) -> None:
        """Call nobody for it any more; before the socket is closed. One that is not watched is no error."""
        if self.handlers.pop(end.fileno(), None) is not None:
            self.epoll.unregister(end.fileno())

    def wait(self, seconds: float | None) -> list[tuple[int, int]]:
        """Wait until something happens; give descriptors, and what has happened to each."""
        return self.epoll.poll(seconds, _EVENTS)

    def handle(self, events: list[tuple[int, Handler, int]]) -> None:
        """Call who handles these descriptors.

        A handler may close descriptors and open others: what was told of one must not meet its next owner.
        """
        for descriptor, handler, what in events:
            if self.handlers.get(descriptor) is handler:
                handler(what)

    def call(self, action: Callable[[], None]) -> None:
        """Have something done on the thread, and wait for it."""
        done = threading.Event()
        self._actions.append((action, done))
        self.wake()
        done.wait(_CALL_SECONDS)

    def wake(self) -> None:
        """Let the thread look around."""
        os.write(self._wake_write, b"x")

    def close(self) -> None:
        """Close what wakes the thread, and epoll; once the thread has ended."""
        self.epoll.close()
        os.close(self._wake_read)
        os.close(self._wake_write)

    def _act(self, _events: int) -> None:
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake_read, 4096)
        while self._actions:
            action, done = self._actions.popleft()
            action()
            done.set()
