"""What the Linux kernel knows about TCP sockets: netlink sock_diag, without any privilege.

The kernel counts payload bytes for every TCP socket (``TCP_INFO``). A dump gives the counters of open sockets; a multicast
group gives the last counters of every socket that closes.
"""

from __future__ import annotations

import ctypes
import errno
import ipaddress
import socket
import struct
import sys
from collections.abc import Collection, Iterator
from functools import partial
from typing import NamedTuple

from frp_wrapper.metering.tcp_payload import Counters, counters, payload_of_closed, payload_of_open

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_REQUEST = 0x1
_DUMP = 0x300
_FIN_WAIT2, _TIME_WAIT = 1 << 5, 1 << 6
_ANY_COOKIE = (0xFFFFFFFF, 0xFFFFFFFF)
_NLMSG_ERROR = 2
_NLMSG_DONE = 3
_INET_DIAG_REQ_BYTECODE = 1
_INET_DIAG_INFO = 2
_BC_JMP = 1
_BC_DEST_EQUAL = 12
_TCP_DESTROY_GROUPS = 1 << 0 | 1 << 2
"""IPv4 and IPv6. The socket must be bound to them: joining by option brings nothing."""
_SO_ATTACH_FILTER = 26
_LISTEN = 1 << 10
_OPEN_STATES = 0xFFF & ~(_TIME_WAIT | _LISTEN)
"""All but TIME_WAIT, whose sockets hold no counters any more, and LISTEN."""
_MAX_FILTERED_PORTS = 64
"""More ports than this are sorted out here rather than by the kernel."""
_SO_RCVBUFFORCE = 33
_BUFFER, _LARGE_BUFFER = 1 << 20, 16 << 20
"""Bytes in which events wait while we are kept from reading them; a closed socket takes one or two thousand."""
_REQUEST_LAYOUT = struct.Struct("=IHHIIBBBBI4s16s16sIII")
_HEADER = struct.Struct("=IH")
_ATTRIBUTE = struct.Struct("=HH")
_QUEUES = struct.Struct("=II")
_COOKIE_AND_INODE = struct.Struct("=Q16xI")
_COOKIE = 60
"""Offset of the cookie in a message; the inode is the last of its fixed part."""
_MESSAGE = 88
"""Offset of the attributes: the netlink header and ``inet_diag_msg``."""
_STATE, _AT_QUEUES = 17, 72


class SocketKey(NamedTuple):
    """What tells one TCP socket of this machine from all others: both addresses, as the kernel writes them."""

    ports: bytes
    source: bytes
    destination: bytes

    @property
    def destination_port(self) -> int:
        """The port at the far end."""
        return int.from_bytes(self.ports[2:], "big")


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
    return SocketKey(struct.pack(">HH", source_port, destination_port), source, destination)


def _address(text: str) -> tuple[bytes, int]:
    host, _, port = text.rpartition(":")
    address = ipaddress.ip_address(host.strip("[]").partition("%")[0])
    return address.packed.ljust(16, b"\0"), int(port)


class Dumper:
    """Asks the kernel for the counters of open sockets; not for two threads at once.

    Raises:
        OSError: This system has no sock_diag.
    """

    def __init__(self) -> None:
        self._socket = _open()
        self._buffer = bytearray(1 << 17)

    def dump(self, ports: Collection[int], *, ipv6: bool) -> Iterator[Sample]:
        """Give the sockets that lead to one of these ports."""
        filter_ = _bytecode(ports) if len(ports) <= _MAX_FILTERED_PORTS else b""
        for family in (socket.AF_INET, socket.AF_INET6) if ipv6 else (socket.AF_INET,):
            self._socket.send(_request(family, _OPEN_STATES, bytecode=filter_))
            for buffer, offset, length in self._answers():
                found = _counters(buffer, offset, length)
                if found is not None:
                    yield _sample(buffer, offset, found, payload_of_open(found))

    def listening(self) -> set[tuple[int, bytes]]:
        """Give port and address of every listening socket; the address as the kernel writes it, 16 bytes."""
        found = set()
        for family in (socket.AF_INET, socket.AF_INET6):
            self._socket.send(_request(family, _LISTEN))
            for buffer, offset, _ in self._answers():
                key = _key(buffer, offset)
                found.add((int.from_bytes(key.ports[:2], "big"), key.source))
        return found

    def close(self) -> None:
        """Close the netlink socket."""
        self._socket.close()

    def _answers(self) -> Iterator[tuple[bytearray, int, int]]:
        """Give where each message lies in the buffer; it is overwritten by the next."""
        while True:
            size = self._socket.recv_into(self._buffer)
            offset = 0
            while offset < size:
                length, kind = _HEADER.unpack_from(self._buffer, offset)
                if kind == _NLMSG_DONE:
                    return
                if kind == _NLMSG_ERROR:
                    code = -struct.unpack_from("=i", self._buffer, offset + 16)[0]
                    raise OSError(code, "sock_diag refuses the request")
                yield self._buffer, offset, length
                offset += length + 3 & ~3


class DestroyEvents:
    """The last counters of each socket that closes.

    Raises:
        OSError: This system has no sock_diag.
    """

    def __init__(self) -> None:
        self._socket = _open()
        self._socket.bind((0, _TCP_DESTROY_GROUPS))
        self._socket.setblocking(False)
        self._questions = _open()
        self._buffer = bytearray(1 << 16)

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self._socket.fileno()

    def only(self, ports: Collection[int]) -> None:
        """Have the kernel drop the events of sockets that lead to other ports."""
        _attach_filter(self._socket, ports if len(ports) <= _MAX_FILTERED_PORTS else None)

    def read(self) -> Sample | None:
        """Give the next event, None when there is none now.

        A socket that has ended its side may have left its ports behind to wait for the end of the other side; whether it
        has is asked before that can pass.

        Raises:
            LostEventsError: The kernel had to drop some; only a dump can tell what is still open.
        """
        while True:
            try:
                size = self._socket.recv_into(self._buffer)
            except BlockingIOError:
                return None
            except OSError as exc:
                if exc.errno == errno.ENOBUFS:
                    raise LostEventsError from exc
                raise
            found = _counters(self._buffer, 0, size)
            if found is not None:
                payload = payload_of_closed(found, partial(self._is_waiting, _key(self._buffer, 0)))
                return _sample(self._buffer, 0, found, payload)

    def close(self) -> None:
        """Close the netlink sockets."""
        self._socket.close()
        self._questions.close()

    def _is_waiting(self, key: SocketKey) -> bool:
        """Ask whether the kernel keeps the two ends of a socket in TIME_WAIT or FIN_WAIT2."""
        family = socket.AF_INET6 if any(key.source[4:]) else socket.AF_INET
        try:
            self._questions.send(_request(family, _TIME_WAIT | _FIN_WAIT2, key=key))
            answer = self._questions.recv(4096)
        except OSError:  # out of memory: as if it were not there, which it seldom is
            return False
        _, kind = _HEADER.unpack_from(answer)
        return kind != _NLMSG_ERROR and bool(1 << answer[_STATE] & (_TIME_WAIT | _FIN_WAIT2))


class LostEventsError(Exception):
    """The kernel had no room for some events."""


def _open() -> socket.socket:
    if not sys.platform.startswith("linux"):
        raise OSError(errno.EPROTONOSUPPORT, "only Linux has sock_diag")
    netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
    try:
        netlink.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _LARGE_BUFFER)
    except OSError:  # only the administrator may have more than the system's limit
        netlink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
    netlink.settimeout(2.0)
    return netlink


def _request(family: int, states: int, *, bytecode: bytes = b"", key: SocketKey | None = None) -> bytes:
    """Ask for all sockets in these states, or for the one with this key."""
    attribute = _ATTRIBUTE.pack(4 + len(bytecode), _INET_DIAG_REQ_BYTECODE) + bytecode if bytecode else b""
    flags = _REQUEST | (_DUMP if key is None else 0)
    ends = (bytes(4), bytes(16), bytes(16)) if key is None else key
    head = (_SOCK_DIAG_BY_FAMILY, flags, 1, 0, family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0)
    size = _REQUEST_LAYOUT.size + len(attribute)
    return _REQUEST_LAYOUT.pack(size, *head, states, *ends, 0, *_ANY_COOKIE) + attribute


def _bytecode(ports: Collection[int]) -> bytes:
    """Build a kernel filter: the destination port is one of these."""
    code = b""
    for port in ports:
        test = struct.pack("=BBHBBH", _BC_DEST_EQUAL, 8, 12, 0, 0, port)
        code = test + (struct.pack("=BBH", _BC_JMP, 4, 4 + len(code)) + code if code else b"")
    return code


def _attach_filter(netlink: socket.socket, ports: Collection[int] | None) -> None:
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


def _counters(buffer: bytearray, offset: int, length: int) -> Counters | None:
    at = offset + _MESSAGE
    end = offset + length
    while at + 4 <= end:
        size, kind = _ATTRIBUTE.unpack_from(buffer, at)
        if kind == _INET_DIAG_INFO:
            queues = _QUEUES.unpack_from(buffer, offset + _AT_QUEUES)
            return counters(buffer[offset + _STATE], queues, buffer, at + 4, size - 4)
        at += max(size, 4) + 3 & ~3
    return None


def _sample(buffer: bytearray, offset: int, found: Counters, payload: tuple[int, int]) -> Sample:
    cookie, inode = _COOKIE_AND_INODE.unpack_from(buffer, offset + _COOKIE)
    return Sample(_key(buffer, offset), *payload, cookie, inode, found.acked > 0)


def _key(buffer: bytearray, offset: int) -> SocketKey:
    start = offset + 20
    return SocketKey(
        bytes(buffer[start : start + 4]),
        bytes(buffer[start + 4 : start + 20]),
        bytes(buffer[start + 20 : start + 36]),
    )
