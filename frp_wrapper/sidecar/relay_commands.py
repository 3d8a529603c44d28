"""The host's wishes about the relay, carried out; loaded with the first tunnel that needs the relay."""

from __future__ import annotations

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
            relay = Relay(Slots(message["counters"], message["slots"]))
        return relay, {"port": _open(relay, message)}
    if relay is None:
        return relay, {"open": [], "rows": [], "lost": 0, "forgotten": 0}
    if message["op"] == "relay_news":
        return relay, relay.news.take(opened=message["opened"])
    if message["op"] == "relay_close":
        relay.close(message["name"])
        return relay, {}
    return relay, {"open": relay.connections(message["name"])}


def _open(relay: Relay, message: Message) -> int:
    host, port = message["target"]
    opening = relay.open_udp if message["datagrams"] else relay.open
    return opening(message["name"], (host, port), **message["options"])
