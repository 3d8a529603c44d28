"""A thread that does one thing again and again."""

from __future__ import annotations

import threading
from collections.abc import Callable

from frp_wrapper.monitoring.logger import FRPLogger

__all__ = ["Ticker"]


class Ticker:
    """Calls a function at intervals, on a thread named ``frp-wrapper-NAME``; one that raises is logged and called again.

    Args:
        name: For the thread's name; its first word names the logger.
        interval: Seconds between two calls.
        action: What is called.
    """

    def __init__(self, name: str, interval: float, action: Callable[[], None]) -> None:
        self._interval = interval
        self._action = action
        self._logger = FRPLogger(name.partition("-")[0])
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"frp-wrapper-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> bool:
        """End the thread; False when a call that is under way has not ended within ``timeout`` seconds."""
        self._stopping.set()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._interval):
            try:
                self._action()
            except Exception as exc:  # noqa: BLE001 - the thread must outlive whatever it looks at
                self._logger.log_error(exc, {"thread": self._thread.name})
