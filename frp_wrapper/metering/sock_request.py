"""What is asked of netlink's sock_diag, without any privilege."""

from __future__ import annotations

import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Collection

from frp_wrapper.metering.sock_message import SocketKey

__all__ = [
    "DONE",
    "ERROR",
    "FIN_WAIT2",
    "LISTEN",
    "MAX_FILTERED_PORTS",
    "TCP_DESTROY_GROUPS",
    "TIME_WAIT",
    "attach_filter",
    "leading_to",
    "open_netlink",
    "request",
]

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 0x1
_DUMP = 0x300
ERROR, DONE = 2, 3
"""Kinds of messages that are about no socket: a refusal, and the end of an answer."""
FIN_WAIT2, TIME_WAIT, LISTEN = 1 << 5, 1 << 6, 1 << 10
_OPEN_STATES = 0xFFF & ~(TIME_WAIT | LISTEN)
"""All but TIME_WAIT, whose sockets hold no counters any more, and LISTEN."""
_ANY_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
_INET_DIAG_REQ_BYTECODE = 1
_WITH_INFO = 1 << 1
_BC_JMP = 1
_BC_DEST_EQUAL = 12
TCP_DESTROY_GROUPS = 1 << 0 | 1 << 2
"""IPv4 and IPv6. The socket must be bound to them: joining by option brings nothing."""
MAX_FILTERED_PORTS = 64
"""More ports than this are sorted out here rather than by the kernel."""
_SO_ATTACH_FILTER = 26
_SO_RCVBUFFORCE = 33
_BUFFER, _LARGE_BUFFER = 1 << 20, 16 << 20
"""Bytes in which events wait while we are kept from reading them; a closed socket takes one or two thousand."""
_LAYOUT = struct.Struct("=IHHIIBBBBI4s16s16sIII")
_ATTRIBUTE = struct.Struct("=HH")


def open_netlink() -> socket.socket:
    """Open a socket to ask by, or to hear of closing sockets.

    Raises:
        OSError: This system has no sock_diag.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(errno.EPROTONOSUPPORT, "only Linux has sock_diag")
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    try:
        netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _LARGE_BUFFER)
    except OSError:  # only the administrator may have more than the system's limit
        netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    netlink.settimeout(2.0)
    return netlink


def leading_to(ports: Collection[int], family: int) -> bytes:
    """Ask for the open sockets that lead to one of these ports."""
    if len(ports) == 1:  # the kernel compares one port faster than by a filter
        return request(family, _OPEN_STATES, port=next(iter(ports)))
    bytecode = _bytecode(ports) if len(ports) <= MAX_FILTERED_PORTS else b""
    return request(family, _OPEN_STATES, bytecode=bytecode)


def request(
    family: int, states: int, *, bytecode: bytes = b"", port: int = 0, key: SocketKey | None = None
) -> bytes:
    """Ask for all sockets in these states, for those with this destination port, or for the one with this key."""
    attribute = _ATTRIBUTE.pack(4 + len(bytecode), _INET_DIAG_REQ_BYTECODE) + bytecode if bytecode else b""
    flags = _REQUEST | (_DUMP if key is None else 0)
    ends = struct.pack(">HH32x", 0, port) if key is None else key
    head = (_SOCK_DIAG_BY_FAMILY, flags, 1, 0, family, socket.IPPROTO_TCP, _WITH_INFO, 0)
    size = _LAYOUT.size + len(attribute)
    parts = (ends[:4], ends[4:20], ends[20:])
    return _LAYOUT.pack(size, *head, states, *parts, 0, *_ANY_COOKIE) + attribute


def _bytecode(ports: Collection[int]) -> bytes:
    """Build a kernel filter: the destination port is one of these."""
    code = b""
    for port in ports:
        test = struct.pack("=BBHBBH", _BC_DEST_EQUAL, 8, 12, 0, 0, port)
        code = test + (struct.pack("=BBH", _BC_JMP, 4, 4 + len(code)) + code if code else b"")
    return code


def attach_filter(netlink: socket.socket, ports: Collection[int] | None) -> None:
    """Attach a classic BPF program that lets the events of these destination ports through; None: all."""
    accept, drop = (0x06, 0, 0, 0xFFFFFFFF), (0x06, 0, 0, 0)
    load_port = (0x28, 0, 0, 22)
    if ports is None:
        program = [accept]
    else:
        tests = [(0x15, len(ports) - number, 0, port) for number, port in enumerate(ports)]
        program = [load_port, *tests, drop, accept] if ports else [drop]
    code = b"".join(struct.pack("HBBI", *step) for step in program)
    buffer = ctypes.create_string_buffer(code)
    netlink.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(program), ctypes.addressof(buffer))
    )
