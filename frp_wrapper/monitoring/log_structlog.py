"""The structlog loggers that lead to our own output, to the host's pipeline, or to the standard library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import structlog
from structlog.stdlib import BoundLogger

from frp_wrapper.monitoring.log_fields import cleaned, cleaned_text, printed, printed_traceback
from frp_wrapper.monitoring.log_mask import masked_text

if TYPE_CHECKING:
    from frp_wrapper.monitoring.log_output import LogOutput

__all__ = ["to_host", "to_output", "to_stdlib"]

_WORDS = {"msg": "info", "warn": "warning", "exception": "error", "fatal": "critical"}
"""Methods of structlog's loggers that are not named as the level that they log at."""


def to_host(name: str, least: int) -> BoundLogger:
    """Give a logger of the host's pipeline, as ``structlog.get_logger(name)`` does, that masks and drops below ``least``."""
    wrapper = structlog.get_config()["wrapper_class"]
    base = wrapper if issubclass(wrapper, structlog.BoundLoggerBase) else BoundLogger
    logger: BoundLogger = structlog.wrap_logger(
        None, wrapper_class=_masking(base, least), logger_factory_args=(name,)
    )
    return logger


@lru_cache(maxsize=256)
def to_stdlib(name: str, least: int) -> BoundLogger:
    """Give a logger that writes ``event='...' tunnel_id='...' ...`` to a logger of the standard library."""
    target = logging.getLogger(name)

    def heard(_logger: object, method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
        if (
            not target.isEnabledFor(_number(method)) or not target.hasHandlers()
        ):  # Python prints to stderr where no handler is
            raise structlog.DropEvent
        return record

    renderer = structlog.processors.KeyValueRenderer(key_order=["event", "tunnel_id"], drop_missing=True)
    return _wrapped(target, [heard, structlog.processors.format_exc_info, renderer], least)


@lru_cache(maxsize=256)
def to_output(name: str, least: int, output: Callable[[], LogOutput | None]) -> BoundLogger:
    """Give a logger whose records go to whatever ``output()`` is at that time."""

    def write(_logger: object, method: str, record: MutableMapping[str, Any]) -> Mapping[str, Any]:
        now = output()
        if now is not None and _number(method) >= now.level:
            event = record.pop("event", "")
            now.write(
                _WORDS.get(method, method), name, event if isinstance(event, str) else printed(event), record
            )
        raise structlog.DropEvent

    processors = [
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.StackInfoRenderer(),
        write,
    ]
    return _wrapped(None, processors, least)


def _number(method: str) -> int:
    number: int = getattr(logging, _WORDS.get(method, method).upper(), logging.ERROR)
    return number


def _wrapped(target: object, processors: list[Any], least: int) -> BoundLogger:
    logger: BoundLogger = structlog.wrap_logger(
        target, processors=processors, wrapper_class=_masking(BoundLogger, least), context_class=dict
    )
    return logger


@lru_cache(maxsize=256)
def _masking(base: type[Any], least: int) -> type[Any]:
    """Give a class of loggers that drops records below ``least``, and masks before the first processor sees them."""

    class Masking(base):  # type: ignore[misc]  # the host chooses it
        def _proxy_to_logger(self, method_name: str, event: Any = None, *args: Any, **fields: Any) -> Any:
            if _number(method_name) < least:
                return None
            return super()._proxy_to_logger(method_name, event, *args, **fields)

        def _process_event(self, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
            fields = {**self._context, **event_kw}
            error = fields.pop("exc_info", None)
            fields = {**cleaned(fields), **_exception(error)}
            event = cleaned_text(event) if isinstance(event, str) else event
            bare = type(self)(
                self._logger, self._processors, type(self._context)()
            )  # all of it is in the fields
            return super(Masking, bare)._process_event(method_name, event, fields)

        def log_fields(self, level: str, event: str, fields: Mapping[str, Any]) -> None:
            """Log with fields of any name, also ``self`` and ``event``, which cannot be arguments of the methods."""
            getattr(type(self)(self._logger, self._processors, {**self._context, **fields}), level)(event)

    return Masking


def _exception(error: object) -> dict[str, object]:
    """Leave an exception to the host's processors, unless its traceback shows a secret: then only a masked text is left."""
    if not error:
        return {}
    text = printed_traceback(error)
    return {"exc_info": error} if masked_text(text) == text else {"exception": cleaned_text(text)}
