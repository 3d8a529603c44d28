"""What the dashboard refuses, and how it says so."""

from __future__ import annotations

from frp_wrapper.errors import ConfigError, FRPError, TimeoutError
from frp_wrapper.monitoring.web_api.encode import encode

__all__ = ["ApiError", "of_frp_error"]

_CONFLICTS = frozenset({"name_in_use", "port_in_use", "not_connected", "closed", "forked", "not_ours"})


class ApiError(Exception):
    """An answer that is an error.

    Args:
        status: The HTTP status.
        code: A word for programs.
        message: One clear sentence.
        hint: What to do.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        hint: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.hint = hint
        self.headers = headers

    @property
    def body(self) -> bytes:
        """The answer as JSON."""
        return encode({"error": {"code": self.code, "message": self.message, "hint": self.hint}})


def of_frp_error(error: FRPError) -> ApiError:
    """Give the answer for an error of the client."""
    if isinstance(error, ConfigError):
        status = 400
    elif isinstance(error, TimeoutError):
        status = 504
    else:
        status = 409 if error.reason in _CONFLICTS else 502
    faults = "".join(f"; {fault}" for fault in getattr(error, "faults", ()))
    return ApiError(status, error.reason, error.what.partition("\n")[0] + faults, error.hint)
