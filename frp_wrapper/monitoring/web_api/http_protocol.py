"""uvicorn's HTTP protocol, with a short way for the answer that is asked for most."""

from __future__ import annotations

import logging
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from frp_wrapper.monitoring.web_api.app import DashboardApp
from frp_wrapper.monitoring.web_api.stream import ABORT

__all__ = ["HttpProtocol"]

_SILENT = logging.Logger("frp_wrapper.dashboard.http", logging.CRITICAL + 1)  # noqa: LOG001 - no part of the host's logging
"""What is wrong with requests is their senders' affair, and hostile text; what the application raises, it logs itself."""
_STATUS = "/api/status"
_OF_BODIES = (b"content-length", b"transfer-encoding", b"expect")


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's, with a logger of ours and a way to end a connection that takes nothing.

    A status that is at hand is written as soon as the request is complete, without a task and in one call: it has the same
    wall before it and the same headers as by the usual way, in half the time.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.logger = _SILENT
        self.access_log = False  # as an argument of uvicorn.Config it would silence the host's own uvicorn
        self._app = cast(DashboardApp, self.config.app)
        self._answer: bytes | None = None

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._answer = None
        self.scope["extensions"] = {ABORT: {"call": self.transport.abort}}

    def on_headers_complete(self) -> None:
        """Look whether the answer is at hand; else start the application."""
        if self.url == _STATUS.encode() and self._is_simple():
            scope = {**self.scope, "method": "GET", "path": _STATUS}
            self._answer = self._app.status_at_hand(scope, self.server_state.default_headers)
            if self._answer is not None:
                return
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Send the answer that is at hand."""
        if self._answer is None:
            super().on_message_complete()
        elif not self.transport.is_closing():
            self.transport.write(self._answer)
            self.on_response_complete()

    def _is_simple(self) -> bool:
        """Say whether nothing stands in the way of an answer at once."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first; uvicorn declares otherwise
        return (
            self.parser.get_method() == b"GET"
            and self.parser.get_http_version() == "1.1"
            and self.parser.should_keep_alive()
            and not self.parser.should_upgrade()
            and not any(name in _OF_BODIES for name, _ in self.headers)  # which may never come
            and not self.flow.write_paused
            and (cycle is None or cycle.response_complete)
        )
