"""The proof that a tunnel works: a visit through its public address."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass

from frp_wrapper.errors import ConfigError
from frp_wrapper.failures import SERVICE_DOWN
from frp_wrapper.metering.connection import Counts
from frp_wrapper.reasons import REASONS, explain
from frp_wrapper.tunnel import Tunnel

__all__ = ["ProbeResult", "probe"]

_FRPS_PAGE = b"Faithfully yours, frp."
"""What ends the page that frps itself answers with when it knows no tunnel, or gets no answer from one."""
_MOST_READ = 16384
_LOOK = 0.02
_UNTOLD = 1.0
"""Seconds that a connection must stay open where nothing tells whether the service has taken it."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What a visitor would meet now.

    Attributes:
        ok: The local service was reached through the public address.
        seconds: How long that took; None: it was not reached, or nothing tells when.
        reason: A code of docs/errors.md; None when ok.
        what: What was seen, in a sentence.
        hint: What to do; None when ok.
    """

    ok: bool
    seconds: float | None = None
    reason: str | None = None
    what: str = "the local service was reached"
    hint: str | None = None


def probe(tunnel: Tunnel, timeout: float) -> ProbeResult:
    """Visit a tunnel from outside; for the local service this is one more visitor.

    Raises:
        ConfigError: The type of the tunnel has no public address that could be visited.
    """
    visit = _VISITS.get(tunnel.config.tunnel_type)
    if visit is None:
        raise ConfigError(
            f"a tunnel of type {tunnel.config.tunnel_type} cannot be probed",
            hint="Tunnels of types tcp, http and https can.",
        )
    if tunnel.public_host is None or tunnel.public_port is None:
        return _failed("not_online", f"{tunnel.id!r} has no public address: it is {tunnel.status.value}")
    before = tunnel.counts  # of before the visit: frpc may be quicker than we are
    began = time.monotonic()
    try:
        with socket.create_connection((tunnel.public_host, tunnel.public_port), timeout) as visitor:
            result = visit(tunnel, visitor, began + timeout, before)
    except OSError as exc:
        return _failed(explain(str(exc).lower()).code, f"the public address cannot be reached: {exc}")
    return result or ProbeResult(ok=True, seconds=time.monotonic() - began)


def _visit_tcp(
    tunnel: Tunnel, visitor: socket.socket, deadline: float, before: Counts | None
) -> ProbeResult | None:
    """Wait for frpc to say that it has handed a connection to the service, or for its end."""
    visitor.settimeout(_LOOK)
    if before is None:
        deadline = min(deadline, time.monotonic() + _UNTOLD)
    while time.monotonic() < deadline:
        now = tunnel.counts
        if before is not None and now is not None:
            if now.errors > before.errors:
                return _failed(SERVICE_DOWN, "the local service does not take connections")
            if now.connections > before.connections:
                return None
        with contextlib.suppress(TimeoutError):
            return None if visitor.recv(1) else _failed("server_closed", "the connection was closed at once")
    if before is None:
        return ProbeResult(ok=True, what="the connection stays open; nothing tells more of this tunnel")
    return _failed("timeout", "the connection was taken by the server, but did not reach the local service")


def _visit_http(
    tunnel: Tunnel, visitor: socket.socket, deadline: float, _: Counts | None
) -> ProbeResult | None:
    """Ask for the page at the public address; any answer that is not frps's own comes from the service."""
    path = "/" + (tunnel.url or "").partition("://")[2].partition("/")[2]
    visitor.settimeout(max(_LOOK, deadline - time.monotonic()))
    visitor.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {tunnel.public_host}\r\nConnection: close\r\n\r\n".encode()
    )
    answer = b""
    while len(answer) < _MOST_READ and (data := visitor.recv(4096)):
        answer += data
    if not answer.startswith(b"HTTP/"):
        return _failed("server_closed", "there was no answer")
    if _FRPS_PAGE in answer:
        return _failed(SERVICE_DOWN, f"the server answers itself: {answer.splitlines()[0].decode('latin-1')}")
    return None


def _visit_https(
    tunnel: Tunnel, visitor: socket.socket, deadline: float, _: Counts | None
) -> ProbeResult | None:
    """Shake hands: TLS ends at the service, whoever its certificate is of."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # a visitor's browser judges that
    visitor.settimeout(max(_LOOK, deadline - time.monotonic()))
    with context.wrap_socket(visitor, server_hostname=tunnel.public_host):
        return None


_VISITS: dict[str, Callable[[Tunnel, socket.socket, float, Counts | None], ProbeResult | None]] = {
    "tcp": _visit_tcp,
    "http": _visit_http,
    "https": _visit_https,
}


def _failed(reason: str, what: str) -> ProbeResult:
    return ProbeResult(ok=False, reason=reason, what=what, hint=REASONS[reason].hint)
