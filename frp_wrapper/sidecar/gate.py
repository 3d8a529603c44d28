"""One relayed tunnel of connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from frp_wrapper.sidecar.admission import Admission
from frp_wrapper.sidecar.health_checks import HealthCheck
from frp_wrapper.sidecar.news import describe
from frp_wrapper.sidecar.slots import Slots
from frp_wrapper.sidecar.targets import Targets

if TYPE_CHECKING:
    from frp_wrapper.sidecar.link import Link


class Gate:
    """One relayed tunnel: where it listens, where it leads, and its connections."""

    def __init__(
        self,
        name: str,
        listener: socket.socket,
        targets: Targets,
        slot: int,
        *,
        proxy_protocol: str,
        admission: Admission | None,
        health_check: HealthCheck | None,
    ) -> None:
        self.name = name
        self.listener = listener
        self.targets = targets
        self.slot = slot
        self.proxy_protocol = proxy_protocol
        """``strip``: frpc sends the header, the service must not see it; ``keep``: it wants it; ``none``: none comes."""
        self.is_open = True
        """Once it is closed its slot may be another tunnel's: what its last connections carry is not counted."""
        self.admission = admission
        self.health_check = health_check
        self.is_open_to_all = proxy_protocol == "none" and admission is None and health_check is None
        """Nothing has to be known of a connection before it goes on to the service."""
        self.links: set[Link] = set()
        self.open_now = 0
        """Visitors' connections."""
        self.connections = self.sent = self.received = 0
        """What is not in the shared counters yet: they are written once for all that one look at the sockets brought."""

    def tell(self, slots: Slots) -> None:
        """Write what has come since the last time into the shared counters."""
        if self.is_open:
            slots.went_on(
                self.slot,
                connections=self.connections,
                open_now=self.open_now,
                sent=self.sent,
                received=self.received,
            )
        self.connections = self.sent = self.received = 0

    def describe(self) -> list[dict[str, Any]]:
        """Describe the visitors' connections; may be called from another thread."""
        return [describe(link.row()) for link in list(self.links) if link.counted]
