"""The clients of this process, so that whoever watches need not be handed them."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Protocol

from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.metrics import TunnelMetrics

__all__ = ["Registry", "Watched", "WatchedTunnel", "default_registry"]


class WatchedTunnel(Protocol):
    """A tunnel as far as watching it goes."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def status(self) -> Enum:
        """How it is; the value is ``online``, ``offline``, ``error``, ``starting``, ``closed`` or ``unknown``."""

    @property
    def metrics(self) -> TunnelMetrics:
        """Its numbers, taken now."""


class Watched(Protocol):
    """A client as far as watching it goes."""

    def list_tunnels(self) -> Sequence[WatchedTunnel]:
        """Give the tunnels that are not closed."""

    def notify(self, event_type: EventType, data: Mapping[str, Any]) -> None:
        """Queue an event for the client's handlers."""


class Registry:
    """Holds clients weakly: one that is forgotten is gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: weakref.WeakSet[Watched] = weakref.WeakSet()

    def add(self, client: Watched) -> None:
        """Note a client that has connected."""
        with self._lock:
            self._clients.add(client)

    def remove(self, client: Watched) -> None:
        """Forget a client; one that is not there is no error."""
        with self._lock:
            self._clients.discard(client)

    def clients(self) -> list[Watched]:
        """Give the clients of this moment."""
        with self._lock:
            return list(self._clients)


default_registry = Registry()
"""Every connected `FRPClient` of this process."""
