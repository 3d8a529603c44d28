"""One relayed tunnel of connections."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from frp_wrapper.sidecar.admission import Admission
from frp_wrapper.sidecar.health_checks import HealthCheck
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
        self.links: set[Link] = set()

    def connections(self) -> list[dict[str, Any]]:
        """Describe the visitors' connections; may be called from another thread."""
        return [link.describe() for link in list(self.links) if link.counted]
