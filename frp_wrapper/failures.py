"""The exceptions for what frpc and frps say when something fails."""

from __future__ import annotations

from frp_wrapper.errors import AuthenticationError, ConnectionFailedError, TunnelError
from frp_wrapper.reasons import REASONS, explain


def login_error(server: str, text: str) -> ConnectionFailedError:
    """Give the exception for a failed login from what frpc printed."""
    reason = explain(text)
    kind = AuthenticationError if reason.code in ("auth_failed", "auth_timeout") else ConnectionFailedError
    return kind(f"cannot log in to frps at {server}: {text}", reason=reason.code, hint=reason.hint)


def refusal(name: str, text: str) -> TunnelError:
    """Give the exception for a refused tunnel from what frps answered."""
    reason = explain(text)
    return TunnelError(f"the server refuses tunnel {name!r}: {text}", reason=reason.code, hint=reason.hint)


def silent(server: str) -> ConnectionFailedError:
    """Give the exception for a server that has been there and does not answer."""
    reason = REASONS["server_silent"]
    return ConnectionFailedError(
        f"frps at {server} does not answer any more", reason=reason.code, hint=reason.hint
    )


TRANSIENT = frozenset(
    {"server_unreachable", "server_timeout", "unknown_host", "server_closed", "network_unreachable"}
    & REASONS.keys()
)
"""Reasons for a failed login that may go away by themselves."""


SERVICE_DOWN = "local_service_down"
UNHEALTHY = frozenset({SERVICE_DOWN, "health_check_failed"})
"""Reasons that lie with the local service, not with the server."""


def service_down(name: str, address: str) -> TunnelError:
    """Give the exception for a tunnel that leads to a local service which accepts no connections."""
    return TunnelError(
        f"nothing listens at {address}, where tunnel {name!r} leads",
        reason=SERVICE_DOWN,
        hint=REASONS[SERVICE_DOWN].hint,
    )


def unhealthy(name: str) -> TunnelError:
    """Give the exception for a tunnel that frpc has taken down because its health check fails."""
    reason = REASONS["health_check_failed"]
    return TunnelError(
        f"the health check of tunnel {name!r} fails, so frpc has taken it down",
        reason=reason.code,
        hint=reason.hint,
    )
