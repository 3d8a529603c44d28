"""What a record means beyond the template of its message: where it comes from, why it failed, and texts of no template."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from frp_wrapper.monitoring._log_layout import tidy
from frp_wrapper.monitoring._templates import Catalogue, Template
from frp_wrapper.reasons import explain

__all__ = ["code_of", "guess", "is_of_transport", "place", "program_of", "program_of_tag", "reason_of"]

_PROGRAMS = {"client": "frpc", "visitor": "frpc", "health": "frpc", "server": "frps", "vhost": "frps"}
"""By the folder in the caller, where both programs print the same text."""
_TRANSPORT = re.compile(r"\[(?:ERR|WARN)\] (?:yamux|frp)")
_ELLIPSIS = re.compile(r"\.\.\.(?: |$)")
_MAX_TEXT = 4096
"""Characters of a message without a template that are looked at."""
_MAX_ERROR = 500
"""Characters of an error that are looked at for its reason."""
_MIN_CUT = 8
"""Letters that a message without a template must share with one before its meaning is guessed."""
_MIN_START = 4
"""Letters of a message that is nothing but the start of a template."""
_SPECIFIC = frozenset({"unknown_host", "plugin_error"})
"""Reasons that say more than what a template says of its errors in general."""


def program_of(caller: str | None) -> str | None:
    """Give the program that prints from a source file, where its folder tells."""
    return _PROGRAMS.get(caller.partition("/")[0]) if caller else None


def program_of_tag(tag: str | None) -> str | None:
    """Give the program that a tag of syslog or journald names."""
    name = (tag or "").rpartition("/")[2].lower()
    return next((program for program in ("frpc", "frps") if name.startswith(program)), None)


def is_of_transport(message: str) -> bool:
    """Say whether the library that carries the connections wrote this; up to v0.22 it did so past frp's log."""
    return _TRANSPORT.match(message) is not None


def place(record: dict[str, Any], template: Template) -> None:
    """Choose the event of a text that means one thing here and another there."""
    program, caller = record["program"], f"/{record['caller'] or ''}"
    for where, event in template.elsewhere.items():
        if where == program or where in caller:
            record["type"] = event


def reason_of(template: Template, record: dict[str, Any]) -> str:
    """Give the code of the reason behind a message that tells of a failure."""
    code = code_of(record["error"]) if "error" in record else "unknown"
    if code == "unknown" and template.event == "config_error":
        return "config_invalid"
    return code if template.reason is None or code in _SPECIFIC else template.reason


def code_of(text: str) -> str:
    """Give the code of the reason behind an error text."""
    return _code(text[:_MAX_ERROR])


@lru_cache(maxsize=512)
def _code(text: str) -> str:
    return explain(text).code


def guess(record: dict[str, Any], body: str, catalogue: Catalogue) -> bool:
    """Say what a message means that no template fits; False when nothing is known of it.

    Args:
        record: With its header; gets the type and what goes with it.
        body: The message with what looks like a name before it.
        catalogue: To find what the message was before it was cut off.
    """
    message = record["message"]
    if message.startswith("goroutine ") and record["level"] == "error":
        record["type"] = "panic"
    elif "dashboard_api.go" in (record["caller"] or "") and message[:5] in ("", "/api/"):
        # v0.25 printed the paths of its requests bare, too
        record |= {"type": "admin_access", "path": message}
    elif "log_writer.go" in (record["caller"] or "") or is_of_transport(body):
        record |= {"type": "transport_detail", "tunnel_id": None, "message": body}
    elif (event := _error_alone(record)) is not None:
        record |= {"type": event, "error": message, "reason": code_of(message)}
    else:
        return _resembles(record, message, catalogue)
    return True


def _error_alone(record: dict[str, Any]) -> str | None:
    """Give the event of a line that is nothing but the text of an error, by who prints it at which level."""
    caller, level, message = record["caller"] or "", record["level"], record["message"]
    if message.startswith("timeout trying to get work connection"):
        return "connection_error"
    if level == "error" and caller.startswith("visitor/xtcp.go"):
        return "visitor_connection_error"
    if level == "error" and caller.startswith(("client/service.go", "service.go", "client/control.go")):
        return "login_rejected"
    if code_of(message) != "unknown":  # up to v0.54 the callers of frpc and frps have the same names
        refusals = {
            "error": ("control.go", "login_rejected"),
            "warning": ("service.go", "client_login_rejected"),
        }
        source, event = refusals.get(level, ("?", ""))
        return event if caller.startswith((source, f"server/{source}")) else None
    return None


def _resembles(record: dict[str, Any], message: str, catalogue: Catalogue) -> bool:
    begin = _ELLIPSIS.split(tidy(message[:_MAX_TEXT]), maxsplit=1)[0].rstrip(" $>")
    found = catalogue.resemble(begin, record["level"], max(_MIN_START, min(_MIN_CUT, len(begin))))
    if found is None:
        return False
    template, values = found
    if len(begin) < _MIN_CUT and template.level != record["level"]:
        return False
    record["type"] = template.event
    record["program"] = record["program"] or template.program
    if not template.is_named and record["run_id"] is None:
        record["run_id"], record["tunnel_id"] = record["tunnel_id"], None
    record |= values
    if template.has_error:
        record["reason"] = reason_of(template, record)
    if template.elsewhere:
        place(record, template)
    return True
