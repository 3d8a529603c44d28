"""The shapes of what is asked and answered, as JSON schemas."""

from __future__ import annotations

import types
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from frp_wrapper.config import HealthCheck, TunnelConfig
from frp_wrapper.metering.server_counters import ServerCounters
from frp_wrapper.metering.usage import Traffic
from frp_wrapper.metering.visitors import VisitorTotals
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.history import SERIES
from frp_wrapper.monitoring.metrics import TunnelMetrics
from frp_wrapper.monitoring.web_api.views import SPECIFIED_NUMBERS

__all__ = ["SCHEMAS", "ref"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WORD: Schema = {"type": "string", "minLength": 1, "maxLength": 200}
TIME: Schema = {"type": "string", "format": "date-time"}
COUNT: Schema = {"type": "integer", "minimum": 0}
NUMBER: Schema = {"type": "number"}
FLAG: Schema = {"type": "boolean"}
NAME: Schema = {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,100}$"}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
TUNNEL_TYPES = ("tcp", "udp", "http", "https", "tcpmux", "stcp", "sudp", "xtcp")


def ref(name: str) -> Schema:
    """Give a reference to a schema by its name."""
    return {"$ref": f"#/components/schemas/{name}"}


def null(schema: Schema) -> Schema:
    """Give a schema that null fits too."""
    return {"anyOf": [schema, {"type": "null"}]}


def many(schema: Schema) -> Schema:
    """Give a schema of lists."""
    return {"type": "array", "items": schema}


def record(**members: Schema) -> Schema:
    """Give a schema of objects that have all these members, and maybe more in later versions."""
    return {"type": "object", "properties": members, "required": list(members)}


def of_class(kind: type, names: Sequence[str] = ()) -> Schema:
    """Give the schema of a dataclass as it is answered, or of some of its fields."""
    hints = get_type_hints(kind)
    wanted = names or [field.name for field in fields(kind)]
    return record(**{name: _of_type(hints[name]) for name in wanted})


def _of_type(hint: Any) -> Schema:
    simple = {int: COUNT, float: NUMBER, str: TEXT, bool: FLAG, datetime: TIME, type(None): {"type": "null"}}
    if hint in simple:
        return simple[hint]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return {"anyOf": [_of_type(argument) for argument in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of_type(arguments[1])}
    if is_dataclass(hint) and isinstance(hint, type):
        return of_class(hint)
    return {}


def options_of_a_tunnel() -> Schema:
    """Give the schema of what opens a tunnel: the options of `TunnelConfig` without the plugin, and ``path``."""
    special: dict[str, Schema] = {
        "type": {"enum": list(TUNNEL_TYPES)},
        "name": NAME,
        "local_port": PORT,
        "path": {"type": "string", "description": "For http: the first part of the path."},
        "health_check": null(_options(HealthCheck, {})),
    }
    return _options(TunnelConfig, special) | {"required": ["type", "local_port"]}


def _options(kind: type, special: Mapping[str, Schema]) -> Schema:
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind) if field.name not in ("tunnel_type", "plugin")]
    properties = {name: _of_option(hints[name]) for name in names} | dict(special)
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _of_option(hint: Any) -> Schema:
    if get_origin(hint) in (Union, types.UnionType):
        return {"anyOf": [_of_option(argument) for argument in get_args(hint)]}
    if str(hint).startswith("collections.abc.Sequence"):
        return many(TEXT)
    return _of_type(hint)


FAILURE = null(record(reason=TEXT, message=TEXT, hint=null(TEXT)))
SERIES_OF_NUMBERS = many(null(NUMBER))
TRAFFIC = record(**dict.fromkeys(Traffic._fields, COUNT))
SILENCE = record(id=TEXT, rule=null(TEXT), tunnel_id=null(TEXT), seconds_left=NUMBER)

SCHEMAS: dict[str, Schema] = {
    "Error": record(error=record(code=TEXT, message=TEXT, hint=null(TEXT))),
    "TunnelMetrics": of_class(TunnelMetrics),
    "SpecifiedMetrics": of_class(TunnelMetrics, SPECIFIED_NUMBERS),
    "Status": record(
        client=record(connected=FLAG, server=TEXT, uptime=NUMBER),
        tunnels=many(
            record(
                id=TEXT,
                type=TEXT,
                local_port=null(COUNT),
                url=null(TEXT),
                status=TEXT,
                metrics=null(ref("SpecifiedMetrics")),
            )
        ),
    ),
    "Client": record(
        server=TEXT,
        port=COUNT,
        connected=FLAG,
        uptime=NUMBER,
        login_error=FAILURE,
        server_latency=null(NUMBER),
        server_dashboard=FLAG,
        server_counters_error=FAILURE,
        frpc_pid=null(COUNT),
        frp_version=null(TEXT),
        dropped_events=COUNT,
        dropped_output=COUNT,
    ),
    "Tunnel": record(
        id=TEXT,
        type={"enum": [*TUNNEL_TYPES, "unknown"]},
        local_host=TEXT,
        local_port=null(COUNT),
        url=null(TEXT),
        urls=many(TEXT),
        status={"enum": ["starting", "online", "offline", "error", "closed", "unknown"]},
        error=FAILURE,
        meter=TEXT,
        uptime=NUMBER,
        metrics=ref("TunnelMetrics"),
    ),
    "ServerCounters": of_class(ServerCounters),
    "TunnelWithServer": {
        "allOf": [ref("Tunnel"), record(server_counters=null(ref("ServerCounters")))],
    },
    "Tunnels": record(as_of=TIME, client=ref("Client"), tunnels=many(ref("Tunnel"))),
    "Connection": record(
        id=TEXT,
        visitor=null(TEXT),
        opened_at=TIME,
        closed_at=null(TIME),
        bytes_sent=null(COUNT),
        bytes_received=null(COUNT),
        duration=NUMBER,
        local_address=null(TEXT),
        error=null(TEXT),
        sent_per_second=null(NUMBER),
        received_per_second=null(NUMBER),
        reason=null(TEXT),
        connect_seconds=null(NUMBER),
        first_byte_seconds=null(NUMBER),
    ),
    "Connections": record(
        open=many(ref("Connection")),
        recent=many(ref("Connection")),
        visitors=many(of_class(VisitorTotals)),
    ),
    "Usage": record(
        tunnel_id=TEXT,
        today=null(TRAFFIC),
        this_month=null(TRAFFIC),
        days={"type": "object", "additionalProperties": TRAFFIC},
    ),
    "Chart": record(
        tunnel_id=TEXT,
        range=COUNT,
        step=COUNT,
        time=many(COUNT),
        series=record(**dict.fromkeys(SERIES, SERIES_OF_NUMBERS)),
    ),
    "Charts": record(
        range=COUNT,
        step=COUNT,
        time=many(COUNT),
        tunnels={
            "type": "object",
            "additionalProperties": {"type": "object", "additionalProperties": SERIES_OF_NUMBERS},
        },
    ),
    "Event": record(
        id=COUNT, at=TIME, type={"enum": [kind.value for kind in EventType]}, data={"type": "object"}
    ),
    "Events": record(events=many(ref("Event")), first_id=null(COUNT), last_id=null(COUNT)),
    "Alerts": record(
        alerts=many(
            record(
                rule=TEXT,
                tunnel_id=TEXT,
                state={"enum": ["pending", "firing"]},
                value=null(NUMBER),
                limit=NUMBER,
                seconds=NUMBER,
                since=TIME,
                silenced=FLAG,
            )
        ),
        silences=many(ref("Silence")),
    ),
    "Silence": SILENCE,
    "LogLines": record(
        lines=many(record(id=COUNT, at=TIME, level=TEXT, type=TEXT, tunnel_id=null(TEXT), message=TEXT)),
        more=FLAG,
        dropped=COUNT,
    ),
    "Health": record(status=TEXT),
    "Readiness": record(ready=FLAG, reasons=many(TEXT)),
    "TunnelOptions": options_of_a_tunnel(),
    "SilenceOptions": {
        "type": "object",
        "properties": {
            "seconds": {"type": "number", "exclusiveMinimum": 0, "maximum": 30 * 24 * 3600},
            "rule": null(WORD),
            "tunnel_id": null(WORD),
        },
        "required": ["seconds"],
        "additionalProperties": False,
    },
}
