"""How many bytes of payload a TCP socket has carried, from what the kernel counts, which is not only payload.

``tcpi_bytes_acked`` counts the SYN and the FIN that were acknowledged, ``tcpi_bytes_received`` the FIN of the peer. Which of
them are in there depends on how the connection ended, and that is not told of a socket that is closed; it follows from other
counters.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

__all__ = ["Counters", "counters_of", "payload_of_closed", "payload_of_open"]

_SYN = 1
_PEER_HAS_ENDED = frozenset({8, 9, 11})
"""CLOSE_WAIT, LAST_ACK, CLOSING."""
_AT_ACKED, _AT_SENT = 120, 200
"""In ``struct tcp_info``. Bytes sent and sent again are there since Linux 4.19."""
_PAIR = struct.Struct("=QQ")


class Counters(NamedTuple):
    """What the kernel tells of a socket.

    Attributes:
        state: Of TCP, as a number of the kernel.
        unread: Sequence numbers that were received and not read; a FIN takes one too.
        unacked: Sequence numbers that were written and not acknowledged; a FIN takes one too.
        acked: Sequence numbers that were acknowledged.
        received: Sequence numbers that were received, but for the SYN.
        sent: Bytes of payload that were sent, each counted once; None: the kernel does not tell.
    """

    state: int
    unread: int
    unacked: int
    acked: int
    received: int
    sent: int | None


def counters_of(
    state: int, queues: tuple[int, int], buffer: bytes | bytearray, at: int, size: int
) -> Counters | None:
    """Read ``struct tcp_info``; None: it is too short to tell of bytes.

    Args:
        state: See `Counters`.
        queues: ``unread`` and ``unacked``.
        buffer: Where it lies.
        at: And from where.
        size: How long it is.
    """
    if size < _AT_ACKED + _PAIR.size:
        return None
    acked, received = _PAIR.unpack_from(buffer, at + _AT_ACKED)
    sent = None
    if size >= _AT_SENT + _PAIR.size:
        all_sent, again = _PAIR.unpack_from(buffer, at + _AT_SENT)
        sent = all_sent - again
    return Counters(state, *queues, acked, received, sent)


def payload_of_open(socket: Counters) -> tuple[int, int]:
    """Give the bytes of payload that were sent and acknowledged, and those that were received."""
    sent = max(0, socket.acked - _SYN)
    received = socket.received - (socket.state in _PEER_HAS_ENDED)
    return (sent if socket.sent is None else min(sent, socket.sent)), max(0, received)


def payload_of_closed(socket: Counters, is_waiting: Callable[[], bool]) -> tuple[int, int]:
    """Give the same of a socket with its last counters.

    Args:
        socket: Its counters.
        is_waiting: Says whether the kernel keeps its ports in TIME_WAIT or FIN_WAIT2; asked only where it matters.
    """
    acknowledged = max(0, socket.acked - _SYN)
    sent = max(0, acknowledged - 1) if socket.sent is None else min(acknowledged, socket.sent)
    return sent, max(0, socket.received - _peer_has_ended(socket, acknowledged - sent, is_waiting))


def _peer_has_ended(socket: Counters, fin_acked: int, is_waiting: Callable[[], bool]) -> bool:
    """Say whether the FIN of the peer is among what was received.

    Args:
        socket: The counters.
        fin_acked: 1: our FIN was acknowledged.
        is_waiting: See `payload_of_closed`.
    """
    unacked_payload = 0 if socket.sent is None else socket.sent - (socket.acked - _SYN - fin_acked)
    has_sent_fin = fin_acked or socket.unacked == unacked_payload + 1
    if not has_sent_fin:  # a reset, by the peer or because of what was left unread
        return False
    if socket.unread:  # what was unread would have made a reset of our end: it is a FIN that came after that
        return True
    # We have ended it, with everything read. Either the peer's FIN was read before, and the socket is gone with our own;
    # or ours was the first, and the socket has left its ports behind to wait for the peer's.
    return not (fin_acked and is_waiting())
