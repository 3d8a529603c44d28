"""Reads the header that frpc puts ahead of a visitor's data: the PROXY protocol, versions 1 and 2."""

from __future__ import annotations

import socket
from dataclasses import dataclass

SIGNATURE_V2 = b"\r\n\r\n\x00\r\nQUIT\n"
SIGNATURE_V1 = b"PROXY "
_LONGEST_V1 = 107
_FIXED_V2 = 16
_FAMILIES = {1: (socket.AF_INET, 4), 2: (socket.AF_INET6, 16)}


@dataclass(frozen=True, slots=True)
class Header:
    """A header that was read: its size in bytes and the visitor's ``address:port`` (None: it does not tell)."""

    size: int
    visitor: str | None


def read_header(data: bytes) -> Header | None:
    """Read the header at the start of a connection.

    Args:
        data: The first bytes of it.

    Returns:
        The header; one of size 0 where there is none; None while more bytes are needed to tell.
    """
    if data.startswith(SIGNATURE_V2):
        return _read_v2(data)
    if data.startswith(SIGNATURE_V1):
        return _read_v1(data)
    if SIGNATURE_V2.startswith(data) or SIGNATURE_V1.startswith(data):
        return None
    return Header(0, None)


def _read_v2(data: bytes) -> Header | None:
    if len(data) < _FIXED_V2:
        return None
    size = _FIXED_V2 + int.from_bytes(data[14:16], "big")
    if len(data) < size:
        return None
    is_proxy = data[12] & 0x0F == 1
    family = _FAMILIES.get(data[13] >> 4)
    if not is_proxy or family is None or size < _FIXED_V2 + 2 * family[1] + 4:
        return Header(size, None)
    kind, length = family
    address = socket.inet_ntop(kind, data[_FIXED_V2 : _FIXED_V2 + length])
    port = int.from_bytes(data[_FIXED_V2 + 2 * length :][:2], "big")
    return Header(size, _joined(address, port))


def _read_v1(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, _LONGEST_V1)
    if end == -1:
        return None if len(data) < _LONGEST_V1 else Header(0, None)
    words = data[:end].decode("ascii", "replace").split(" ")
    if len(words) != 6 or not words[4].isdecimal():
        return Header(end + 2, None)
    return Header(end + 2, _joined(words[2], int(words[4])))


def _joined(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
