"""The host's wishes about the relay, carried out; loaded with the first tunnel that needs the relay."""

from __future__ import annotations

import contextlib
import resource

from frp_wrapper.sidecar.relay import Relay
from frp_wrapper.sidecar.slots import Slots
from frp_wrapper.sidecar.wire import Message


def execute(relay: Relay | None, message: Message) -> tuple[Relay | None, Message]:
    """Do what a ``relay_*`` message asks; give the relay (started by the first need) and the answer.

    Raises:
        OSError: The port cannot be bound, or the system has no epoll.
    """
    if message["op"] == "relay_open":
        if relay is None:
            _allow_descriptors()
            relay = Relay(Slots(message["counters"], message["slots"]))
        host, port = message["target"]
        bound = relay.open(
            message["name"],
            (host, port),
            slot=message["slot"],
            port=message["port"],
            proxy_protocol=message["proxy_protocol"],
        )
        return relay, {"port": bound}
    if relay is None:
        return relay, {"open": [], "recent": [], "rows": [], "lost": 0}
    if message["op"] == "relay_news":
        return relay, relay.news.take(opened=message["opened"])
    if message["op"] == "relay_close":
        relay.close(message["name"])
        return relay, {}
    name = message["name"]
    return relay, {"open": relay.connections(name), "recent": relay.recent(name)}


def _allow_descriptors() -> None:
    """Have all descriptors that the system grants: a connection takes two, and 1,024 are the usual limit at first."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS grants less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
