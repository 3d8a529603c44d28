"""Structured logging that stays out of its host's way."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from frp_wrapper.errors import ConfigError
from frp_wrapper.monitoring.log_fields import printed

if TYPE_CHECKING:
    import structlog

    from frp_wrapper.monitoring.log_output import LogOutput

__all__ = ["FRPLogger", "LogLevel", "configure_logging", "unconfigure_logging"]

_ROOT = logging.getLogger("frp_wrapper")
"""The standard library logger above all of ours; silent until somebody gives it a handler."""


class LogLevel(Enum):
    """How important a record is.

    Attributes:
        number: The number of the standard library for this level.
    """

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"

    number: int

    def __init__(self, word: str) -> None:
        self.number = getattr(logging, word.upper())


class FRPLogger:
    """A logger of events with fields.

    After `configure_logging` records go where it says. Else, where the host has configured structlog, they go through its
    pipeline; otherwise to the standard library logger ``frp_wrapper.NAME``, which prints nothing until the host gives it
    a handler. The choice is made for each record, so it does not matter what is set up first. Nothing of the host's
    configuration is changed. Whatever the way, secrets are masked before.

    Args:
        name: The part of the program that speaks.
        level: Records below it are dropped.
    """

    def __init__(self, name: str, level: LogLevel = LogLevel.INFO) -> None:
        self.name = name
        self.level = level
        self._stdlib = logging.getLogger(f"{_ROOT.name}.{name}")
        self.failures = 0
        """Records that could not be logged: the host's logging raised."""

    @property
    def level(self) -> LogLevel:
        """Records below it are dropped."""
        return self._level

    @level.setter
    def level(self, level: LogLevel) -> None:
        self._level = level
        self._least = level.number

    @property
    def logger(self) -> structlog.stdlib.BoundLogger:
        """The structlog logger that records of this moment go to."""
        from frp_wrapper.monitoring.log_structlog import (  # noqa: PLC0415 - 50 ms that a program without logging does not pay
            to_host,
            to_output,
            to_stdlib,
        )

        if _output is not None:
            return to_output(self.name, self._least, _current_output)
        if _structlog_configured():
            return to_host(self.name, self._least)
        return to_stdlib(self._stdlib.name, self._least)

    def log_tunnel_event(self, /, event: str, tunnel_id: str, **kwargs: Any) -> None:
        """Log something that happened to a tunnel, at level info, with any fields."""
        output = _output
        if self._least > _INFO or (output.level > _INFO if output is not None else not self._heard(_INFO)):
            return
        self._send(output, "info", event, {"tunnel_id": tunnel_id, **kwargs})

    def log_error(self, error: Exception, context: Mapping[str, Any] | None = None) -> None:
        """Log an exception as event ``error_occurred`` with its type, its message and what was going on."""
        self.log(
            LogLevel.ERROR,
            "error_occurred",
            error_type=type(error).__name__,
            error_message=printed(error),
            context={} if context is None else context,
        )

    def log(self, level: LogLevel, event: str, /, **fields: Any) -> None:
        """Log an event with any fields; ``exc_info=True`` or ``exc_info=error`` adds a traceback."""
        output, number = _output, level.number
        if self._least > number or (output.level > number if output is not None else not self._heard(number)):
            return
        self._send(output, level.value, event, fields)

    def _heard(self, number: int) -> bool:
        """Say whether anybody takes a record while `configure_logging` has not been called."""
        if "structlog" in _MODULES and _structlog_configured():
            return True
        stdlib = self._stdlib
        if stdlib.handlers or _ROOT.handlers or _TOP.handlers or stdlib.parent is not _ROOT:
            return stdlib.isEnabledFor(number)
        return False  # nobody: told so twice as fast as by the standard library

    def _send(self, output: LogOutput | None, level: str, event: str, fields: Mapping[str, Any]) -> None:
        try:
            if output is not None:
                output.write(level, self.name, event, fields)
            else:
                bound: Any = self.logger.bind()
                bound.log_fields(level, event, fields)
        except Exception:  # noqa: BLE001 - the host's processors and handlers
            self.failures += 1  # logging may fail without harming the tunnels


_INFO = logging.INFO
_TOP = logging.getLogger()
_MODULES = sys.modules
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
    keep_age: float = 30 * 24 * 3600.0,
) -> LogOutput:
    """Send the records of this package to the console and to a file of JSON lines, from now on.

    The host's own logging is not touched. Tokens, passwords and other secrets are masked; a record that repeats a recent
    one is counted instead of written again (``repeated``). A second call takes the place of the first.

    Args:
        level: Records below it are dropped.
        console: Print lines for people on stderr.
        json_file: Write JSON lines to this file, readable by this user only.
        max_bytes: A file that would grow beyond this is set aside and compressed.
        max_age: One that is older than so many seconds too.
        keep_bytes: So many bytes are kept beside the file in use, compressed or not; the oldest go first.
        keep_age: So many seconds is an older file kept.

    Returns:
        The output; `unconfigure_logging` ends it.

    Raises:
        OSError: The file cannot be opened.
        ConfigError: There is no such level, or a number makes no sense; also a ValueError.
    """
    from frp_wrapper.monitoring.log_output import open_output  # noqa: PLC0415 - for those who want it

    number = _level(level).number
    _check(max_bytes=max_bytes, max_age=max_age, keep_bytes=keep_bytes, keep_age=keep_age)
    new = open_output(
        number,
        console=console,
        json_file=json_file,
        max_bytes=max_bytes,
        max_age=max_age,
        keep_bytes=keep_bytes,
        keep_age=keep_age,
    )
    _replace(new)
    return new


def unconfigure_logging() -> None:
    """End what `configure_logging` began; a second call does nothing."""
    _replace(None)


def _replace(new: LogOutput | None) -> None:
    global _output
    with _output_lock:
        old, _output = _output, new
        if new is not None:
            atexit.register(new.flush)  # what has been counted and not told
    if old is not None:
        atexit.unregister(old.flush)
        old.close()


def _current_output() -> LogOutput | None:
    return _output


def _level(level: LogLevel | str) -> LogLevel:
    try:
        return level if isinstance(level, LogLevel) else LogLevel(level.lower())
    except ValueError:
        words = ", ".join(known.value for known in LogLevel)
        raise ConfigError(f"there is no log level {level!r}", hint=f"Use one of {words}.") from None


def _check(**numbers: float) -> None:
    """Refuse a bound that bounds nothing or everything."""
    least = {"max_bytes": 1, "max_age": 0.001}
    faults = [
        f"{name} is {number!r}; the least is {least.get(name, 0)}"
        for name, number in numbers.items()
        if not number >= least.get(name, 0)  # also what is no number
    ]
    if faults:
        raise ConfigError("the log file cannot be kept within such bounds", faults=faults)


def _structlog_configured() -> bool:
    """Say whether the host uses structlog, without importing it for a host that does not."""
    is_configured = getattr(_MODULES.get("structlog"), "is_configured", None)
    return is_configured is not None and is_configured()  # None too while another thread is importing it
