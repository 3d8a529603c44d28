"""frpc's admin API, as far as we use it: status, reload, and the store of frp 0.68 and later."""

from __future__ import annotations

import base64
import http.client
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from frp_wrapper.errors import ConfigError, FRPError, ProcessError

_BODY_LIMIT = 64 << 20
"""Bytes of an answer that are read; the status of 10,000 tunnels takes about 2 MB."""


@dataclass(frozen=True, slots=True)
class AdminEndpoint:
    """Where frpc's web server listens, and the credentials that it asks for."""

    port: int
    user: str
    password: str = field(repr=False)
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class ProxyStatus:
    """One proxy as frpc sees it.

    Attributes:
        name: The proxy's name, with the user in front up to frp 0.67.
        status: ``new``, ``wait start``, ``start error``, ``running``, ``check failed`` or ``closed``.
        error: Why it is not running; empty when it is.
        remote_addr: ``host:port`` for tcp and udp, a comma list of ``domain[:port]`` for http and the like.
        type: ``tcp``, ``http`` and so on.
        local_addr: ``host:port`` of the local service; empty with a plugin.
        plugin: The type of its plugin; empty without one.
    """

    name: str
    status: str
    error: str
    remote_addr: str
    type: str = ""
    local_addr: str = ""
    plugin: str = ""


class AdminUnavailableError(ProcessError):
    """frpc's admin API does not answer (now): frpc is starting, restarting or gone."""

    default_reason = "admin_unavailable"


class AdminClient:
    """Calls of the admin API; each opens and closes a connection of its own, so any thread may call.

    Args:
        endpoint: Where to.
        timeout: Seconds that connect and each read may take.
    """

    def __init__(self, endpoint: AdminEndpoint, timeout: float = 5.0) -> None:
        self._endpoint = endpoint
        self._timeout = timeout
        credentials = f"{endpoint.user}:{endpoint.password}".encode()
        self._headers = {"Authorization": "Basic " + base64.b64encode(credentials).decode()}

    def status(self) -> dict[str, ProxyStatus]:
        """Give the state of every proxy by name; empty when frpc is not logged in, or has none.

        Raises:
            AdminUnavailableError: No answer.
        """
        content = self._call("GET", "/api/status")
        try:
            entries = [entry for group in json.loads(content or b"{}").values() for entry in group or ()]
            return {entry["name"]: _status(entry) for entry in entries}
        except (ValueError, LookupError, AttributeError, TypeError) as exc:
            raise AdminUnavailableError(
                f"what answers at {self._endpoint.host}:{self._endpoint.port} is not frpc's admin API",
                reason="admin_unavailable",
                hint="Name the address and port of webServer in frpc's configuration.",
            ) from exc

    def config(self) -> str:
        """Give the text of frpc's configuration file, secrets included.

        Raises:
            AdminUnavailableError: No answer.
        """
        return self._call("GET", "/api/config").decode("utf-8", "replace")

    def reload(self) -> None:
        """Make frpc read its configuration file again; unchanged proxies are not touched.

        Raises:
            ConfigError: frpc refuses the file; nothing changed.
            AdminUnavailableError: No answer.
        """
        self._call("GET", "/api/reload?strictConfig=true")

    def store_put(self, kind: str, body: Mapping[str, Any], *, replace: bool = False) -> None:
        """Add a proxy or visitor to frpc's store, or replace it; it is live at once.

        Args:
            kind: ``proxies`` or ``visitors``.
            body: The stored object, with its name.
            replace: The name exists already.

        Raises:
            ConfigError: frpc refuses the object.
            AdminUnavailableError: No answer.
        """
        path = f"/api/store/{kind}"
        if replace:
            self._call("PUT", f"{path}/{quote(body['name'], safe='')}", body)
        else:
            self._call("POST", path, body)

    def store_delete(self, kind: str, name: str) -> None:
        """Remove a proxy or visitor from the store; one that is not there is no error.

        Raises:
            AdminUnavailableError: No answer.
        """
        self._call("DELETE", f"/api/store/{kind}/{quote(name, safe='')}", accept=(404,))

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, accept: tuple[int, ...] = ()
    ) -> bytes:
        connection = http.client.HTTPConnection(
            self._endpoint.host, self._endpoint.port, timeout=self._timeout
        )
        try:
            payload = None if body is None else json.dumps(body).encode()
            headers = (
                self._headers if payload is None else self._headers | {"Content-Type": "application/json"}
            )
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            content = response.read(_BODY_LIMIT)
        except (OSError, http.client.HTTPException) as exc:
            raise AdminUnavailableError(
                f"frpc's admin API at {self._endpoint.host}:{self._endpoint.port} does not answer {method} {path}: "
                f"{str(exc) or type(exc).__name__}",
                hint="frpc is starting, restarting or stopped; wait a moment and try again.",
            ) from exc
        finally:
            connection.close()
        if response.status == http.client.OK or response.status in accept:
            return content
        raise _refusal(response.status, method, path, content)


def _status(entry: Mapping[str, Any]) -> ProxyStatus:
    optional = (entry.get(key) or "" for key in ("err", "remote_addr", "type", "local_addr", "plugin"))
    return ProxyStatus(entry["name"], entry["status"], *optional)


def _refusal(status: int, method: str, path: str, content: bytes) -> FRPError:
    text = _message(content)
    if status == http.client.UNAUTHORIZED:
        return AdminUnavailableError(
            "frpc's admin API does not accept the user and password",
            reason="admin_refused",
            hint="Use webServer.user and webServer.password of its configuration: http://USER:PASSWORD@HOST:PORT.",
        )
    if status >= http.client.INTERNAL_SERVER_ERROR:
        return AdminUnavailableError(f"frpc answers {status} to {method} {path}: {text}")
    return ConfigError(f"frpc refuses {method} {path}: {text}", reason="refused_by_frpc")


def _message(content: bytes) -> str:
    """Give the text of an error answer: JSON from frp 0.67 on, plain before."""
    text = content[:2000].decode(errors="replace").strip()
    try:
        return str(json.loads(text)["Msg"])
    except (ValueError, KeyError, TypeError):
        return text
