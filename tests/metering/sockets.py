"""Connections of our own making, both ends in hand."""

from __future__ import annotations

import socket
import struct

SENT, RECEIVED = 1000, 500
"""Bytes that `exchange` sends from the first end, and from the second."""


def pair(host: str) -> tuple[socket.socket, socket.socket]:
    """Give both ends of a connection; the first stands for frpc's, the second for the service's."""
    with socket.create_server(
        (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
    ) as listener:
        ours = socket.create_connection(listener.getsockname()[:2])
        theirs, _ = listener.accept()
    for end in (ours, theirs):
        end.settimeout(5)
    return ours, theirs


def exchange(ours: socket.socket, theirs: socket.socket) -> None:
    """Send each way."""
    ours.sendall(b"x" * SENT)
    theirs.sendall(b"y" * RECEIVED)
    for end, size in ((theirs, SENT), (ours, RECEIVED)):
        assert len(end.recv(size, socket.MSG_WAITALL)) == size


def reset(end: socket.socket) -> None:
    """Abort the connection."""
    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.close()
