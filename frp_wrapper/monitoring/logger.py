"""Structured logging that stays out of its host's way."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping, MutableMapping
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import structlog

    from frp_wrapper.monitoring.log_output import LogOutput

__all__ = ["FRPLogger", "LogLevel", "configure_logging", "unconfigure_logging"]

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

    After `configure_logging` records go where it says. Else, where the host has configured structlog, they go through its
    pipeline; otherwise to the standard library logger ``frp_wrapper.NAME``, which prints nothing until the host gives it
    a handler. The choice is made for each record, so it does not matter what is set up first. Nothing of the host's
    configuration is changed.

    Args:
        name: The part of the program that speaks.
        level: Records below it are dropped.
    """

    def __init__(self, name: str, level: LogLevel = LogLevel.INFO) -> None:
        self.name = name
        self.level = level
        self._stdlib = logging.getLogger(f"{ROOT}.{name}")
        self.failures = 0
        """Records that could not be logged: the host's logging raised, or the console is gone."""

    @property
    def logger(self) -> structlog.stdlib.BoundLogger:
        """The structlog logger that records of this moment go to."""
        import structlog  # noqa: PLC0415 - 50 ms that a program without logging does not pay

        if _output is not None:
            return _output_backed(self.name)
        if structlog.is_configured():
            configured: structlog.stdlib.BoundLogger = structlog.get_logger(self.name)
            return configured
        return _stdlib_backed(f"{ROOT}.{self.name}")

    def log_tunnel_event(self, event: str, tunnel_id: str, **kwargs: Any) -> None:
        """Log something that happened to a tunnel, at level info, with any fields."""
        self.log(LogLevel.INFO, event, tunnel_id=tunnel_id, **kwargs)

    def log_error(self, error: Exception, context: Mapping[str, Any] | None = None) -> None:
        """Log an exception as event ``error_occurred`` with its type, its message and what was going on."""
        self.log(
            LogLevel.ERROR,
            "error_occurred",
            error_type=type(error).__name__,
            error_message=str(error),
            context=dict(context or {}),
        )

    def log(self, level: LogLevel, event: str, **fields: Any) -> None:
        """Log an event with any fields."""
        number = _NUMBERS[level]
        if number < _NUMBERS[self.level]:
            return
        output = _output
        wanted = number >= output.level if output is not None else self._host_wants(number)
        if not wanted:
            return
        try:
            if output is not None:
                output.write(level.value, self.name, event, fields)
            else:
                getattr(self.logger, level.value)(event, **fields)
        except Exception:  # noqa: BLE001 - the host's processors and handlers, or a console that is gone
            self.failures += 1  # logging may fail without harming the tunnels

    def _host_wants(self, number: int) -> bool:
        return _structlog_configured() or self._stdlib.isEnabledFor(number)


_output: LogOutput | None = None
_output_lock = threading.Lock()


def configure_logging(
    level: LogLevel | str = LogLevel.INFO,
    *,
    console: bool = True,
    json_file: str | Path | None = None,
    max_bytes: int = 10 * 1024 * 1024,
    max_age: float = 24 * 3600.0,
    keep_bytes: int = 100 * 1024 * 1024,
) -> LogOutput:
    """Send the records of this package to the console and to a file of JSON lines, from now on.

    The host's own logging is not touched. Tokens, passwords and other secrets are masked; a record that repeats the one
    before is counted instead of written again (``repeated``).

    Args:
        level: Records below it are dropped.
        console: Print lines for people on stderr.
        json_file: Write JSON lines to this file, readable by this user only.
        max_bytes: A file that would grow beyond this is set aside and compressed.
        max_age: One that is older than so many seconds too.
        keep_bytes: So many bytes of older files are kept; the oldest go first.

    Returns:
        The output; `unconfigure_logging` ends it.

    Raises:
        OSError: The file cannot be opened.
        ValueError: There is no such level.
    """
    global _output
    from frp_wrapper.monitoring.log_output import open_output  # noqa: PLC0415 - for those who want it

    new = open_output(
        LogLevel(level).number,
        console=console,
        json_file=json_file,
        max_bytes=max_bytes,
        max_age=max_age,
        keep_bytes=keep_bytes,
    )
    with _output_lock:
        old, _output = _output, new
    if old is not None:
        old.close()
    return new


def unconfigure_logging() -> None:
    """End what `configure_logging` began; a second call does nothing."""
    global _output
    with _output_lock:
        old, _output = _output, None
    if old is not None:
        old.close()


def _structlog_configured() -> bool:
    """Say whether the host uses structlog, without importing it for a host that does not."""
    is_configured = getattr(sys.modules.get("structlog"), "is_configured", None)
    return is_configured is not None and is_configured()  # None too while another thread is importing it


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


@lru_cache(maxsize=256)
def _output_backed(name: str) -> structlog.stdlib.BoundLogger:
    """Give a structlog logger whose records go to our own output."""
    import structlog  # noqa: PLC0415 - see FRPLogger.logger

    def write(_logger: object, method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
        output = _output
        event = str(record.pop("event", ""))
        if output is not None and getattr(logging, method.upper(), logging.ERROR) >= output.level:
            output.write(method, name, event, dict(record))
        raise structlog.DropEvent

    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        None,
        processors=[structlog.processors.format_exc_info, write],
        wrapper_class=structlog.stdlib.BoundLogger,
        context_class=dict,
    )
    return logger
