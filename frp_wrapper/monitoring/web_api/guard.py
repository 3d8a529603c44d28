"""Who may ask what: a wall in front of every route, so that no handler can forget it.

Whatever is not named in `OPEN` needs the token, routes that do not exist included.
"""

from __future__ import annotations

import hmac
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.web_api.faults import ApiError

__all__ = ["OPEN", "SECURITY_HEADERS", "Guard", "require_good_token"]

OPEN = ("/", "/assets/", "/healthz", "/readyz", "/api/status")
"""What answers without a token when it is read; a name that ends in ``/assets/`` stands for all below it. The last only
to programs on this machine."""
LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_READING = frozenset({"GET", "HEAD"})
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,256}\Z")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?\Z")

_CSP = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    b" font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (b"content-security-policy", _CSP),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
)
"""On every answer."""

Scope = Mapping[str, Any]


def require_good_token(token: str) -> None:
    """Refuse a token that can be guessed, or that a cookie cannot carry.

    Raises:
        ConfigError: It is too short or has other characters than letters, digits, ``.``, ``_``, ``~`` and ``-``.
    """
    if not _TOKEN.match(token):
        raise ConfigError(
            "the token needs 16 to 256 letters, digits, '.', '_', '~' or '-'",
            reason="weak_token",
            hint="Leave it out for a random one, or make one: secrets.token_urlsafe().",
        )


class Headers:
    """The headers of a request that decide who may do what."""

    __slots__ = ("authorization", "cookie", "forwarded", "hosts", "origin", "site")

    def __init__(self, raw: Iterable[tuple[bytes, bytes]]) -> None:
        self.hosts: list[bytes] = []
        self.origin: str | None = None
        self.site: str | None = None
        self.authorization = ""
        self.cookie = ""
        self.forwarded = False
        for name, value in raw:
            if name == b"host":
                self.hosts.append(value)
            elif name == b"origin":
                self.origin = value.decode("latin-1")
            elif name == b"sec-fetch-site":
                self.site = value.decode("latin-1")
            elif name == b"authorization":
                self.authorization = value.decode("latin-1")
            elif name == b"cookie":
                self.cookie += "; " + value.decode("latin-1") if self.cookie else value.decode("latin-1")
            elif name in (b"forwarded", b"x-forwarded-for", b"x-forwarded-host"):
                self.forwarded = True


class Guard:
    """Decides about requests.

    Args:
        token: What must be known.
        hosts: Names by which the dashboard may be asked for, besides those of loopback.
        any_address: Whether it may be asked for by any address: a name is needed to rebind DNS.
    """

    def __init__(self, token: str, hosts: Iterable[str] = (), *, any_address: bool = False) -> None:
        self._token = token.encode()
        self._hosts = LOCAL_NAMES | {host.strip("[]").lower() for host in hosts}
        self._any_address = any_address
        self.status_is_open: Callable[[], bool] = lambda: True
        """Says whether programs on this machine may read ``/api/status`` without the token."""

    def check(self, scope: Scope) -> None:
        """Let a request pass.

        Raises:
            ApiError: It may not.
        """
        headers = Headers(scope["headers"])
        host = self._require_host(headers)
        method, path = scope["method"], path_of(scope)
        if method not in _READING:
            _require_own_origin(headers)
        if self._is_open(path, method, headers, host, scope):
            return
        self._require_token(headers, scope)

    def is_token(self, token: str) -> bool:
        """Say whether this is the token, in a time that tells nothing."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self._token)

    def cookie(self, scope: Scope) -> bytes:
        """Give the Set-Cookie header for a browser that has shown the token."""
        path = scope.get("root_path", "") or "/"
        value = f"{cookie_name(scope)}={self._token.decode()}; Path={path}; HttpOnly; SameSite=Strict"
        return (value + ("; Secure" if scope.get("scheme") == "https" else "")).encode("latin-1")

    def _require_host(self, headers: Headers) -> str:
        match = _HOST.match(headers.hosts[0].decode("latin-1")) if len(headers.hosts) == 1 else None
        name = match[1].strip("[]").lower() if match else ""
        if name in self._hosts or (self._any_address and _is_address(name)):
            return name
        raise ApiError(
            403,
            "host_not_allowed",
            "the dashboard is not served under this host name",
            "Use the address that was printed, or name this one in allowed_hosts=.",
        )

    def _is_open(self, path: str, method: str, headers: Headers, host: str, scope: Scope) -> bool:
        if method not in _READING or not (path in OPEN or path.startswith("/assets/")):
            return False
        if path != "/api/status":
            return True
        if host not in LOCAL_NAMES or headers.forwarded or not _is_local(scope):
            return False
        return self.status_is_open()

    def _require_token(self, headers: Headers, scope: Scope) -> None:
        kind, _, bearer = headers.authorization.partition(" ")
        if kind.lower() == "bearer" and self.is_token(bearer.strip()):
            return
        if headers.cookie and self.is_token(_cookie_value(headers.cookie, cookie_name(scope))):
            _require_own_site(headers, scope["method"])
            return
        raise ApiError(
            401,
            "token_needed",
            "this needs the dashboard's token",
            "Open the URL that was printed at the start, or send it as Authorization: Bearer TOKEN.",
            ((b"www-authenticate", b'Bearer realm="frp_wrapper dashboard"'),),
        )


def path_of(scope: Scope) -> str:
    """Give the path below where the application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return (path.removeprefix(root) if root and path.startswith(root + "/") else path) or "/"


def cookie_name(scope: Scope) -> str:
    """Give the cookie's name: browsers send the cookies of one port to all others of the same host too."""
    server = scope.get("server") or ("", 0)
    return f"frp_wrapper_{server[1] or 0}"


def _cookie_value(header: str, name: str) -> str:
    try:
        morsel = SimpleCookie(header).get(name)
    except CookieError:
        return ""
    return morsel.value if morsel else ""


def _require_own_origin(headers: Headers) -> None:
    """Refuse a change that another site's page asks for."""
    if headers.site not in (None, "same-origin", "none"):
        raise _foreign()
    if headers.origin is not None:
        host = headers.hosts[0].decode("latin-1").lower()
        if urlsplit(headers.origin).netloc.lower() != host:
            raise _foreign()


def _require_own_site(headers: Headers, method: str) -> None:
    """Refuse a request to which another site's page made the browser add its cookie."""
    if headers.site not in (None, "same-origin", "none"):
        raise _foreign()
    if method not in _READING and headers.site is None and headers.origin is None:
        raise ApiError(
            403,
            "origin_needed",
            "a change that is asked for with the cookie needs the Origin header",
            "Programs should send Authorization: Bearer TOKEN instead of the cookie.",
        )


def _foreign() -> ApiError:
    return ApiError(
        403,
        "foreign_origin",
        "the page that asks for this is not the dashboard's",
        "Open the dashboard itself.",
    )


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_local(scope: Scope) -> bool:
    """Say whether both ends of the connection are on this machine's loopback."""
    ends = (scope.get("client"), scope.get("server"))
    return all(end and _is_loopback(str(end[0])) for end in ends)


@lru_cache(maxsize=256)
def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
