"""Writes the generated pages from the code: ``python docs/generate.py``."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from frp_wrapper.monitoring._templates import rows
from frp_wrapper.monitoring.event_types import DEFINITIONS, TUNNEL_DATA, EventDefinition
from frp_wrapper.monitoring.record_types import TYPES
from frp_wrapper.reasons import REASONS

FIELDS = {
    "address": "host and port, as text; `port` is the number in it",
    "addresses": "public addresses",
    "allowed": "what could be there instead",
    "arch": "processor of the client",
    "assisted_addrs": "addresses in the local network",
    "attempt": "which attempt it was",
    "behavior": "how the router changes addresses",
    "by_run_id": "run id of the new login",
    "bytes_in": "bytes from visitors",
    "bytes_out": "bytes to visitors",
    "candidate_addrs": "public addresses of the other side",
    "cleared": "how many were dropped",
    "client_addr": "address of the client",
    "code": "HTTP status",
    "column": "where in the line",
    "command": "the program",
    "control_id": "number of the new login",
    "detect_behavior": "how the two sides try",
    "domain": "domain of a tunnel, or that was asked for",
    "error": "the text of the failure",
    "fallback_to": "the other visitor",
    "feature": "what needs it",
    "field": "name of the option",
    "found": "the kind of value that is there",
    "from_status": "state before",
    "group": "group of tunnels",
    "hostname": "name of the client's machine",
    "http_user": "user by basic authentication",
    "index": "which of them",
    "line": "line of the file",
    "local_addr": "address of frpc's end of the connection to the local service: what the service sees",
    "local_host": "host of the local service",
    "local_port": "port of the local service, a number",
    "location": "path that belongs to a tunnel",
    "message_type": "number of the message",
    "mode": "number of the way that was tried",
    "names": "names in brackets, separated by blanks",
    "nat_type": "kind of router: `EasyNAT` or `HardNAT`",
    "needs": "option that would give it effect",
    "op": "what the plugin was asked about",
    "option": "name of the option",
    "os": "system of the client",
    "passthrough": "whether requests are passed on as they are",
    "path": "path of a file or of a request",
    "payload": "the datagram, base64 (up to v0.67)",
    "peer_addr": "address of the other side",
    "plugin": "name of the plugin",
    "port": "number of a port",
    "protocol": "protocol between the two sides",
    "public_addr": "address on the server that the visitor came to",
    "query": "query of a request",
    "reason": "code of the reason, see [errors](errors.md)",
    "remote_port": "public port, a number",
    "route_by_http_user": "user that belongs to a tunnel",
    "run_id": "run id of the login",
    "scheme": "scheme of the URL",
    "server_addr": "address of the server",
    "server_host": "host of the server",
    "server_port": "port of the server, a number",
    "server_udp_port": "UDP port of the server, 0: none",
    "service_addr": "address of the local service",
    "sid": "number of the session",
    "size": "bytes",
    "subdomain_host": "domain of the server",
    "success": "`true` or `false`",
    "text": "what was received",
    "to_status": "state now",
    "total": "of how many",
    "tunnel_id": "name of the tunnel or visitor",
    "tunnel_type": "`tcp`, `http`, ...",
    "udp_local_addr": "local address of the datagram",
    "udp_remote_addr": "remote address of the datagram",
    "url": "the URL",
    "use_compression": "`true` or `false`",
    "use_encryption": "`true` or `false`",
    "user": "name of the visitor's user",
    "value": "what is there",
    "version": "version of frp",
    "visitor": "address of the visitor",
    "visitor_type": "`stcp`, `xtcp` or `sudp`",
    "wait": "seconds",
    "wanted": "the kind of value that should be there",
    "warning": "the text",
    "work_local_addr": "this side's address of the connection between frpc and frps",
    "work_remote_addr": "the other side's address of it",
}
"""Every field of a record that is not of type ``detail``, beyond the keys that all have."""

ERRORS_HEAD = """# Why things fail, and what to do

Every error of this package carries a `.reason` (a code that does not change), a `.hint` (what to do), and both in its
message. The texts of frp, of all versions, lead to these codes; `frp_wrapper.reasons.explain(text)` does the same for a
text from elsewhere. This page is written by `python3 dev.py docs`.

| reason | what happened | what to do |
|---|---|---|
"""
EVENTS_HEAD = """# The types of events

How to get them: [events](events.md). This page is written by `python3 dev.py docs` from the definitions in
`frp_wrapper/monitoring/event_types.py`, which tests hold the events to.

What is about a tunnel has these keys in its data (what is about a visitor of a secret tunnel only its `tunnel_id`):

"""
LINES_HEAD = """# The lines of frp

`OutputParser` reads what frpc and frps print, from v0.8 to v0.71: console and file, coloured or not, behind the prefixes
of docker, compose, kubectl, journald, syslog and pm2, in JSON of docker and journald, cut at either end, typed off into an
issue, several in one line. It never raises, and its time grows with the length of a line only, whatever the line holds.

```python
from frp_wrapper import OutputParser

parser = OutputParser()  # OutputParser("frpc"): all lines are frpc's, those without a header too
line = "2026-07-01 10:00:00.123 [W] [client/control.go:170] [0123456789abcdef] [web] start error: port already used"
record = parser.parse_line(line)  # the record of a line, its first where it holds several; None: not frp's
print(record["type"], record["tunnel_id"], record["reason"])  # tunnel_error web port_in_use
records = list(parser.parse(line + "\\n" + line))  # of a text; a stack trace is one record
```

On the command line: `frpw logs parse FILE` gives a line of JSON for each record, `frpw logs explain FILE` says what
happened and what to do. This page is written by `python3 dev.py docs`.

## What every record has

| key | what it holds |
|---|---|
| `type` | one of the types below |
| `timestamp` | the time as frp wrote it, in the zone of its machine; None where it wrote none |
| `time` | the time with its zone, as a `datetime`: where the parser was told the zone, or a collector wrote one; else None |
| `level` | `trace`, `debug`, `info`, `warning` or `error` |
| `caller` | source file and line; lines change with every version |
| `run_id` | of the login, 16 hexadecimal digits |
| `tunnel_id` | the name of the proxy or visitor, with the user before it where frp writes that |
| `message` | the text behind all prefixes |
| `program` | `frpc` or `frps`; None where both say the same |
| `lines` | how many lines the record had, where there were more than one (stack traces, errors of configurations); 16 KiB of them are kept |

Where a message tells of a failure there is a `reason`, which [errors](errors.md) explains.

## The types

| type | from | what it means | fields |
|---|---|---|---|
"""
FIELDS_HEAD = """
## The fields

A field is there when the message has it: versions differ. Values are text but for those that are said to be numbers;
a number that somebody made unreadable stays text.

| field | what it holds |
|---|---|
"""


def errors() -> str:
    """Give the text of ``docs/errors.md``."""
    reasons = sorted(REASONS.values(), key=lambda reason: reason.code)
    return ERRORS_HEAD + "".join(f"| `{row.code}` | {row.cause} | {row.hint} |\n" for row in reasons)


def fields_by_type() -> dict[str, set[str]]:
    """Give the fields that the records of each type can have, but for those of ``detail``, which vary."""
    fields: dict[str, set[str]] = defaultdict(set)
    for row in rows():
        names = set(row.get("fields", ())) - {"tunnel_id", "run_id"}
        if "error" in names or "reason" in row:
            names |= {"reason"}
        if "address" in names:
            names |= {"port"}
        for event in (row["event"], *row.get("elsewhere", {}).values()):
            fields[event] |= names
    fields["traffic_stats"] = {"bytes_in", "bytes_out"}
    fields["login_rejected"] = {"error", "reason"}
    fields["detail"] = set()
    return fields


def log_lines() -> str:
    """Give the text of ``docs/log-lines.md``."""
    programs: dict[str, set[str]] = defaultdict(set)
    for row in rows():
        programs[row["event"]] |= {row["program"]} if row["program"] else {"frpc", "frps"}
    fields = fields_by_type()
    types = "".join(
        f"| `{name}` | {', '.join(sorted(programs[name])) or 'both'} | {TYPES[name]} | "
        f"{', '.join(f'`{field}`' for field in sorted(fields[name]))} |\n"
        for name in sorted(TYPES)
    )
    used = set().union(*fields.values())
    meanings = "".join(f"| `{name}` | {FIELDS[name]} |\n" for name in sorted(used))
    return LINES_HEAD + types + FIELDS_HEAD + meanings


def event_types() -> str:
    """Give the page of event types."""
    return EVENTS_HEAD + _keys(TUNNEL_DATA) + "".join(map(_section, DEFINITIONS.values()))


def _section(definition: EventDefinition) -> str:
    parts = [
        f"\n## {definition.type.name}",
        f"`{definition.type.value}`. {definition.when}",
        *(
            ["Data: the keys of a tunnel" + (", and" if definition.data else ".")]
            if definition.about_tunnel
            else ["Data:"]
        ),
        *([_keys(definition.data).rstrip()] if definition.data else []),
        f"What to do: {definition.todo}\n",
    ]
    return "\n\n".join(parts)


def _keys(keys: Mapping[str, str]) -> str:
    return "".join(f"- `{key}`: {meaning}\n" for key, meaning in keys.items())


PAGES: Mapping[str, Callable[[], str]] = {
    "errors.md": errors,
    "event-types.md": event_types,
    "log-lines.md": log_lines,
}
"""Every generated page."""

if __name__ == "__main__":
    for name, page in PAGES.items():
        Path(__file__).with_name(name).write_text(page(), encoding="utf-8")
