"""frpc's own health checks, which come where visitors come: told apart, and kept true.

frpc's ``http`` check is a GET of the path that was asked for; it goes on to the service, whose answer counts. Its
``tcp`` check would only find out that the relay listens. So frpc is told to GET a path of ours instead, and the relay
answers it: 200 when the service takes a connection, else a reset.
"""

from __future__ import annotations

import contextlib
import socket
from dataclasses import dataclass

CONNECT_PATH = "/.frp-wrapper/accepts-connections"
"""What frpc asks for in the place of its ``tcp`` check."""
_TAKEN = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """What a check of frpc looks like.

    Attributes:
        start: The bytes that it begins with.
    """

    start: bytes

    def recognise(self, head: bytes) -> bool | None:
        """Say whether a connection that begins so is a check; None: more bytes are needed to tell."""
        if head.startswith(self.start):
            return True
        return None if self.start.startswith(head) else False


def health_check(path: str | None, host: str | None) -> HealthCheck | None:
    """Give what checks of a path look like.

    Args:
        path: As frpc asks for it; None: there are no checks.
        host: The Host header; None: whatever it is. Where nothing else tells checks from visitors it must be given.
    """
    if path is None:
        return None
    line = f"GET {path} HTTP/1.1\r\n"
    return HealthCheck((line if host is None else f"{line}Host: {host}\r\n").encode())


def asks_for_connection(head: bytes) -> bool:
    """Say whether a check is one that the relay answers."""
    return head.startswith(f"GET {CONNECT_PATH} ".encode())


def answer(incoming: socket.SocketType) -> None:
    """Tell frpc that the service has taken a connection."""
    with contextlib.suppress(OSError):  # it did not wait so long
        incoming.send(_TAKEN)
