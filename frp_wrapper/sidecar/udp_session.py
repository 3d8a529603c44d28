"""One visitor of a tunnel of datagrams: let in, or refused."""

from __future__ import annotations

import socket
import time

from frp_wrapper.sidecar.admission import LASTING
from frp_wrapper.sidecar.news import Row, row

SESSION_SECONDS = 30.5
"""How long a session lasts without a datagram: frpc's own sockets live 30 s, and ours must not end before."""
_TRY_AGAIN = 1.0
"""Seconds after which somebody who was refused for a limit may try again."""

Peer = tuple[str, int]
"""Address and port of frpc's socket."""


class Session:
    """One visitor, as long as frpc keeps a socket for him."""

    __slots__ = (
        "error", "first_byte_seconds", "has_failed", "opened", "opened_at", "outgoing",
        "peer", "received", "sent", "until", "visitor",
    )  # fmt: skip

    def __init__(self, peer: Peer, visitor: str | None, outgoing: socket.socket) -> None:
        self.peer = peer
        self.visitor = visitor
        self.outgoing = outgoing
        self.opened_at = time.time()
        self.opened = time.monotonic()
        self.until = self.opened + SESSION_SECONDS
        self.first_byte_seconds: float | None = None
        self.sent = 0
        self.received = 0
        self.error: str | None = None
        self.has_failed = False

    def row(self, *, closed: bool) -> Row:
        """Note what is known of it."""
        return row(
            self.visitor,
            joined(self.peer),
            self.opened_at,
            self.opened_at + time.monotonic() - self.opened if closed else None,
            sent=self.sent,
            received=self.received,
            error=self.error,
            first_byte_seconds=self.first_byte_seconds,
        )


class Refused:
    """A visitor who may not come in, as long as he goes on to send."""

    __slots__ = ("reason", "try_at", "until", "visitor")

    def __init__(self, visitor: str | None, reason: str) -> None:
        now = time.monotonic()
        self.visitor = visitor
        self.reason = reason
        self.try_at = now + _TRY_AGAIN
        self.until = now + SESSION_SECONDS

    def may_try_again(self, now: float) -> bool:
        """Say whether he may try to come in once more; he stays known for as long as he sends."""
        self.until = now + SESSION_SECONDS
        return self.reason not in LASTING and now >= self.try_at


def joined(peer: Peer) -> str:
    """Give an address and a port as one text."""
    return f"{peer[0]}:{peer[1]}"
