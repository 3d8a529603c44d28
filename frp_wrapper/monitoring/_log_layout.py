"""The layout of frp's log lines in all its eras: the header, colours, and where one record ends and the next begins."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = [
    "HEADER",
    "LEVELS",
    "MAX_LINE",
    "Header",
    "clean",
    "header_ids",
    "header_of",
    "is_of_frp",
    "names_before",
    "next_header",
    "tidy",
    "unquoted",
]

MAX_LINE = 32768
"""Characters of a line that are looked at."""
HEADER = re.compile(
    r"(\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})?) \[([TDIWE])\] \[([^\]\s]{1,100}:\d{1,6})\] "
    r"(?:\[(?:reqid: [0-9a-f]{16}|sshVirtualClient)\] )?(?:\[([0-9a-f]{16})\] (?:\[sshVirtualClient\] )?)?"
)
"""Time, letter of the level, caller, run id; the message begins at its end."""
LEVELS = {"T": "trace", "D": "debug", "I": "info", "W": "warning", "E": "error"}
_CALLER = r"\[([^\[\]]{0,80}go[:\uff1a] ?\d{1,5}) ?\]"
_LOOSE = re.compile(
    r"((?:\d{0,4}[-/]\d{1,2}[-/]\d{1,2}[ T]{1,3})?\d{1,2}:\d\d:\d\d(?:[.,]\d{1,9})?)?[ \t]{0,3}"
    rf"(?:\[([TDIWE])\][ \t]{{0,3}}{_CALLER}|{_CALLER}[ \t]{{0,3}}\[([TDIWE])\]|\[([TDIWE])\](?=[ \t])|{_CALLER}) {{0,3}}"
)
"""What is left of a header that was cut, typed off, or written before v0.10, when the caller came first."""
_CUT_CALLER = re.compile(r"[^\[\]]{0,60}go:\d{1,5}\] (?:\[([TDIWE])\] )?")
_IDS = re.compile(
    r"(?:\[(?:reqid: [0-9a-f]{16}|sshVirtualClient)\] )?(?:\[([0-9a-f]{16})\] (?:\[sshVirtualClient\] )?)?"
)
_BEFORE_LEVEL = re.compile(r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d(?:\.\d{1,9})? \[[TDIWE]$")
_BEFORE_CALLER = re.compile(r"\d{4}[-/]\d\d[-/]\d\d \d\d:\d\d:\d\d \[[^\[\]\s]{1,100}:\d{1,5}$")
_COLLECTOR_PREFIX = 600
"""Characters that docker compose, journald or kubectl may put before frp's own header."""
_JOINTS_TRIED = 64
"""How many ``] [`` of a message are looked at for the header of another record."""
_LONGEST_NAME = 1000
_NAMES_TRIED = 4
"""How many ``] `` of a message may end the name of a tunnel; only foreign names hold any."""
_COLOUR = re.compile(r"\x1b\[[0-9;?]{0,16}[A-Za-z]")
_ESCAPES = ("^[[", "#033[", "\\x1b[", "\\033[", "\\u001b[", "\\e[", "\u241b[", "\u2190[", "\ufffd[")
"""How a colour begins where the control character cannot be written."""
_SPELLED_COLOUR = re.compile(f"(?:{'|'.join(map(re.escape, _ESCAPES))})[0-9;?]{{0,16}}[A-Za-z]")
_REST_OF_COLOUR = re.compile(r"^(?:\[(?:0|1;[34]\d)m){1,3}|\[(?:0|1;[34]\d)m(?=\[[TDIWE\d]|\d{4}[-/]|\s*$)")
"""A colour that lost its control character, where frp puts colours."""
_TIGHT = re.compile(r"(?<=error|ailed):(?=[^\s:])")
"""A colon whose blank somebody has left out."""
_DECORATION = " \t`'\"*|>…"
_QUOTES = "`'\"\u201c\u201d\u2018\u2019"
_FILES = (
    " admin admin_api aggregator api_router auth classify client client_common common config config_manager conn connector "
    "control control_session controller controller_v2 crypto dashboard dashboard_api discovery gateway handler health http "
    "http2http http2https http_proxy httpconnect https https2http https2https kcp limiter listener load log log_writer "
    "main manager message metric middleware nathole newhttp oidc plugin process proxy proxy_manager proxy_wrapper "
    "proxyprotocol quic reload resource reverseproxy root server service socks5 static_file status stcp stop store sudp "
    "tcp tcpmux tls tls2raw token tun_linux udp unix_domain_socket util utils verify vhost virtual_net visitor "
    "visitor_manager visitor_plugin wire xlog xtcp "
)
"""Sources of frp, of all versions, that print lines."""


class Header(NamedTuple):
    """What stands before a message, as far as it is there."""

    timestamp: str | None
    letter: str | None
    caller: str | None
    run_id: str | None
    start: int
    end: int


def clean(line: str, most: int | None = None) -> str:
    """Take off what is not text: colours, line ends, byte order marks; and the JSON that a log driver puts around a line.

    Args:
        line: As it was read.
        most: Characters of it that are wanted; None: all.
    """
    if line[:1] == "{":
        line = _unwrap(line)
    line = line[:most]
    for mark in ("\x00", "\ufeff"):
        if mark in line:
            line = line.replace(mark, "")
    if "\x1b" in line:
        line = _COLOUR.sub("", line)
    if any(escape in line for escape in _ESCAPES):
        line = _SPELLED_COLOUR.sub("", line)
    if "[0m" in line or "[1;3" in line:
        line = _REST_OF_COLOUR.sub("", line)
    return line.replace("\xa0", " ").rstrip("\r\n")


def header_of(line: str) -> Header | None:
    """Find frp's header in a clean line, or what is left of it."""
    match = HEADER.match(line) or HEADER.search(line, 0, _COLLECTOR_PREFIX)
    if match is not None:
        timestamp, letter, caller, run_id = match.groups()
        return Header(timestamp, letter, caller, run_id, match.start(), match.end())
    match = _CUT_CALLER.match(line)
    if match is not None:
        return _with_ids(line, None, match[1], None, (0, match.end()))
    match = _LOOSE.search(line, 0, _COLLECTOR_PREFIX)
    if match is None:
        return None
    letter = match[2] or match[5] or match[6]
    return _with_ids(line, match[1], letter, match[3] or match[4] or match[7], match.span())


def _with_ids(
    line: str, timestamp: str | None, letter: str | None, caller: str | None, span: tuple[int, int]
) -> Header:
    ids = header_ids(line, span[1])
    return Header(timestamp, letter, caller, ids[1], span[0], ids.end())


def header_ids(line: str, start: int = 0) -> re.Match[str]:
    """Read the run id and what else may stand between header and message; the match is empty where nothing stands."""
    ids = _IDS.match(line, start)
    assert ids is not None  # all of it is optional
    return ids


def next_header(text: str, start: int) -> int:
    """Find where the header of another record begins, in a text that holds several; -1: nowhere."""
    at = text.find("] [", start)
    for _ in range(_JOINTS_TRIED):
        if at == -1:
            return -1
        window = max(start, at - 140)
        match = None
        if text[at - 1 : at] in LEVELS:
            match = _BEFORE_LEVEL.search(text, max(window, at - 36), at)
        elif text[at + 3 : at + 4] in LEVELS and text[at + 4 : at + 5] == "]":
            match = _BEFORE_CALLER.search(text, window, at)
        if match is not None and (
            HEADER.match(text, match.start()) or _LOOSE.match(text, match.start(), at + 200)
        ):
            return match.start()
        at = text.find("] [", at + 1)
    return -1


def names_before(body: str) -> Iterator[tuple[str, str]]:
    """Give the ways to read ``[name] message``, the likeliest first; none when no name stands there."""
    end = body.find("] ", 1, _LONGEST_NAME)
    for _ in range(_NAMES_TRIED):
        if end == -1:
            return
        yield body[1:end], body[end + 2 :]
        end = body.find("] ", end + 1, _LONGEST_NAME)


def tidy(message: str) -> str:
    """Take off what people and programs that show logs put around a message, and what typing it off did to it."""
    message = message.replace("\uff1a ", ": ").replace("\uff1a", ": ").lstrip("#* \t").rstrip(_DECORATION)
    return _TIGHT.sub(": ", message)


def unquoted(line: str) -> str:
    """Take off the quotation marks around a line that somebody quotes whole."""
    text = line.strip(" \t,")
    return text.strip(_QUOTES) if text[:1] in _QUOTES and text[-1:] in _QUOTES else line


def is_of_frp(caller: str) -> bool:
    """Say whether a source file of frp has the name that stands in a header."""
    return f" {caller.rpartition('/')[2].partition('.go:')[0]} " in _FILES


def _unwrap(line: str) -> str:
    """Take the message out of a line of docker's json-file driver or of ``journalctl -o json``."""
    try:
        fields = json.loads(line)
    except (ValueError, RecursionError):
        return line
    log = fields.get("log", fields.get("MESSAGE")) if isinstance(fields, dict) else None
    if isinstance(log, list):  # journald gives what is not plain text, colours for one, as numbers
        try:
            log = bytes(log).decode("utf-8", "replace")
        except (ValueError, TypeError):
            return line
    return log if isinstance(log, str) else line
