"""The HTTP interface of frps's own dashboard, as far as we use it: what the server has counted."""

from __future__ import annotations

import base64
import http.client
import io
import json
import re
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn
from urllib.parse import quote, unquote, urlsplit

from frp_wrapper.errors import AuthenticationError, ConnectionFailedError, FRPError
from frp_wrapper.monitoring.log_mask import mask_secret

__all__ = ["ServerApi", "ServerInfo", "ServerProxy", "ServerTraffic"]

_ANSWER_LIMIT = 64 << 20
"""Bytes of an answer; 10,000 tunnels of one type take about 5 MB."""
_LONGEST_TEXT = 200
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")

Table = dict[str, Any]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """An frps as a whole; "today" is since midnight on its clock, or since its last start.

    Attributes:
        version: Such as ``0.71.0``.
        clients: Clients that are logged in.
        open_connections: Of visitors, in all tunnels.
        bytes_sent_today: Payload bytes from services to visitors, in all tunnels.
        bytes_received_today: Payload bytes from visitors to services, in all tunnels.
        tunnels: How many are online, by type.
    """

    version: str
    clients: int
    open_connections: int
    bytes_sent_today: int
    bytes_received_today: int
    tunnels: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ServerProxy:
    """A tunnel as frps knows it, also for seven days after it went.

    Attributes:
        name: With the user in front, ``user.name``, where its client has one.
        status: ``online`` or ``offline``.
        open_connections: frps counts none of udp tunnels, and says 0.
        bytes_sent_today: Payload bytes from the service to visitors: what frps calls out.
        bytes_received_today: Payload bytes from visitors to the service: what frps calls in.
        last_start: When it last came, ``MM-DD HH:MM:SS`` on frps's clock, whose zone nothing tells; None: never.
        last_close: When it last went, likewise.
    """

    name: str
    status: str
    open_connections: int
    bytes_sent_today: int
    bytes_received_today: int
    last_start: str | None
    last_close: str | None


@dataclass(frozen=True, slots=True)
class ServerTraffic:
    """What went through a tunnel on one day of frps's clock.

    Attributes:
        bytes_sent: Payload bytes from the service to visitors.
        bytes_received: Payload bytes from visitors to the service.
    """

    bytes_sent: int
    bytes_received: int


class ServerApi:
    """Asks frps (0.52 and later); each call opens and closes a connection of its own, so any thread may call.

    All calls raise `AuthenticationError` where frps refuses user or password, and `ConnectionFailedError` where there is
    no answer, or none of an frps; the ``reason`` tells which.

    Args:
        url: The dashboard, ``http[s]://user:password@host:port``; special characters of the password as ``%XX``.
        ca_file: A CA that may have signed the certificate, besides those that the system trusts.
        timeout: Seconds that an answer may take, after the host's name was looked up.
    """

    def __init__(self, url: str, *, ca_file: str | None = None, timeout: float = 3.0) -> None:
        parts = urlsplit(url)
        self._is_https = parts.scheme == "https"
        self._host, self._port = parts.hostname or "", parts.port
        self._path = parts.path.rstrip("/")
        self._ca_file = ca_file
        self._timeout = timeout
        self._headers = {"Connection": "close"}
        if parts.username is not None or parts.password is not None:
            user, password = unquote(parts.username or ""), unquote(parts.password or "")
            for spelling in (password, parts.password or ""):
                mask_secret(spelling)
            self._headers["Authorization"] = (
                "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
            )
        self.where = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{self._path}"
        """The address without user and password."""

    def __repr__(self) -> str:
        return f"<ServerApi {self.where}>"

    def info(self) -> ServerInfo:
        """Give how the server is."""
        table = self._ask("/api/serverinfo")
        try:
            return ServerInfo(
                version=_text(table["version"]) or "",
                clients=_count(table["client_counts"]),
                open_connections=_count(table["cur_conns"]),
                bytes_sent_today=_count(table["total_traffic_out"]),
                bytes_received_today=_count(table["total_traffic_in"]),
                tunnels={str(kind): _count(n) for kind, n in (table["proxy_type_count"] or {}).items()},
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            self._refuse_stranger("another kind of JSON")

    def proxies(self, tunnel_type: str) -> tuple[ServerProxy, ...]:
        """Give the tunnels of one type, of all clients of the server."""
        table = self._ask(f"/api/proxy/{quote(tunnel_type, safe='')}")
        try:
            return tuple(_proxy(_snake(entry)) for entry in table["proxies"] or ())
        except (KeyError, TypeError, ValueError, AttributeError):
            self._refuse_stranger("another kind of JSON")

    def traffic(self, name: str) -> tuple[ServerTraffic, ...] | None:
        """Give the last seven days of a tunnel, today first.

        Args:
            name: As frps has it: ``user.name`` where the tunnel's client has a user.

        Returns:
            None: frps knows no tunnel of this name.
        """
        status, content = self._fetch(f"/api/traffic/{quote(name, safe='')}")
        if status == http.client.NOT_FOUND and b"no proxy info found" in content:
            return None
        table = self._table(status, content)
        try:
            days = zip(table["traffic_out"], table["traffic_in"], strict=True)
            return tuple(ServerTraffic(_count(out), _count(into)) for out, into in days)
        except (KeyError, TypeError, ValueError):
            self._refuse_stranger("another kind of JSON")

    def _ask(self, path: str) -> Table:
        return self._table(*self._fetch(path))

    def _fetch(self, path: str) -> tuple[int, bytes]:
        try:
            return self._exchange(path)
        except (
            http.client.HTTPException
        ) as exc:  # before OSError: a connection that ends without a word is both
            self._refuse_stranger(f"no HTTP: {str(exc) or type(exc).__name__}"[:_LONGEST_TEXT])
        except (OSError, UnicodeError) as exc:
            raise self._no_answer(exc) from exc

    def _exchange(self, path: str) -> tuple[int, bytes]:
        deadline = time.monotonic() + self._timeout
        connection = self._connection()
        try:
            connection.request("GET", self._path + path, headers=self._headers)
            response = http.client.HTTPResponse(_Received(_read_all(connection.sock, deadline)))  # type: ignore[arg-type]
        finally:
            connection.close()
        response.begin()
        return response.status, response.read()

    def _connection(self) -> http.client.HTTPConnection:
        if not self._is_https:
            return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        context = ssl.create_default_context()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)
        return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=context)

    def _table(self, status: int, content: bytes) -> Table:
        if status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
            raise AuthenticationError(
                f"the dashboard of frps at {self.where} refuses user or password",
                reason="server_dashboard_auth",
                hint="Use webServer.user and webServer.password of frps; special characters in the URL as %XX.",
            )
        if status >= http.client.INTERNAL_SERVER_ERROR:
            raise ConnectionFailedError(
                f"{self.where} answers {status}",
                reason="server_dashboard_unreachable",
                hint="Look at frps, and at what stands between: a reverse proxy without its frps answers so.",
            )
        if status != http.client.OK:
            self._refuse_stranger(f"HTTP status {status}")
        try:
            return _snake(json.loads(content))
        except (ValueError, AttributeError, RecursionError):
            self._refuse_stranger("no JSON object")

    def _no_answer(self, error: OSError | UnicodeError) -> FRPError:
        if isinstance(error, ssl.SSLError):
            return ConnectionFailedError(
                f"no encrypted connection to {self.where}: {error}",
                reason="tls_error",
                hint="Use http:// unless frps has webServer.tls. The certificate must be for this host name, and of a CA "
                "that the system trusts or of tls.trusted_ca_file.",
            )
        if isinstance(error, ConnectionRefusedError):
            return ConnectionFailedError(
                f"nothing listens at {self.where}",
                reason="server_dashboard_missing",
                hint="Set webServer.port on frps, and webServer.addr if it is on another machine; or correct the port.",
            )
        what = f"within {self._timeout:g} s" if isinstance(error, TimeoutError) else str(error)
        return ConnectionFailedError(
            f"no answer from {self.where}: {what or type(error).__name__}",
            reason="server_dashboard_unreachable",
            hint="Check host and port, and that no firewall drops the packets.",
        )

    def _refuse_stranger(self, what: str) -> NoReturn:
        raise ConnectionFailedError(
            f"what answers at {self.where} is not the dashboard of an frps: {what}",
            reason="server_dashboard_not_frps",
            hint="Use webServer.port of frps (not bindPort, and not frpc's webServer.port), and https:// where it has "
            "webServer.tls.",
        )


class _Received:
    """An answer that has been read, in the place of the socket that `http.client` reads answers from."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def makefile(self, mode: str) -> io.BytesIO:
        """Give it as a file."""
        return io.BytesIO(self._content)


def _read_all(stream: socket.socket, deadline: float) -> bytes:
    """Read until the other side closes: only so is the whole bounded, and not each of many small pieces."""
    content = bytearray()
    while len(content) <= _ANSWER_LIMIT:
        left = deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError
        stream.settimeout(left)
        piece = stream.recv(65536)
        if not piece:
            return bytes(content)
        content += piece
    raise http.client.HTTPException(f"more than {_ANSWER_LIMIT} bytes")


def _proxy(entry: Table) -> ServerProxy:
    return ServerProxy(
        name=_text(entry["name"]) or "",
        status=_text(entry["status"]) or "",
        open_connections=_count(entry["cur_conns"]),
        bytes_sent_today=_count(entry["today_traffic_out"]),
        bytes_received_today=_count(entry["today_traffic_in"]),
        last_start=_text(entry["last_start_time"]),
        last_close=_text(entry["last_close_time"]),
    )


def _snake(table: Mapping[str, Any]) -> Table:
    """Give a table with its keys as frp spelled them up to 0.52.0; later ones are in camel case."""
    return {_HUMP.sub("_", key).lower(): value for key, value in table.items()}


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError
    return value


def _text(value: object) -> str | None:
    if not isinstance(value, str):
        raise TypeError
    return value[:_LONGEST_TEXT] or None
