"""The last lines of frpc, for whoever wants to read them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from heapq import merge
from itertools import islice
from typing import Any

from frp_wrapper.monitoring.log_mask import masked_text

__all__ = ["LEVELS", "LogLine", "LogRing"]

LEVELS = ("trace", "debug", "info", "warning", "error")
_CHATTY = frozenset({"trace", "debug"})
_LONGEST = 2000
"""Characters of a message that are kept."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of frpc.

    Attributes:
        id: Grows by one with every line of a ring, from 1 on.
        at: When it came, timezone-aware UTC.
        level: ``trace``, ``debug``, ``info``, ``warning`` or ``error``.
        type: What kind of line it is, as `OutputParser` names it.
        tunnel_id: Whose line; None: of the client.
        message: Without the line's prefixes, secrets masked, cut after 2,000 characters.
    """

    id: int
    at: datetime
    level: str
    type: str
    tunnel_id: str | None
    message: str


class LogRing:
    """Keeps the last lines; safe for several threads.

    Lines of level debug and below come with every connection. They have a ring of their own, so that they never push
    out what is worth reading.

    Args:
        limit: Lines of level info and above that are kept.
        chatty_limit: Lines below that are kept.
        prefix: frp's user and a dot, which frpc before 0.68 puts in front of every name.
    """

    def __init__(self, limit: int = 2000, chatty_limit: int = 500, prefix: str = "") -> None:
        self._lock = threading.Lock()
        self._lines: deque[LogLine] = deque(maxlen=limit)
        self._chatty: deque[LogLine] = deque(maxlen=chatty_limit)
        self._prefix = prefix
        self._last_id = 0

    @property
    def last_id(self) -> int:
        """The id of the newest line; 0: there was none."""
        return self._last_id

    @property
    def dropped(self) -> int:
        """Lines that were pushed out by newer ones."""
        with self._lock:
            return self._last_id - len(self._lines) - len(self._chatty)

    def add(self, record: Mapping[str, Any]) -> None:
        """Take in a parsed line of frpc."""
        level = record["level"] if record["level"] in LEVELS else "info"
        name = record["tunnel_id"]
        message = masked_text(record["message"][:_LONGEST])
        ring = self._chatty if level in _CHATTY else self._lines
        with self._lock:
            self._last_id += 1
            ring.append(
                LogLine(
                    id=self._last_id,
                    at=datetime.now(UTC),
                    level=level,
                    type=record["type"],
                    tunnel_id=name.removeprefix(self._prefix) if name else None,
                    message=message,
                )
            )

    def lines(
        self,
        *,
        level: str = "trace",
        tunnel_id: str | None = None,
        text: str = "",
        before: int | None = None,
        after: int = 0,
        limit: int = 200,
    ) -> list[LogLine]:
        """Give the newest lines that are meant, oldest first.

        Args:
            level: The least level.
            tunnel_id: Whose lines; None: all.
            text: What the message must have in it, in any case.
            before: Only lines with a smaller id.
            after: Only lines with a greater id.
            limit: So many lines at most.

        Raises:
            ValueError: There is no such level.
        """
        if level not in LEVELS:
            raise ValueError(f"there is no level {level!r}; there are {', '.join(LEVELS)}")
        levels = LEVELS[LEVELS.index(level) :]
        wanted = text.casefold()
        with self._lock:
            newest_first = list(
                merge(reversed(self._lines), reversed(self._chatty), key=lambda line: -line.id)
            )
        meant = (
            line
            for line in newest_first
            if line.level in levels
            and after < line.id
            and (before is None or line.id < before)
            and tunnel_id in (None, line.tunnel_id)
            and wanted in line.message.casefold()
        )
        return list(islice(meant, limit))[::-1]
