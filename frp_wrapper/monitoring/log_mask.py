"""What must not be seen in a log: names that speak of secrets, texts that carry one, and the secrets that are known."""

from __future__ import annotations

import json
import os
import re
import threading
from urllib.parse import quote

__all__ = ["MASK", "is_harmless", "known", "mask_secret", "masked_text", "names_a_secret", "remember"]

MASK = "***"
_SHORTEST_SECRET = 6
"""A shorter text would be masked where it is a word like any other."""
_MAX_SECRETS = 1024
_MAX_REMEMBERED = 2048
_LONGEST_REMEMBERED = 100

_WORDS = r"token|passw|passphrase|pwd|secret|credential|(?:api|access|private|secret|signing)[_-]?key"
_HEADERS = r"authorization|cookie"
_NAME = re.compile(rf"{_WORDS}|{_HEADERS}|^sk$", re.IGNORECASE)  # sk: how frp spelled secretKey up to 0.52
_QUOTED = r"(?:(?!\{quote})(?:\\.|[^\\]))*"
_TEXT = re.compile(
    r"(?=[tpscakb:])(?:"  # how each begins: three times as fast as trying all of them at every character
    # `token = "..."`, `?token=...&`, `"auth_token": "..."`: the value, to the closing quote or the end of the word
    rf"((?:{_WORDS})[\w.-]{{0,40}}\\?[\"']?\s{{0,8}}[=:]\s{{0,8}}(\\?[\"'])?)"
    rf"(?(2){_QUOTED.format(quote=2)}|[^\s&,;\"'\\)\]}}>]+)"
    # `Authorization: Basic ...`, `Cookie: a=b; c=d`: the value, to the closing quote or the end of the line
    rf"|((?:{_HEADERS})\\?[\"']?\s{{0,8}}[=:]\s{{0,8}}(\\?[\"'])?)(?(4){_QUOTED.format(quote=4)}|[^\r\n]+)"
    r"|(\bbearer\s{1,8})[\w.~+/=-]+"
    r"|(\bbasic\s{1,8})[a-z0-9+/]{8,}={0,2}"
    r"|(://)[^\s/?#]*(?=@))",  # https://user:password@host
    re.IGNORECASE | re.DOTALL,
)
_HINTS = ("token", "pass", "pwd", "secret", "credential", "key", "authoriz", "cookie", "bearer", "basic", "@")
"""A text without any of these is not searched: they are found ten times as fast as the expression above."""


class _Known:
    """What is known to be secret, and what was found to hold no secret.

    Read without a lock: `mask_secret` gives new objects in place of changing these, ``harmless`` last, so that a finding
    made with the secrets of before ends in a set that nobody reads any more.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.secrets: dict[str, tuple[str, ...]] = {}
        self.spellings: tuple[str, ...] = ()
        self.longest = 0
        self.forgotten = 0
        """Secrets that are masked no more, because more than 1,024 are known."""
        self.harmless: set[str] = set()
        """Texts that need no masking."""
        self.names: set[str] = set()
        """Names of fields that speak of no secret, and need no masking themselves."""


known = _Known()


def _after_fork() -> None:
    known.lock = threading.Lock()  # another thread of the parent may have held it


os.register_at_fork(after_in_child=_after_fork)


def mask_secret(secret: str) -> None:
    """Have a text that must not be seen replaced wherever it stands in a record, as it is, escaped or in a URL.

    One of less than 6 characters is masked only where a name says what it is. The last 1,024 are kept.
    """
    if len(secret) < _SHORTEST_SECRET:
        return
    escaped = {json.dumps(secret, ensure_ascii=plain)[1:-1] for plain in (True, False)}
    spellings = {secret, *escaped, repr(secret)[1:-1], quote(secret, safe="")}
    with known.lock:
        secrets = {text: kept for text, kept in known.secrets.items() if text != secret}
        secrets[secret] = tuple(sorted(spellings, key=len, reverse=True))
        if len(secrets) > _MAX_SECRETS:
            del secrets[next(iter(secrets))]
            known.forgotten += 1
        known.longest = max(len(spelling) for kept in secrets.values() for spelling in kept)
        known.spellings = tuple(spelling for kept in secrets.values() for spelling in kept)
        known.secrets = secrets
        known.names = set()
        known.harmless = set()


def names_a_secret(name: str) -> bool:
    """Say whether a field of this name is to be masked, whatever its value."""
    return _NAME.search(name) is not None


def masked_text(text: str) -> str:
    """Give a text without the secrets in it; the same object where there is none."""
    harmless = known.harmless  # before the secrets: see _Known
    if text in harmless:
        return text
    masked = text
    for secret in known.spellings:
        if secret in masked:
            masked = masked.replace(secret, MASK)
    lowered = masked.lower()
    if any(hint in lowered for hint in _HINTS):
        masked = _TEXT.sub(_kept, masked)
    if masked == text:
        remember(harmless, text)
        return text
    return masked


def is_harmless(text: str) -> bool:
    """Say whether a text is short and needs no masking."""
    return len(text) <= _LONGEST_REMEMBERED and masked_text(text) is text


def remember(texts: set[str], text: str) -> None:
    """Note a short text in one of the sets of `known`; a full one begins anew."""
    if len(text) <= _LONGEST_REMEMBERED:
        if len(texts) >= _MAX_REMEMBERED:
            texts.clear()
        texts.add(text)


def _kept(match: re.Match[str]) -> str:
    return (match[1] or match[3] or match[5] or match[6] or match[7]) + MASK
