"""Where a local service is: a name such as ``localhost`` may stand for several addresses, and it listens at one of them."""

from __future__ import annotations

import socket

Address = tuple[str, int]

_TRY_SECONDS = 0.2
"""How long an address may take to accept a connection when one is chosen among several."""


class Targets:
    """The addresses of one local service, the one to use first.

    Args:
        host: A name or an address.
        port: Its port.

    Raises:
        OSError: Nobody knows the name.
    """

    def __init__(self, host: str, port: int) -> None:
        self._addresses = addresses_of(host, port, socket.SOCK_STREAM)
        self.current = self._addresses[0]
        """The address to connect to."""
        self.family = int(family_of(self.current))
        """Its kind of socket; a number, which costs less than a member of an enumeration."""
        for _ in self._addresses[1:]:
            if _accepts(self.current):
                break
            self.turn()

    def turn(self) -> None:
        """Take the next address from now on: this one does not accept connections."""
        self._addresses = [*self._addresses[1:], self._addresses[0]]
        self.current = self._addresses[0]
        self.family = int(family_of(self.current))


def addresses_of(host: str, port: int, kind: socket.SocketKind) -> list[Address]:
    """Give what a name stands for, IPv4 before IPv6.

    Raises:
        OSError: Nobody knows the name.
    """
    found = [info[4] for info in socket.getaddrinfo(host, port, type=kind)]
    unique = dict.fromkeys((str(address[0]), int(address[1])) for address in found)
    return sorted(unique, key=family_of)


def family_of(address: Address) -> socket.AddressFamily:
    """Say which kind of socket leads to an address."""
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


def _accepts(address: Address) -> bool:
    try:
        socket.create_connection(address, timeout=_TRY_SECONDS).close()
    except OSError:
        return False
    return True
