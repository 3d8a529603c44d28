"""The description of the HTTP interface that is served as ``/openapi.json``; a test holds it against the routes."""

from __future__ import annotations

from typing import Any

from frp_wrapper._version import __version__
from frp_wrapper.monitoring.events import EventType
from frp_wrapper.monitoring.history import SERIES
from frp_wrapper.monitoring.log_ring import LEVELS
from frp_wrapper.monitoring.web_api.guard import OPEN
from frp_wrapper.monitoring.web_api.schemas import NAME, SCHEMAS, Schema, ref

__all__ = ["document"]

_BIG = 2**63 - 1
_ERRORS = {
    400: "Something in it is not valid.",
    401: "The token is missing or wrong.",
    403: "Not for this host, origin or content.",
    404: "There is no such thing.",
    408: "The body did not come.",
    409: "It cannot be done in this state.",
    413: "The body is too long.",
    415: "The body is not JSON.",
    502: "frp refuses it.",
    503: "Too many ask at once.",
    504: "frpc does not answer.",
}


def document(server: str) -> Schema:
    """Give the description.

    Args:
        server: Where the paths begin.
    """
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "frp_wrapper dashboard",
            "version": __version__,
            "description": "Bytes are integers, durations seconds, times UTC; what is not known is null.",
        },
        "servers": [{"url": server or "/"}],
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _paths() -> dict[str, dict[str, Schema]]:
    tunnel = _in_path("id", NAME)
    limit = _whole("limit", 1, 1000)
    tunnel_id = _in_query("tunnel_id", {"type": "string"})
    step = _whole("step", 0, 3600)
    chart = (_whole("range", 60, 86400), step)
    return {
        "/": {"get": _get("/", "The page.", _content("text/html"), _in_query("token", {"type": "string"}))},
        "/assets/{path}": {
            "get": _get(
                "/assets/", "A file of the page.", _content("*/*"), _in_path("path", {"type": "string"})
            )
        },
        "/healthz": {"get": _get("/healthz", "This process answers.", _json("Health"))},
        "/readyz": {"get": _get("/readyz", "All is up.", _json("Readiness"), more={503: _json("Readiness")})},
        "/api/status": {"get": _get("/api/status", "How all is, in short.", _json("Status"))},
        "/api/tunnels": {
            "get": _get("", "How all is.", _json("Tunnels")),
            "post": _operation(
                "Open a tunnel.",
                {201: _json("Tunnel")},
                errors=(400, 401, 403, 408, 409, 413, 415, 502, 504),
                body="TunnelOptions",
            ),
        },
        "/api/tunnels/{id}": {
            "get": _get(
                "", "How a tunnel is, and what frps has counted of it.", _json("TunnelWithServer"), tunnel
            ),
            "delete": _operation("Close a tunnel.", {204: {}}, tunnel, errors=(401, 403, 404, 409, 502, 504)),
        },
        "/api/tunnels/{id}/restart": {
            "post": _operation(
                "Restart a tunnel.",
                {202: _json("Tunnel")},
                tunnel,
                errors=(400, 401, 403, 404, 409, 502, 504),
            )
        },
        "/api/tunnels/{id}/connections": {
            "get": _get("", "Who is and was connected.", _json("Connections"), tunnel)
        },
        "/api/tunnels/{id}/metrics": {
            "get": _get("", "The past of a tunnel.", _json("Chart"), tunnel, *chart)
        },
        "/api/tunnels/{id}/usage": {
            "get": _get("", "What a tunnel has moved today, this month and by day.", _json("Usage"), tunnel)
        },
        "/api/metrics": {
            "get": _get(
                "",
                "The past of many tunnels over the same points.",
                _json("Charts"),
                _in_query("ids", _list(NAME, 100), required=True),
                _in_query("series", _list({"enum": list(SERIES)}, len(SERIES))),
                *chart,
            )
        },
        "/api/events": {
            "get": _get(
                "",
                "What has happened, oldest first.",
                _json("Events"),
                _in_query("type", {"enum": [kind.value for kind in EventType]}),
                tunnel_id,
                _whole("after", 0, _BIG),
                limit,
            )
        },
        "/api/alerts": {"get": _get("", "Alerts and silences.", _json("Alerts"))},
        "/api/silences": {
            "post": _operation(
                "Silence alerts for some time.",
                {201: _json("Silence")},
                errors=(400, 401, 403, 408, 409, 413, 415),
                body="SilenceOptions",
            )
        },
        "/api/silences/{id}": {
            "delete": _operation(
                "End a silence.", {204: {}}, _in_path("id", {"type": "string"}), errors=(401, 403, 404)
            )
        },
        "/api/logs": {
            "get": _get(
                "",
                "The last lines of frpc, oldest first.",
                _json("LogLines"),
                _in_query("level", {"enum": list(LEVELS)}),
                tunnel_id,
                _in_query("q", {"type": "string"}),
                _whole("before", 0, _BIG),
                limit,
            )
        },
        "/api/stream": {
            "get": _get(
                "",
                "Live: hello, snapshot, then delta, event, alerts and log, and bye at the end.",
                _content("text/event-stream"),
                _in_query("logs", {"enum": ["0", "1"]}),
                _in_query("last_id", {"type": "string"}),
                more={503: _json("Error")},
            )
        },
        "/metrics": {
            "get": _get("", "For Prometheus.", _content("text/plain", "application/openmetrics-text"))
        },
        "/openapi.json": {"get": _get("", "This.", _content("application/json"))},
    }


def _get(path: str, summary: str, content: Schema, *parameters: Schema, more: Any = None) -> Schema:
    """Describe a GET; ``path`` is given where it is open without the token."""
    is_open = path in OPEN
    errors = [403] if is_open and path != "/api/status" else [401, 403]
    errors += [400] if any(parameter["in"] == "query" for parameter in parameters) else []
    errors += [404] if any(parameter["in"] == "path" for parameter in parameters) else []
    operation = _operation(summary, {200: content, **(more or {})}, *parameters, errors=tuple(errors))
    return {**operation, "security": [{}, {"token": []}]} if is_open else operation


def _operation(
    summary: str,
    answers: dict[int, Schema],
    *parameters: Schema,
    errors: tuple[int, ...],
    body: str | None = None,
) -> Schema:
    responses: dict[str, Schema] = {
        str(status): {"description": summary} | ({"content": content} if content else {})
        for status, content in answers.items()
    }
    for status in errors:
        responses.setdefault(str(status), {"description": _ERRORS[status], "content": _json("Error")})
    operation: Schema = {
        "summary": summary,
        "parameters": list(parameters),
        "responses": responses,
        "security": [{"token": []}],
    }
    if body is not None:
        operation["requestBody"] = {"required": True, "content": _json(body)}
    return operation


def _json(name: str) -> Schema:
    return {"application/json": {"schema": ref(name)}}


def _content(*kinds: str) -> Schema:
    return {kind: {} for kind in kinds}


def _list(items: Schema, most: int) -> Schema:
    return {"type": "array", "items": items, "minItems": 1, "maxItems": most}


def _in_path(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str, schema: Schema, *, required: bool = False) -> Schema:
    parameter = {"name": name, "in": "query", "required": required, "schema": schema}
    return {**parameter, "style": "form", "explode": False} if schema.get("type") == "array" else parameter


def _whole(name: str, least: int, most: int) -> Schema:
    return _in_query(name, {"type": "integer", "minimum": least, "maximum": most})
