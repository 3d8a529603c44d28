"""What waits to be sent to the host, in bounded memory."""

from __future__ import annotations

import socket
from collections import deque
from collections.abc import Mapping
from typing import Any

from frp_wrapper.sidecar.wire import encode, encode_output


class Outbox:
    """Frames for a host that may read slowly or not at all.

    Args:
        sock: The non-blocking control socket.
        limit: Bytes of program output that may wait. Beyond it output is dropped and counted, because the program must
            never be blocked by its host; control messages are few and always kept.
    """

    def __init__(self, sock: socket.socket, limit: int = 1 << 20) -> None:
        self._socket = sock
        self._limit = limit
        self._frames: deque[bytes] = deque()
        self._waiting = 0
        self._dropped = 0

    def __bool__(self) -> bool:
        return bool(self._frames)

    def message(self, content: Mapping[str, Any]) -> None:
        """Queue a control message."""
        self._push(encode(content))

    def output(self, chunk: bytes) -> None:
        """Queue program output, or count it as dropped when the host is too far behind."""
        if self._waiting + len(chunk) > self._limit:
            self._dropped += len(chunk)
            return
        if self._dropped:
            self.message({"op": "dropped", "bytes": self._dropped})
            self._dropped = 0
        self._push(encode_output(chunk))

    def flush(self) -> None:
        """Send what the socket takes now.

        Raises:
            OSError: The host is gone.
        """
        while self._frames:
            frame = self._frames.popleft()
            try:
                sent = self._socket.send(frame)
            except BlockingIOError:
                sent = 0
            self._waiting -= sent
            if sent < len(frame):
                self._frames.appendleft(frame[sent:])
                return

    def _push(self, frame: bytes) -> None:
        self._frames.append(frame)
        self._waiting += len(frame)
