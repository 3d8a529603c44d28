"""What can happen: the types of events, and for each when it comes, what it tells, and what to do.

The reference page (docs/event-types.md) is written from here, and a test holds every event that is emitted to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Any

__all__ = [
    "CONNECTION_EVENTS",
    "DEFINITIONS",
    "PER_CONNECTION",
    "EventDefinition",
    "EventType",
    "connection_data",
]


class EventType(Enum):
    """What can happen; `DEFINITIONS` explains each."""

    TUNNEL_CREATED = "tunnel_created"
    TUNNEL_CONNECTED = "tunnel_connected"
    TUNNEL_DISCONNECTED = "tunnel_disconnected"
    TUNNEL_ERROR = "tunnel_error"
    TUNNEL_CLOSED = "tunnel_closed"
    CLIENT_CONNECTED = "client_connected"
    CLIENT_DISCONNECTED = "client_disconnected"
    METRIC_THRESHOLD = "metric_threshold"
    CLIENT_RECONNECTING = "client_reconnecting"
    TUNNEL_FLAPPING = "tunnel_flapping"
    HEALTH_CHANGED = "health_changed"
    CONNECTION_OPENED = "connection_opened"
    CONNECTION_CLOSED = "connection_closed"
    CONNECTION_FAILED = "connection_failed"
    CONNECTION_REFUSED = "connection_refused"


PER_CONNECTION = frozenset(
    {
        EventType.CONNECTION_OPENED,
        EventType.CONNECTION_CLOSED,
        EventType.CONNECTION_FAILED,
        EventType.CONNECTION_REFUSED,
    }
)
"""Types of which there may be thousands a second; they are made only while a handler wants them."""
CONNECTION_EVENTS: Mapping[str, EventType] = MappingProxyType(
    {
        "opened": EventType.CONNECTION_OPENED,
        "closed": EventType.CONNECTION_CLOSED,
        "broken": EventType.CONNECTION_CLOSED,
        "failed": EventType.CONNECTION_FAILED,
        "refused": EventType.CONNECTION_REFUSED,
    }
)
"""The event for what a meter tells of a connection."""


@dataclass(frozen=True, slots=True)
class EventDefinition:
    """The manual of one type.

    Attributes:
        type: Which.
        when: When it is emitted.
        data: What each further key of the data means.
        todo: What its reader should do.
        about_tunnel: Whether the data has the keys of `TUNNEL_DATA` too.
    """

    type: EventType
    when: str
    data: Mapping[str, str] = field(default_factory=dict)
    todo: str = "Nothing."
    about_tunnel: bool = True


TUNNEL_DATA: Mapping[str, str] = MappingProxyType(
    {
        "tunnel_id": "The name of the tunnel or visitor.",
        "tunnel_type": "`tcp`, `http` and so on.",
        "local_port": "Where it leads; None with a plugin.",
        "url": "Where visitors reach it; None until frps has told, and for secret types.",
    }
)
"""What every event about a tunnel tells (one about a visitor of a secret tunnel: only its ``tunnel_id``)."""

_CAUSE = (
    "`server_lost` (the connection ended), `server_silent` (it stands, but nothing comes through), `frpc_ended`, "
    "`restarted` (by its owner), `closed`."
)
_REASON = {"error": "What was said.", "reason": "A code of docs/errors.md.", "hint": "What to do."}
_CONNECTION = {
    "visitor": "The visitor's `address:port`; None where nothing tells it (the relay does).",
    "local_address": "The `address:port` that the local service sees as its peer.",
}

_DEFINITIONS = (
    EventDefinition(EventType.TUNNEL_CREATED, "A tunnel was asked for; frps has not answered yet."),
    EventDefinition(
        EventType.TUNNEL_CONNECTED,
        "A tunnel is reachable, for the first time or again.",
        todo="The `url` may be another one when frps chooses the port.",
    ),
    EventDefinition(
        EventType.TUNNEL_DISCONNECTED,
        "A tunnel that was reachable is not: the server or frpc is away.",
        {"cause": _CAUSE},
        "Nothing: it comes back by itself.",
    ),
    EventDefinition(
        EventType.TUNNEL_ERROR,
        "The server refuses the tunnel, its health check fails, or nothing listens where it leads.",
        _REASON,
        "What the `hint` says; it is tried again by itself.",
    ),
    EventDefinition(EventType.TUNNEL_CLOSED, "Its owner closed the tunnel."),
    EventDefinition(
        EventType.CLIENT_CONNECTED,
        "The client is logged in, for the first time or again, or a server that was silent answers.",
        {"server": "The server's host.", "logins": "How often frpc has logged in so far."},
        about_tunnel=False,
    ),
    EventDefinition(
        EventType.CLIENT_DISCONNECTED,
        "The client was logged in and is not.",
        {"server": "The server's host.", "cause": _CAUSE},
        "Look at the server and the network if it lasts.",
        about_tunnel=False,
    ),
    EventDefinition(
        EventType.METRIC_THRESHOLD,
        "An alert of a monitor fires or is resolved.",
        {
            "tunnel_id": "The tunnel.",
            "alert": "The name of the rule.",
            "state": "`firing` or `resolved`.",
            "value": "What was measured last.",
            "limit": "What it must not be above.",
            "seconds": "For how long the condition has held.",
            "since": "When it began to hold (UTC).",
        },
        "Look at the tunnel; silence the rule while you work on it.",
        about_tunnel=False,
    ),
    EventDefinition(
        EventType.CLIENT_RECONNECTING,
        "A login has failed; frpc tries again.",
        {"server": "The server's host.", "attempt": "Failed logins in a row.", **_REASON},
        "What the `hint` says, if it lasts.",
        about_tunnel=False,
    ),
    EventDefinition(
        EventType.TUNNEL_FLAPPING,
        "A tunnel goes and comes again and again; not told again until it has been steady.",
        {"changes": "Changes between reachable and not.", "seconds": "Within how many seconds."},
        "Look at the network, the server and the local service: one of them is not steady.",
    ),
    EventDefinition(
        EventType.HEALTH_CHANGED,
        "The local service has stopped or begun to accept connections or to pass its health check.",
        {
            "healthy": "True or False.",
            "reason": "`local_service_down` or `health_check_failed`; None when healthy.",
            "hint": "What to do; None when healthy.",
        },
        "Look at the local service.",
    ),
    EventDefinition(
        EventType.CONNECTION_OPENED,
        "frpc has handed a visitor's connection to the local service.",
        _CONNECTION,
    ),
    EventDefinition(
        EventType.CONNECTION_CLOSED,
        "A visitor's connection has ended.",
        {
            **_CONNECTION,
            "duration": "Seconds that it was open.",
            "bytes_sent": "Payload bytes to the visitor; None: not measured.",
            "bytes_received": "Payload bytes from the visitor; None: not measured.",
            "error": "Why it was broken off; None: it was not.",
        },
    ),
    EventDefinition(
        EventType.CONNECTION_FAILED,
        "The local service did not take a visitor's connection.",
        {**_CONNECTION, "error": "What was said."},
        "Look at the local service.",
    ),
    EventDefinition(
        EventType.CONNECTION_REFUSED,
        "The relay did not let a visitor in, by the rules of the tunnel.",
        {
            **_CONNECTION,
            "error": "Why, in words.",
            "reason": "`visitor_not_allowed`, `visitor_unknown`, `connection_limit`, `connection_rate` or `visitor_rate`.",
        },
        "Nothing, if the rules are as they should be.",
    ),
)

DEFINITIONS: Mapping[EventType, EventDefinition] = MappingProxyType(
    {definition.type: definition for definition in _DEFINITIONS}
)
"""Every type's manual."""


def connection_data(event_type: EventType, connection: object) -> dict[str, Any]:
    """Give the data of an event about a connection from the attributes of the same names."""
    return {key: getattr(connection, key) for key in DEFINITIONS[event_type].data}
