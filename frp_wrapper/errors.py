"""Everything that goes wrong, as a small tree of exceptions.

    FRPError
     ├── BinaryNotFoundError      no frpc/frps, and none could be installed
     ├── ConfigError              bad arguments or a bad file (also a ValueError)
     ├── ConnectionFailedError    the server cannot be reached, or refuses the client
     │    └── AuthenticationError the server refuses the token
     ├── TunnelError              the server refuses a tunnel
     ├── ProcessError             a program of ours does not start or does not stay up
     └── TimeoutError             a wait ran out (also the builtin TimeoutError)

Each carries a machine-readable ``reason`` and a ``hint`` that says what to do; ``str()`` shows all of it.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence

__all__ = [
    "AuthenticationError",
    "BinaryNotFoundError",
    "ConfigError",
    "ConnectionFailedError",
    "FRPError",
    "ProcessError",
    "TimeoutError",
    "TunnelError",
]


class FRPError(Exception):
    """The root of all errors of this package.

    Args:
        what: What happened and why, as a sentence.
        reason: A code that does not change between versions, such as ``port_in_use``.
        hint: What the reader can do about it.
    """

    default_reason = "error"

    def __init__(self, what: str, *, reason: str | None = None, hint: str | None = None) -> None:
        self.what = what
        self.reason = reason or self.default_reason
        self.hint = hint
        super().__init__(f"{what} ({self.reason})" + (f"\n  What to do: {hint}" if hint else ""))


class BinaryNotFoundError(FRPError):
    """No usable frpc or frps was found, and none could be installed."""

    default_reason = "binary_not_found"


class ConfigError(FRPError, ValueError):
    """Arguments or a file are not valid; ``faults`` lists every fault found, not only the first."""

    default_reason = "config_invalid"

    def __init__(
        self,
        what: str,
        *,
        faults: Sequence[str] = (),
        reason: str | None = None,
        hint: str | None = None,
    ) -> None:
        self.faults = tuple(faults)
        super().__init__(what + "".join(f"\n  - {fault}" for fault in faults), reason=reason, hint=hint)


class ConnectionFailedError(FRPError):
    """The server cannot be reached, or it refuses this client."""

    default_reason = "connection_failed"


class AuthenticationError(ConnectionFailedError):
    """The server refuses the token."""

    default_reason = "auth_failed"


class TunnelError(FRPError):
    """The server refuses a tunnel, or the tunnel cannot be used as asked."""

    default_reason = "tunnel_error"


class ProcessError(FRPError):
    """A program of ours does not start, or does not stay up."""

    default_reason = "process_error"


class TimeoutError(FRPError, builtins.TimeoutError):  # noqa: A001 - the contract names it so, and it is one
    """A wait ran out; the message says for what and for how long."""

    default_reason = "timeout"
