"""What the Linux kernel knows about TCP sockets: netlink sock_diag, without any privilege.

The kernel counts payload bytes for every TCP socket (``TCP_INFO``). A dump gives the counters of open sockets; a multicast
group gives the last counters of every socket that closes.
"""

from __future__ import annotations

import errno
import socket
import struct
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from frp_wrapper.metering.sock_message import (
    COOKIE,
    COUNTERS_IN_INFO,
    HEADER,
    STATE,
    Sample,
    SocketKey,
    counters_in,
    info_of,
    key_of,
    layout_of,
    open_sample,
    sample_of,
)
from frp_wrapper.metering.sock_request import (
    DONE,
    ERROR,
    FIN_WAIT2,
    LISTEN,
    MAX_FILTERED_PORTS,
    TCP_DESTROY_GROUPS,
    TIME_WAIT,
    attach_filter,
    leading_to,
    open_netlink,
    request,
)
from frp_wrapper.metering.tcp_payload import payload_of_closed

__all__ = ["DestroyEvents", "Dump", "Dumper", "LostEventsError"]

_CODE = struct.Struct("=i")


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
        self._socket = open_netlink()
        self._buffer = bytearray(1 << 17)
        self._view = memoryview(self._buffer)
        self._words = self._view.cast("I")
        self._is_amid_an_answer = False
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
            open_sample(self._buffer, at, run.step)
            for piece in pieces
            for run in self._runs(piece)
            for at in run
        )
        return [sample for sample in found if sample is not None]

    def present(self, ports: Collection[int], *, ipv6: bool) -> set[SocketKey]:
        """Give all sockets that lead to one of these ports."""
        pieces = self._leading_to(ports, ipv6=ipv6)
        return {key_of(self._buffer, at) for piece in pieces for run in self._runs(piece) for at in run}

    def listening(self) -> set[tuple[int, bytes]]:
        """Give port and address of every listening socket; the address as the kernel writes it, 16 bytes."""
        pieces = self._ask(request(family, LISTEN) for family in (socket.AF_INET, socket.AF_INET6))
        keys = (key_of(self._buffer, at) for piece in pieces for run in self._runs(piece) for at in run)
        return {(key.source_port, key.source) for key in keys}

    def close(self) -> None:
        """Close the netlink socket."""
        self._socket.close()

    def _leading_to(self, ports: Collection[int], *, ipv6: bool) -> Iterator[range]:
        families = (socket.AF_INET, socket.AF_INET6) if ipv6 else (socket.AF_INET,)
        return self._ask(leading_to(ports, family) for family in families)

    def _ask(self, requests: Iterable[bytes]) -> Iterator[range]:
        """Give where the answers lie in the buffer, piece by piece; each overwrites the one before.

        Where the first message begins, where the piece ends, and how long the first is: most often all are as long.
        """
        if self._is_amid_an_answer:
            # of a look that ended early: the kernel takes no other request before its end
            self._socket.close()
            self._socket = open_netlink()
        self._is_amid_an_answer = True
        for question in requests:
            self._socket.send(question)
            kind = 0
            while kind != DONE:
                size = self._socket.recv_into(self._buffer)
                length, kind = HEADER.unpack_from(self._buffer)
                if kind == ERROR:
                    raise OSError(-_CODE.unpack_from(self._buffer, 16)[0], "sock_diag refuses the request")
                if kind != DONE:
                    if HEADER.unpack_from(self._buffer, size - length) != (length, kind):
                        size, kind = self._end(size)
                    yield range(0, size, length)
        self._is_amid_an_answer = False

    def _end(self, size: int) -> tuple[int, int]:
        """Give where the last socket of a piece ends, whose messages are not alike, and what kind of message is the last."""
        at = kind = 0
        while at < size:
            length, kind = HEADER.unpack_from(self._buffer, at)
            if kind == DONE:
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
            piece = range(at, piece.stop, HEADER.unpack_from(self._buffer, at)[0])

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
        words, stop, step = self._words, piece.stop >> 2, piece.step >> 2
        acked = self._info_at.get(piece.step, 0) + COUNTERS_IN_INFO >> 2
        cookies = words[COOKIE >> 2 : stop : step].tobytes()
        return cookies + words[acked:stop:step].tobytes() + words[acked + 2 : stop : step].tobytes()

    def _look_through(self, piece: range, told: dict[SocketKey, bytes], dump: Dump) -> bool:
        """Find what has changed in a piece; True when its messages are alike, and every socket is of interest."""
        before, parts = dump.found, 0
        for run in self._runs(piece):
            rest = run
            while rest:
                info = info_of(self._buffer, rest.start, rest.step)
                alike = 1 if info is None else self._alike(info, rest)
                if info is not None:
                    self._info_at[rest.step] = info - rest.start
                    self._compare(rest[:alike], layout_of(rest.step, info - rest.start), told, dump)
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
            sample = open_sample(self._buffer, messages[number], messages.step)
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
        self._socket = open_netlink()
        self._socket.bind((0, TCP_DESTROY_GROUPS))
        self._socket.setblocking(False)
        self._questions = open_netlink()
        self._buffer = bytearray(1 << 16)

    def fileno(self) -> int:
        """Give the descriptor, for a selector."""
        return self._socket.fileno()

    def only(self, ports: Collection[int]) -> None:
        """Have the kernel drop the events of sockets that lead to other ports."""
        attach_filter(self._socket, ports if len(ports) <= MAX_FILTERED_PORTS else None)

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
            found = counters_in(self._buffer, 0, size)
            if found is not None:
                payload = payload_of_closed(found, partial(self._is_waiting, key_of(self._buffer, 0)))
                return sample_of(self._buffer, 0, found, payload)

    def close(self) -> None:
        """Close the netlink sockets."""
        self._socket.close()
        self._questions.close()

    def _is_waiting(self, key: SocketKey) -> bool:
        """Ask whether the kernel keeps the two ends of a socket in TIME_WAIT or FIN_WAIT2."""
        family = socket.AF_INET6 if any(key.source[4:]) else socket.AF_INET
        try:
            self._questions.send(request(family, TIME_WAIT | FIN_WAIT2, key=key))
            answer = self._questions.recv(4096)
        except OSError:  # out of memory: as if it were not there, which it seldom is
            return False
        _, kind = HEADER.unpack_from(answer)
        return kind != ERROR and bool(1 << answer[STATE] & (TIME_WAIT | FIN_WAIT2))


class LostEventsError(Exception):
    """The kernel had no room for some events."""
