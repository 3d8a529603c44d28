"""Whether local services accept connections: asked of the kernel where it can tell, by a connection where it cannot.

The kernel lists who listens, so a service that is up is never bothered. Only one that seems to be down, or of which a
visitor's connection has failed, is tried by a connection.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from frp_wrapper._ticker import Ticker
from frp_wrapper.metering.sockdiag import Dumper
from frp_wrapper.tunnel import Tunnel

_INTERVAL = 1.0
"""Seconds between two looks."""
_TRY_TIMEOUT = 0.5
"""Seconds that a service may take to accept a connection, unless the kernel knows that it listens."""
_MOST_TRIES = 256
"""Services tried in one look; the others have their turn with the next."""
_ANYWHERE = bytes(16)

Address = tuple[str, int]
Listeners = set[tuple[int, bytes]]


class ServiceWatch:
    """Looks once a second, on a thread named ``frp-wrapper-services-NAME``.

    Args:
        name: For the thread's name.
        tunnels: Gives the tunnels of this moment.
        tell: Told what was found, whether new or not: the tunnel, and whether its service accepts connections.
        trying: Handed each socket that is about to try a service.
    """

    def __init__(
        self,
        name: str,
        tunnels: Callable[[], Sequence[Tunnel]],
        tell: Callable[[Tunnel, bool], None],
        trying: Callable[[socket.socket], None] = lambda _: None,
    ) -> None:
        self._tunnels = tunnels
        self._tell = tell
        self._trying = trying
        self._kernel: Dumper | None = None
        self._errors: dict[str, int] = {}
        self._turn = 0
        self._hidden: set[str] = set()
        """Tunnels whose service answers although the kernel sees none: it is in another network namespace."""
        self._ticker = Ticker(f"services-{name}", _INTERVAL, self._look)

    def start(self) -> None:
        """Start the thread."""
        with contextlib.suppress(OSError):  # no sock_diag here: connections tell
            self._kernel = Dumper()
        self._ticker.start()

    def stop(self) -> None:
        """End the thread."""
        if self._ticker.stop() and self._kernel is not None:
            self._kernel.close()

    def _look(self) -> None:
        tunnels = {tunnel.id: tunnel for tunnel in self._tunnels() if _can_be_watched(tunnel)}
        self._forget_all_but(tunnels.keys())
        heard = self._kernel.listening() if self._kernel is not None else None
        doubtful = []
        for tunnel in tunnels.values():
            if not self._can_be_seen(tunnel, heard):
                doubtful += [tunnel] if self._has_failed_since(tunnel) or not tunnel.service_is_up else []
            elif _is_heard(tunnel, heard):
                self._tell(tunnel, True)
            else:
                doubtful.append(tunnel)
        doubtful = self._next_turn(doubtful)
        accepting = _accepting({_address(tunnel) for tunnel in doubtful}, self._trying)
        for tunnel in doubtful:
            is_up = _address(tunnel) in accepting
            if is_up and heard is not None:
                self._hidden.add(tunnel.id)
            self._tell(tunnel, is_up)

    def _can_be_seen(self, tunnel: Tunnel, heard: Listeners | None) -> bool:
        """Say whether the kernel's list tells of a service."""
        return (
            heard is not None and _packed(_address(tunnel)[0]) is not None and tunnel.id not in self._hidden
        )

    def _next_turn(self, doubtful: list[Tunnel]) -> list[Tunnel]:
        """Give as many as are tried in one look, others each time."""
        if len(doubtful) <= _MOST_TRIES:
            return doubtful
        start = self._turn % len(doubtful)
        self._turn += _MOST_TRIES
        return (doubtful[start:] + doubtful[:start])[:_MOST_TRIES]

    def _has_failed_since(self, tunnel: Tunnel) -> bool:
        """Say whether connections of visitors have failed since the last look."""
        counts = tunnel.counts
        errors = counts.errors if counts is not None else 0
        before, self._errors[tunnel.id] = self._errors.get(tunnel.id, 0), errors
        return errors > before

    def _forget_all_but(self, names: Collection[str]) -> None:
        self._errors = {name: count for name, count in self._errors.items() if name in names}
        self._hidden &= set(names)


def _is_heard(tunnel: Tunnel, heard: Listeners | None) -> bool:
    host, port = _address(tunnel)
    return heard is not None and bool({(port, _packed(host)), (port, _ANYWHERE)} & heard)


def _can_be_watched(tunnel: Tunnel) -> bool:
    """Say whether it leads to a TCP service that frpc itself does not check."""
    config = tunnel.config
    has_service = config.plugin is None and config.local_port is not None
    return has_service and config.tunnel_type not in ("udp", "sudp") and config.health_check is None


def _address(tunnel: Tunnel) -> Address:
    assert tunnel.config.local_port is not None
    return tunnel.config.local_host, tunnel.config.local_port


def _packed(host: str) -> bytes | None:
    """Give a loopback address as the kernel writes it; None for names and other machines."""
    if host == "localhost":
        host = "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return address.packed.ljust(16, b"\0") if address.is_loopback else None


def _accepting(addresses: Collection[Address], trying: Callable[[socket.socket], None]) -> set[Address]:
    """Try to connect to all of these at once; give those that accept in time."""
    accepting = set()
    poll = select.poll()
    waiting: dict[int, tuple[Address, socket.socket]] = {}
    for address in addresses:
        with contextlib.suppress(OSError):  # an unknown host, or no descriptor
            trial = _begin(address, trying)
            waiting[trial.fileno()] = address, trial
            poll.register(trial, select.POLLOUT)
    deadline = time.monotonic() + _TRY_TIMEOUT
    while waiting and (left := deadline - time.monotonic()) > 0:
        for descriptor, _ in poll.poll(left * 1000):
            address, trial = waiting.pop(descriptor)
            poll.unregister(descriptor)
            if trial.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0:
                accepting.add(address)
            trial.close()
    _close_all(waiting)
    return accepting


def _begin(address: Address, trying: Callable[[socket.socket], None]) -> socket.socket:
    family, kind, protocol, _, target = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)[0]
    trial = socket.socket(family, kind, protocol)
    trial.setblocking(False)
    trying(trial)
    trial.connect_ex(target)
    return trial


def _close_all(waiting: Mapping[int, tuple[Address, socket.socket]]) -> None:
    for _, trial in waiting.values():
        trial.close()
