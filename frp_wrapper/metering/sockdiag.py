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
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

from frp_wrapper.metering.tcp_payload import Counters, counters_of, payload_of_closed, payload_of_open

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
MAX_FILTERED_PORTS = 64
"""More ports than this are sorted out here rather than by the kernel."""
_SO_RCVBUFFORCE = 33
_BUFFER, _LARGE_BUFFER = 1 << 20, 16 << 20
"""Bytes in which events wait while we are kept from reading them; a closed socket takes one or two thousand."""
_REQUEST_LAYOUT = struct.Struct("=IHHIIBBBBI4s16s16sIII")
_HEADER = struct.Struct("=IH")
_ATTRIBUTE = struct.Struct("=HH")
_QUEUES = struct.Struct("=II")
_CODE = struct.Struct("=i")
_COOKIE_AND_INODE = struct.Struct("=Q16xI")
_COOKIE = 60
"""Offset of the cookie in a message; the inode is the last of its fixed part."""
_MESSAGE = 88
"""Offset of the attributes: the netlink header and ``inet_diag_msg``."""
_KEY, _KEY_SIZE = 20, 36
"""Offset and size of ports and addresses, which follow each other."""
_STATE, _AT_QUEUES = 17, 72
_BYTES_IN_TCP_INFO, _BYTES_SIZE = 120, 16
"""Where bytes acknowledged and received are: what is compared to find out whether a socket has moved any."""


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


@dataclass(slots=True)
class Dump:
    """What a look at open sockets brought, of those that are of interest."""

    found: int
    """How many there are."""
    moved: list[Sample]
    """Those whose counters have changed."""


class Dumper:
    """Asks the kernel for the counters of open sockets; not for two threads at once.

    Raises:
        OSError: This system has no sock_diag.
    """

    def __init__(self) -> None:
        self._socket = _open()
        self._buffer = bytearray(1 << 17)
        self._view = memoryview(self._buffer)
        self._words = self._view.cast("I")
        self._idle: set[bytes] = set()
        """Pieces of the last look in which every socket was of interest, as `_signature` describes them."""
        self._info_at: dict[int, int] = {}
        """By the length of messages that were alike: where the counters are in them."""

    def dump(self, ports: Collection[int], told: dict[SocketKey, bytes], *, ipv6: bool) -> Dump:
        """Look at the sockets that lead to one of these ports.

        Args:
            ports: Their destinations.
            told: Each socket that is of interest with its counters of the last look, as the kernel writes them; empty:
                there was none yet. Brought to the present. After a socket that may still be there was taken out of it,
                `look_anew` must be called.
            ipv6: Whether some are of IPv6.
        """
        dump, idle = Dump(0, []), set[bytes]()
        for piece in self._leading_to(ports, ipv6=ipv6):
            signature = self._signature(piece)
            if signature in self._idle:
                idle.add(signature)
                dump.found += len(piece)
            elif self._look_through(piece, told, dump):
                idle.add(self._signature(piece))
        self._idle = idle
        return dump

    def look_anew(self) -> None:
        """Have the next `dump` look at each socket: of those that are there some are not of interest any more."""
        self._idle = set()

    def samples(self, ports: Collection[int], *, ipv6: bool) -> list[Sample]:
        """Give all sockets that lead to one of these ports, whether they have moved anything or not."""
        pieces = self._leading_to(ports, ipv6=ipv6)
        found = (
            _open_sample(self._buffer, at, run.step)
            for piece in pieces
            for run in self._runs(piece)
            for at in run
        )
        return [sample for sample in found if sample is not None]

    def present(self, ports: Collection[int], *, ipv6: bool) -> set[SocketKey]:
        """Give all sockets that lead to one of these ports."""
        pieces = self._leading_to(ports, ipv6=ipv6)
        return {_key(self._buffer, at) for piece in pieces for run in self._runs(piece) for at in run}

    def listening(self) -> set[tuple[int, bytes]]:
        """Give port and address of every listening socket; the address as the kernel writes it, 16 bytes."""
        pieces = self._ask(_request(family, _LISTEN) for family in (socket.AF_INET, socket.AF_INET6))
        keys = (_key(self._buffer, at) for piece in pieces for run in self._runs(piece) for at in run)
        return {(key.source_port, key.source) for key in keys}

    def close(self) -> None:
        """Close the netlink socket."""
        self._socket.close()

    def _leading_to(self, ports: Collection[int], *, ipv6: bool) -> Iterator[range]:
        families = (socket.AF_INET, socket.AF_INET6) if ipv6 else (socket.AF_INET,)
        return self._ask(_leading_to(ports, family) for family in families)

    def _ask(self, requests: Iterable[bytes]) -> Iterator[range]:
        """Give where the answers lie in the buffer, piece by piece; each overwrites the one before.

        Where the first message begins, where the piece ends, and how long the first is: most often all are as long.
        """
        for request in requests:
            self._socket.send(request)
            kind = 0
            while kind != _NLMSG_DONE:
                size = self._socket.recv_into(self._buffer)
                length, kind = _HEADER.unpack_from(self._buffer)
                if kind == _NLMSG_ERROR:
                    raise OSError(-_CODE.unpack_from(self._buffer, 16)[0], "sock_diag refuses the request")
                if kind != _NLMSG_DONE:
                    if _HEADER.unpack_from(self._buffer, size - length) != (length, kind):
                        size, kind = self._end(size)
                    yield range(0, size, length)

    def _end(self, size: int) -> tuple[int, int]:
        """Give where the last socket of a piece ends, whose messages are not alike, and what kind of message is the last."""
        at = kind = 0
        while at < size:
            length, kind = _HEADER.unpack_from(self._buffer, at)
            if kind == _NLMSG_DONE:
                break
            at += length
        return at, kind

    def _runs(self, piece: range) -> Iterator[range]:
        """Give the messages of a piece, in runs of the same length."""
        while piece:
            run = piece[: self._alike(piece.start, piece)]
            yield run
            at = run[-1] + piece.step
            if at >= piece.stop:
                return
            piece = range(at, piece.stop, _HEADER.unpack_from(self._buffer, at)[0])

    def _alike(self, at: int, messages: range) -> int:
        """Count the messages up to the first that differs from the others in the word at this offset of the first."""
        words = self._words[at // 4 : messages.stop // 4 : messages.step // 4].tobytes()
        first, count = words[:4], len(words) // 4
        if words == first * count:
            return count
        return next(number for number in range(count) if words[4 * number : 4 * number + 4] != first)

    def _signature(self, piece: range) -> bytes:
        """Give in one piece which sockets these are and what they have moved: a hundred that are idle cost as one.

        Of numbers of 64 bits it has the lower half: nobody moves just 4 GiB in the time between two looks. That a
        hundred cookies stand where they stood shows that the messages are as long as they were.
        """
        stop, step, at = (
            piece.stop >> 2,
            piece.step >> 2,
            self._info_at.get(piece.step, 0) + 4 + _BYTES_IN_TCP_INFO,
        )
        words, acked = self._words, at >> 2
        cookies = words[_COOKIE >> 2 : stop : step].tobytes()
        return cookies + words[acked:stop:step].tobytes() + words[acked + 2 : stop : step].tobytes()

    def _look_through(self, piece: range, told: dict[SocketKey, bytes], dump: Dump) -> bool:
        """Find what has changed in a piece; True when its messages are alike, and every socket is of interest."""
        before, parts = dump.found, 0
        for run in self._runs(piece):
            rest = run
            while rest:
                info = _info(self._buffer, rest.start, rest.step)
                alike = 1 if info is None else self._alike(info, rest)
                if info is not None:
                    self._info_at[rest.step] = info - rest.start
                    self._compare(rest[:alike], _layout(rest.step, info - rest.start), told, dump)
                rest = rest[alike:]
                parts += 1
        return parts == 1 and dump.found - before == len(piece)

    def _compare(
        self, messages: range, layout: struct.Struct, told: dict[SocketKey, bytes], dump: Dump
    ) -> None:
        """Find what has changed. There may be ten thousand sockets, and most are idle: they must cost next to nothing."""
        get, rows = told.get, layout.iter_unpack(self._view[messages.start : messages[-1] + messages.step])
        changed = [(number, counters) for number, (key, counters) in enumerate(rows) if get(key) != counters]
        dump.found += len(messages)
        for number, counters in changed:
            sample = _open_sample(self._buffer, messages[number], messages.step)
            if sample is None or sample.key not in told:
                dump.found -= 1
            else:
                # to the end: in the order of the kernel's table, the next look reads memory in a row
                del told[sample.key]
                told[sample.key] = counters
                dump.moved.append(sample)


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
        _attach_filter(self._socket, ports if len(ports) <= MAX_FILTERED_PORTS else None)

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


def _leading_to(ports: Collection[int], family: int) -> bytes:
    """Ask for the open sockets that lead to one of these ports."""
    if len(ports) == 1:  # the kernel compares one port faster than by a filter
        return _request(family, _OPEN_STATES, port=next(iter(ports)))
    bytecode = _bytecode(ports) if len(ports) <= MAX_FILTERED_PORTS else b""
    return _request(family, _OPEN_STATES, bytecode=bytecode)


def _request(
    family: int, states: int, *, bytecode: bytes = b"", port: int = 0, key: SocketKey | None = None
) -> bytes:
    """Ask for all sockets in these states, for those with this destination port, or for the one with this key."""
    attribute = _ATTRIBUTE.pack(4 + len(bytecode), _INET_DIAG_REQ_BYTECODE) + bytecode if bytecode else b""
    flags = _REQUEST | (_DUMP if key is None else 0)
    ends = struct.pack(">HH32x", 0, port) if key is None else key
    head = (_SOCK_DIAG_BY_FAMILY, flags, 1, 0, family, socket.IPPROTO_TCP, 1 << (_INET_DIAG_INFO - 1), 0)
    size = _REQUEST_LAYOUT.size + len(attribute)
    parts = (ends[:4], ends[4:20], ends[20:])
    return _REQUEST_LAYOUT.pack(size, *head, states, *parts, 0, *_ANY_COOKIE) + attribute


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


def _open_sample(buffer: bytearray, offset: int, length: int) -> Sample | None:
    found = _counters(buffer, offset, length)
    return None if found is None else _sample(buffer, offset, found, payload_of_open(found))


def _sample(buffer: bytearray, offset: int, found: Counters, payload: tuple[int, int]) -> Sample:
    cookie, inode = _COOKIE_AND_INODE.unpack_from(buffer, offset + _COOKIE)
    return Sample(_key(buffer, offset), *payload, cookie, inode, found.acked > 0)


def _counters(buffer: bytearray, offset: int, length: int) -> Counters | None:
    info = _info(buffer, offset, length)
    if info is None:
        return None
    size, _ = _ATTRIBUTE.unpack_from(buffer, info)
    queues = _QUEUES.unpack_from(buffer, offset + _AT_QUEUES)
    return counters_of(buffer[offset + _STATE], queues, buffer, info + 4, size - 4)


def _info(buffer: bytearray, offset: int, length: int) -> int | None:
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
def _layout(length: int, info: int) -> struct.Struct:
    """Describe a message whose counters are in the attribute at ``info``: its key and its counters."""
    between = info + 4 + _BYTES_IN_TCP_INFO - _KEY - _KEY_SIZE
    rest = length - info - 4 - _BYTES_IN_TCP_INFO - _BYTES_SIZE
    return struct.Struct(f"={_KEY}x{_KEY_SIZE}s{between}x{_BYTES_SIZE}s{rest}x")


def _key(buffer: bytearray, offset: int) -> SocketKey:
    return SocketKey(buffer[offset + _KEY : offset + _KEY + _KEY_SIZE])
