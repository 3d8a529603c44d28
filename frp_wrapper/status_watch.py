"""Asks frpc how its tunnels are: on hints, and now and then without."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import Protocol

from frp_wrapper.errors import FRPError
from frp_wrapper.session import Session, Status
from frp_wrapper.tunnel import Tunnel, TunnelStatus

HINTS = frozenset({"tunnel_connected", "client_connected", "tunnel_error"})
"""Lines of frpc after which its status has something new to tell."""
_INTERVAL = 15.0
"""Seconds between looks when nothing hints at a change: each look costs two lines of frpc's log."""
_RETRY = 0.5
"""Seconds to the next look while something is known to be unsettled."""


class _Asked(Protocol):
    def status(self) -> Mapping[str, Status]:
        """Give the state of every proxy, or raise an FRPError."""


class StatusWatch:
    """Keeps a session true, on a thread named ``frp-wrapper-status-NAME``.

    Args:
        name: For the thread's name.
        session: What is told.
        frpc: Who is asked.
        repair: Sets up again what lived in a sidecar that was killed. It waits for the sidecar's answers, so it must not
            run on the thread that reads them.
        interval: Seconds between looks when nothing hints at a change.
        retry: Seconds to the next look while something is known to be unsettled.
    """

    def __init__(  # noqa: PLR0917 - in the order of their use
        self,
        name: str,
        session: Session,
        frpc: _Asked,
        repair: Callable[[], None] = lambda: None,
        interval: float = _INTERVAL,
        retry: float = _RETRY,
    ) -> None:
        self._session = session
        self._interval, self._retry = interval, retry
        self._frpc = frpc
        self._repair = repair
        self._wanted = threading.Event()
        self._stopping = False
        self._broken = False
        self._thread = threading.Thread(target=self._run, name=f"frp-wrapper-status-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def hint(self) -> None:
        """Look soon: something may have changed."""
        self._wanted.set()

    def repair(self) -> None:
        """The sidecar was replaced."""
        self._broken = True
        self._wanted.set()

    def stop(self) -> None:
        """End the thread; a look that is under way ends by its own time limit."""
        self._stopping = True
        self._wanted.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(2.0)

    def _run(self) -> None:
        wait = self._interval
        while True:
            self._wanted.wait(wait)
            self._wanted.clear()
            if self._stopping:
                return
            if self._broken:
                self._broken = False
                self._repair()
            wait = self._look()

    def _look(self) -> float:
        try:
            self._session.apply_status(self._frpc.status())
        except FRPError:  # frpc is starting or away; its lines say so
            return self._retry
        return self._retry if self._is_unsettled() else self._interval

    def _is_unsettled(self) -> bool:
        return self._session.connected and any(
            tunnel.status is TunnelStatus.STARTING for tunnel in self._session.endpoints(Tunnel)
        )
