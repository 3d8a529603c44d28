"""Structured logging that stays out of its host's way."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import structlog

__all__ = ["FRPLogger", "LogLevel"]

ROOT = "frp_wrapper"
"""The standard library logger above all of ours; silent until somebody gives it a handler."""


class LogLevel(Enum):
    """How important a record is."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    @property
    def number(self) -> int:
        """The number of the standard library for this level."""
        return _NUMBERS[self]


_NUMBERS = {
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.INFO: logging.INFO,
    LogLevel.WARNING: logging.WARNING,
    LogLevel.ERROR: logging.ERROR,
    LogLevel.CRITICAL: logging.CRITICAL,
}


class FRPLogger:
    """A logger of events with fields.

    Where the host has configured structlog, records go through its pipeline. Otherwise they go to the standard library
    logger ``frp_wrapper.NAME``, which prints nothing until the host gives it a handler. The choice is made for each
    record, so it does not matter which of the two is set up first. Nothing of the host's configuration is changed.

    Args:
        name: The part of the program that speaks.
        level: Records below it are dropped.
    """

    def __init__(self, name: str, level: LogLevel = LogLevel.INFO) -> None:
        self.name = name
        self.level = level
        self._stdlib = logging.getLogger(f"{ROOT}.{name}")

    @property
    def logger(self) -> structlog.stdlib.BoundLogger:
        """The structlog logger that records of this moment go to."""
        import structlog  # noqa: PLC0415 - 50 ms that a program without logging does not pay

        if structlog.is_configured():
            configured: structlog.stdlib.BoundLogger = structlog.get_logger(self.name)
            return configured
        return _stdlib_backed(f"{ROOT}.{self.name}")

    def log_tunnel_event(self, event: str, tunnel_id: str, **kwargs: Any) -> None:
        """Log something that happened to a tunnel, at level info, with any fields."""
        if self._wanted(LogLevel.INFO):
            self.logger.info(event, tunnel_id=tunnel_id, **kwargs)

    def log_error(self, error: Exception, context: Mapping[str, Any] | None = None) -> None:
        """Log an exception as event ``error_occurred`` with its type, its message and what was going on."""
        if self._wanted(LogLevel.ERROR):
            self.logger.error(
                "error_occurred",
                error_type=type(error).__name__,
                error_message=str(error),
                context=dict(context or {}),
            )

    def _wanted(self, level: LogLevel) -> bool:
        if level.number < self.level.number:
            return False
        return _structlog_configured() or self._stdlib.isEnabledFor(level.number)


def _structlog_configured() -> bool:
    """Say whether the host uses structlog, without importing it for a host that does not."""
    module = sys.modules.get("structlog")
    return module is not None and module.is_configured()


@lru_cache(maxsize=256)
def _stdlib_backed(name: str) -> structlog.stdlib.BoundLogger:
    import structlog  # noqa: PLC0415 - see FRPLogger.logger

    root = logging.getLogger(ROOT)
    if not root.handlers:
        root.addHandler(logging.NullHandler())  # else Python prints warnings to the host's stderr
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        logging.getLogger(name),
        processors=[
            structlog.processors.KeyValueRenderer(key_order=["event", "tunnel_id"], drop_missing=True)
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return logger
