"""Waiting for the status of a tunnel or visitor."""

from __future__ import annotations

from frp_wrapper.errors import FRPError, TimeoutError, TunnelError
from frp_wrapper.failures import SERVICE_DOWN
from frp_wrapper.session import Session
from frp_wrapper.tunnel import Endpoint, TunnelStatus

__all__ = ["wait_for"]


def wait_for(session: Session | None, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> None:
    """Wait until an endpoint has a status.

    Args:
        session: What changes it; None: nothing does any more.
        endpoint: The tunnel or visitor.
        status: What is waited for.
        timeout: Seconds.

    Raises:
        TimeoutError: It does not in time.
        TunnelError: It cannot: it is closed, or the server refuses it.
    """
    if session is not None:
        session.wait_until(lambda: _is_settled(endpoint, status), timeout)
    if endpoint.status is status:
        return
    if endpoint.error is not None:
        raise endpoint.error
    if endpoint.status is TunnelStatus.CLOSED:
        raise TunnelError(f"{endpoint.id!r} is closed and cannot become {status.value}", reason="closed")
    raise _too_slow(session, endpoint, status, timeout)


def _is_settled(endpoint: Endpoint, wanted: TunnelStatus) -> bool:
    """Say whether waiting any longer is useless: what the server refuses needs a change, a local service only a start."""
    if endpoint.status in (wanted, TunnelStatus.CLOSED):
        return True
    refused = endpoint.error is not None and endpoint.error.reason != SERVICE_DOWN
    return wanted is TunnelStatus.ONLINE and refused


def _too_slow(session: Session | None, endpoint: Endpoint, status: TunnelStatus, timeout: float) -> FRPError:
    is_connected = session is not None and session.connected
    why = "" if is_connected else "; the client is not connected to the server now"
    last = session.login_error if session is not None else None
    return TimeoutError(
        f"{endpoint.id!r} is {endpoint.status.value} and did not become {status.value} within {timeout:g} s{why}",
        hint=last.hint if last else "Wait longer, or look at the server.",
    )
