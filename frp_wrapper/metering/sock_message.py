"""A message of netlink's sock_diag about one TCP socket: which it is, and what it has carried."""

from __future__ import annotations

import ipaddress
import struct
from functools import lru_cache
from typing import NamedTuple

from frp_wrapper.metering.tcp_payload import Counters, counters_of, payload_of_open

__all__ = [
    "COOKIE",
    "COUNTERS_IN_INFO",
    "HEADER",
    "KEY_SIZE",
    "STATE",
    "Sample",
    "SocketKey",
    "counters_in",
    "info_of",
    "key_of",
    "layout_of",
    "open_sample",
    "sample_of",
    "socket_key",
]

HEADER = struct.Struct("=IH")
"""Length and kind of a message."""
_ATTRIBUTE = struct.Struct("=HH")
_QUEUES = struct.Struct("=II")
_COOKIE_AND_INODE = struct.Struct("=Q16xI")
COOKIE = 60
"""Offset of the cookie in a message; the inode is the last of its fixed part."""
_MESSAGE = 88
"""Offset of the attributes: the netlink header and ``inet_diag_msg``."""
_KEY, KEY_SIZE = 20, 36
"""Offset and size of ports and addresses, which follow each other."""
STATE, _AT_QUEUES = 17, 72
_BYTES_IN_TCP_INFO, _BYTES_SIZE = 120, 16
"""Where bytes acknowledged and received are: what is compared to find out whether a socket has moved any."""
COUNTERS_IN_INFO = 4 + _BYTES_IN_TCP_INFO
"""Their offset in the attribute that holds them."""
_INET_DIAG_INFO = 2


class SocketKey(bytes):
    """What tells one TCP socket of this machine from all others: its two ports and addresses, as the kernel writes them."""

    __slots__ = ()

    @property
    def source_port(self) -> int:
        """The port at this end."""
        return int.from_bytes(self[:2], "big")

    @property
    def destination_port(self) -> int:
        """The port at the far end."""
        return int.from_bytes(self[2:4], "big")

    @property
    def source(self) -> bytes:
        """The address at this end, 16 bytes."""
        return self[4:20]

    @property
    def destination(self) -> bytes:
        """The address at the far end, 16 bytes."""
        return self[20:]


class Sample(NamedTuple):
    """The counters of one socket: payload bytes that it sent (and that were acknowledged) and received."""

    key: SocketKey
    sent: int
    received: int
    cookie: int = 0
    """The kernel's own number for the socket; no other ever gets it."""
    inode: int = 0
    """What ``/proc/PID/fd`` shows for it; 0 once its program has closed it."""
    was_made: bool = True
    """False for a connection that the other side never took."""


def socket_key(local: str, remote: str) -> SocketKey:
    """Give the key of a socket from its two ends, written ``address:port`` as Go does.

    Raises:
        ValueError: They are not addresses.
    """
    (source, source_port), (destination, destination_port) = _address(local), _address(remote)
    return SocketKey(struct.pack(">HH", source_port, destination_port) + source + destination)


def _address(text: str) -> tuple[bytes, int]:
    host, _, port = text.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    return address.packed.ljust(16, b"\0"), int(port)


def open_sample(buffer: bytearray, offset: int, length: int) -> Sample | None:
    """Read what a message says of an open socket; None: it holds no counters."""
    found = counters_in(buffer, offset, length)
    return None if found is None else sample_of(buffer, offset, found, payload_of_open(found))


def sample_of(buffer: bytearray, offset: int, found: Counters, payload: tuple[int, int]) -> Sample:
    """Read which socket a message is about, whose payload is known."""
    cookie, inode = _COOKIE_AND_INODE.unpack_from(buffer, offset + COOKIE)
    return Sample(key_of(buffer, offset), *payload, cookie, inode, found.acked > 0)


def counters_in(buffer: bytearray, offset: int, length: int) -> Counters | None:
    """Read the counters in a message; None: it holds none."""
    info = info_of(buffer, offset, length)
    if info is None:
        return None
    size, _ = _ATTRIBUTE.unpack_from(buffer, info)
    queues = _QUEUES.unpack_from(buffer, offset + _AT_QUEUES)
    return counters_of(buffer[offset + STATE], queues, buffer, info + 4, size - 4)


def info_of(buffer: bytearray, offset: int, length: int) -> int | None:
    """Find the attribute with the counters in a message."""
    at = offset + _MESSAGE
    end = offset + length
    while at + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if kind == _INET_DIAG_INFO and size >= 4 + _BYTES_IN_TCP_INFO + _BYTES_SIZE:
            return at
        at += max(size, 4) + 3 & ~3
    return None


@lru_cache(maxsize=64)
def layout_of(length: int, info: int) -> struct.Struct:
    """Describe a message whose counters are in the attribute at ``info``: its key and its counters."""
    between = info + COUNTERS_IN_INFO - _KEY - KEY_SIZE
    rest = length - info - 4 - _BYTES_IN_TCP_INFO - _BYTES_SIZE
    return struct.Struct(f"={_KEY}x{KEY_SIZE}s{between}x{_BYTES_SIZE}s{rest}x")


def key_of(buffer: bytearray, offset: int) -> SocketKey:
    """Read which socket a message is about."""
    return SocketKey(buffer[offset + _KEY : offset + _KEY + KEY_SIZE])
