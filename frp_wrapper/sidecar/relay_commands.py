"""The host's wishes about the relay, carried out; loaded with the first tunnel that needs the relay."""

from __future__ import annotations

import contextlib
import os
import resource
import signal

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
            relay = Relay(Slots(message["counters"], message["slots"]), _give_up)
        return relay, {"port": _open(relay, message)}
    if relay is None:
        return relay, {"open": [], "rows": [], "more": False, "lost": 0, "forgotten": 0}
    if message["op"] == "relay_news":
        return relay, relay.news.take(opened=message["opened"])
    if message["op"] == "relay_close":
        relay.close(message["name"])
        return relay, {}
    return relay, {"open": relay.connections(message["name"])}


def _give_up() -> None:
    """End the whole process, so that the host starts another with a relay that works; the counters stay."""
    os.kill(os.getpid(), signal.SIGKILL)


def _open(relay: Relay, message: Message) -> int:
    host, port = message["target"]
    options = {name: message[name] for name in ("slot", "port", "proxy_protocol")} | message.get(
        "options", {}
    )
    opening = relay.open_udp if message.get("datagrams") else relay.open
    return opening(message["name"], (host, port), **options)


def _allow_descriptors() -> None:
    """Have all descriptors that the system grants: a connection takes two, and 1,024 are the usual limit at first."""
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    with contextlib.suppress(ValueError, OSError):  # macOS grants less than it says
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
