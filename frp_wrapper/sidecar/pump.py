"""Moves the bytes of one direction of a relayed connection, without ever blocking."""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket

BUFFER = 65536
_PIPE = 1 << 20
_MAX_PIPES = 48
"""The kernel grants a user 64 MiB of pipes; beyond it they shrink to one page."""
_BUDGET = 16
"""Pieces that one direction may move before the others have their turn."""
_SMALL = 16384
_SMALL_RUN = 4
"""So many small pieces in a row end the bulk mode: copying is cheaper than two splices then."""
_NO_WAIT = socket.MSG_DONTWAIT
"""Not to wait, asked for with each call: most connections end before it would pay to ask the socket once for all."""
_SPLICE = os.SPLICE_F_NONBLOCK | os.SPLICE_F_MOVE if hasattr(os, "splice") else 0


class PipePool:
    """Pipes for `os.splice`, lent only while bytes are in them."""

    def __init__(self) -> None:
        self._free: list[tuple[int, int]] = []
        self._made = 0

    def take(self) -> tuple[int, int] | None:
        """Give an empty pipe, or None when all are in use."""
        if self._free:
            return self._free.pop()
        if self._made >= _MAX_PIPES:
            return None
        try:
            pipe = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            fcntl.fcntl(pipe[0], fcntl.F_SETPIPE_SZ, _PIPE)
        self._made += 1
        return pipe

    def give_back(self, pipe: tuple[int, int], *, empty: bool) -> None:
        """Take a pipe back; one that still holds bytes is thrown away with them."""
        if empty:
            self._free.append(pipe)
            return
        self._made -= 1
        os.close(pipe[0])
        os.close(pipe[1])

    def close(self) -> None:
        """Close the pipes that are not lent."""
        while self._free:
            for descriptor in self._free.pop():
                os.close(descriptor)


class Pump:
    """One direction: from ``source`` to ``sink``.

    It copies through one shared buffer, and changes to `os.splice` while the pieces are large. The caller sets
    ``readable``, ``ending`` and ``writable`` at every edge that epoll reports.

    Args:
        source: Where bytes come from.
        sink: Where they go.
        buffer: Of `BUFFER` bytes, shared by all pumps of a thread: nothing stays in it between two calls.
        pipes: Where to borrow pipes.
    """

    __slots__ = (
        "_buffer", "_bulk", "_in_pipe", "_pipes", "_rest", "_small",
        "ended", "ending", "finished", "moved", "pipe", "readable", "sink", "source", "writable",
    )  # fmt: skip

    def __init__(
        self, source: socket.SocketType, sink: socket.SocketType, buffer: memoryview, pipes: PipePool
    ) -> None:
        self.source = source
        self.sink = sink
        self._buffer = buffer
        self._pipes = pipes
        self.pipe: tuple[int, int] | None = None
        """Borrowed while the pieces are large."""
        self._in_pipe = 0
        self._rest: bytes | memoryview = b""
        self._bulk = False
        self._small = 0
        self.readable = False
        self.ending = False
        """The end of the source has been reported, and no edge will tell of it again."""
        self.writable = False
        self.ended = False
        """The source has sent its last byte."""
        self.finished = False
        """All of it has gone to the sink, and the sink has been told."""
        self.moved = 0
        """Bytes read from the source since the last look at it."""

    def push(self, data: bytes, payload: int, *, ended: bool) -> None:
        """Queue bytes ahead of all others, before the first `run`; so many of them count, and they may be the last."""
        self._rest = data
        self.moved = payload
        self.ended = ended

    def run(self, last: bool) -> bool:
        """Move what can be moved; True when there is more to do at once.

        Nothing is read before it can be written: what waits, waits in the kernel.

        Args:
            last: The other direction has finished: both sockets will be closed after this one, which tells the sink.

        Raises:
            OSError: One of the sockets failed.
        """
        for _ in range(_BUDGET):
            if not self.writable:
                return False
            if self._rest:
                self._write_rest()
            elif self._in_pipe:
                self._write_from_pipe()
            elif not self.readable:
                break
            elif self._bulk and (self.pipe is not None or self._borrow_pipe()):
                self._read_to_pipe()
            else:
                self._copy()
        else:
            return True
        if self.pipe is not None:
            self.return_pipe()
        if self.ended and not self.finished:
            self.finished = True
            if not last:
                self.sink.shutdown(socket.SHUT_WR)
        return False

    def return_pipe(self) -> None:
        """Give the pipe back; what is still in it is lost."""
        assert self.pipe is not None
        self._pipes.give_back(self.pipe, empty=not self._in_pipe)
        self.pipe = None
        self._in_pipe = 0

    def _copy(self) -> None:
        try:
            size = self.source.recv_into(self._buffer, 0, _NO_WAIT)
        except BlockingIOError:
            self.readable = False
            return
        if not size:
            self._end()
            return
        self.moved += size
        self._bulk = size == BUFFER
        if not (self._bulk or self.ending):  # there was no more; what comes from now on raises an edge
            self.readable = False
        try:
            sent = self.sink.send(self._buffer[:size], _NO_WAIT)
        except BlockingIOError:
            sent = 0
        if sent < size:
            self.writable = False
            self._rest = bytes(self._buffer[sent:size])

    def _write_rest(self) -> None:
        try:
            sent = self.sink.send(self._rest, _NO_WAIT)
        except BlockingIOError:
            self.writable = False
            return
        self._rest = memoryview(self._rest)[sent:]

    def _read_to_pipe(self) -> None:
        assert self.pipe is not None
        try:
            size = os.splice(self.source.fileno(), self.pipe[1], _PIPE, flags=_SPLICE)
        except BlockingIOError:
            self.readable = False
            return
        if not size:
            self._end()
            return
        self.moved += size
        self._in_pipe = size
        self._small = self._small + 1 if size < _SMALL else 0
        self._bulk = self._small <= _SMALL_RUN

    def _write_from_pipe(self) -> None:
        assert self.pipe is not None
        try:
            self._in_pipe -= os.splice(self.pipe[0], self.sink.fileno(), self._in_pipe, flags=_SPLICE)
        except BlockingIOError:
            self.writable = False

    def _end(self) -> None:
        self.ended = True
        self.readable = False

    def _borrow_pipe(self) -> bool:
        for end in (self.source, self.sink):
            if end.getblocking():  # asks Python's socket, not the kernel
                end.setblocking(False)
        self.pipe = self._pipes.take()
        self._small = 0
        return self.pipe is not None
