"""The sidecar's loop: it keeps one program running, drains it, and ends with its host."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING

from frp_wrapper.sidecar.backoff import Backoff
from frp_wrapper.sidecar.outbox import Outbox
from frp_wrapper.sidecar.process import Program
from frp_wrapper.sidecar.wire import Decoder, Message, WireError

if TYPE_CHECKING:
    from frp_wrapper.sidecar.relay import Relay

_ORPHAN_GRACE = 0.4
"""Seconds a program gets to end by itself when the host has died."""
_GATHER = 0.005
"""Seconds that output may gather after some was read; the pipe holds a megabyte."""
_HOST_CHECK = 0.25
"""Seconds between looks at the parent pid where the kernel cannot tell us of its death."""


class Sidecar:
    """Owns the program of one client or server.

    Args:
        control: The socket to the host.
        host_pid: The host's process id. A forked child of the host may hold the other end of the socket open, so the
            end of the socket alone does not prove that the host lives.
        folder: The private folder to remove when the host dies without doing so; None: none.
    """

    def __init__(self, control: socket.socket, host_pid: int, folder: str | None) -> None:
        control.setblocking(False)
        self._control = control
        self._host_pid = host_pid
        self._folder = folder
        self._outbox = Outbox(control)
        self._decoder = Decoder()
        self._selector = selectors.DefaultSelector()
        self._backoff = Backoff()
        self._launch: Message | None = None
        self._program: Program | None = None
        self._start_at: float | None = None
        self._kill_at: float | None = None
        self._listen_at: float | None = None
        self._watched = selectors.EVENT_READ
        self._stopping = False
        self._orphaned = False
        self._relay: Relay | None = None

    def run(self) -> None:
        """Serve until the host says stop or dies; leaves no program behind."""
        self._selector.register(self._control, selectors.EVENT_READ, self._on_control)
        self._watch_signals()
        self._watch_host()
        while not (self._stopping and self._program is None):
            for key, _ in self._selector.select(self._wait()):
                key.data()
            self._reap()
            self._on_clock()
            self._flush()
        self._finish()

    # What wakes the loop

    def _watch_signals(self) -> None:
        wake_read, wake_write = socket.socketpair()
        wake_read.setblocking(False)
        wake_write.setblocking(False)
        signal.set_wakeup_fd(wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, lambda *_: self._stop(_ORPHAN_GRACE))
        for ignored in (signal.SIGINT, signal.SIGHUP):  # the terminal speaks to the host, not to us
            signal.signal(ignored, signal.SIG_IGN)
        self._wakeup = (wake_read, wake_write)

        def drain() -> None:
            with contextlib.suppress(BlockingIOError):
                wake_read.recv(4096)

        self._selector.register(wake_read, selectors.EVENT_READ, drain)

    def _watch_host(self) -> None:
        if not sys.platform.startswith("linux"):
            return
        try:
            self._host_pidfd = os.pidfd_open(self._host_pid)
        except OSError:  # already dead, or a kernel before 5.3: the parent pid tells
            return
        self._selector.register(self._host_pidfd, selectors.EVENT_READ, self._on_host_death)

    def _wait(self) -> float:
        deadlines = [at for at in (self._start_at, self._kill_at, self._listen_at) if at is not None]
        nearest = min(deadlines, default=float("inf")) - time.monotonic()
        return max(0.0, min(nearest, _HOST_CHECK if not hasattr(self, "_host_pidfd") else 60.0))

    def _on_clock(self) -> None:
        now = time.monotonic()
        if self._kill_at is not None and now >= self._kill_at and self._program is not None:
            self._program.send_signal(signal.SIGKILL)
            self._kill_at = None
        if self._start_at is not None and now >= self._start_at:
            self._start_program()
        if self._listen_at is not None and now >= self._listen_at:
            self._listen()
        if os.getppid() != self._host_pid:
            self._on_host_death()

    def _on_host_death(self) -> None:
        if self._orphaned:
            return
        self._orphaned = True
        with contextlib.suppress(KeyError, AttributeError):
            self._selector.unregister(self._host_pidfd)
        self._stop(_ORPHAN_GRACE)

    def _on_control(self) -> None:
        try:
            data = self._control.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._selector.unregister(self._control)
            self._on_host_death()
            return
        try:
            for message in self._decoder.feed(data):
                if isinstance(message, dict):
                    self._obey(message)
        except WireError:
            self._on_host_death()

    # What the host asks for

    def _obey(self, message: Message) -> None:
        match message["op"]:
            case "run":
                self._launch = message
                self._start_at = time.monotonic()
            case "stop":
                self._stop(message["grace"])
            case "relay_open" | "relay_close" | "relay_connections" | "relay_news":
                self._outbox.message({"op": "reply", "id": message["id"], **self._on_relay(message)})

    def _on_relay(self, message: Message) -> Message:
        from frp_wrapper.sidecar.relay_commands import execute  # noqa: PLC0415 - most tunnels need no relay

        try:
            self._relay, answer = execute(self._relay, message)
        except OSError as exc:
            return {"error": str(exc), "errno": exc.errno}
        return answer

    def _stop(self, grace: float) -> None:
        self._stopping = True
        self._start_at = None
        if self._program is not None and self._kill_at is None:
            self._program.send_signal(signal.SIGTERM)
            self._kill_at = time.monotonic() + grace

    # The program

    def _start_program(self) -> None:
        assert self._launch is not None
        self._start_at = None
        try:
            program = Program(self._launch["argv"], self._launch["env"], self._launch["cwd"])
        except OSError as exc:
            wait = self._retry(0.0)
            self._outbox.message({"op": "failed", "error": str(exc), "errno": exc.errno, "retry_in": wait})
            return
        self._program = program
        self._listen()
        self._outbox.message({"op": "started", "pid": program.pid, "at": time.time()})

    def _retry(self, ran_for: float) -> float | None:
        if self._stopping:
            return None
        wait = self._backoff.next_wait(ran_for)
        self._start_at = time.monotonic() + wait
        return wait

    def _listen(self) -> None:
        self._listen_at = None
        if self._program is not None:
            self._selector.register(self._program.fileno(), selectors.EVENT_READ, self._on_output)

    def _on_output(self) -> None:
        """Read what is there, then let more gather for a moment: frpc wakes us, and we the host, less often."""
        assert self._program is not None
        self._selector.unregister(self._program.fileno())
        while chunk := self._program.read():
            self._outbox.output(chunk)
        if chunk is not None:  # not yet its end
            self._listen_at = time.monotonic() + _GATHER

    def _reap(self) -> None:
        program = self._program
        if program is None or (code := program.poll()) is None:
            return
        while chunk := program.read():  # its last words are why it ended
            self._outbox.output(chunk)
        with contextlib.suppress(KeyError):
            self._selector.unregister(program.fileno())
        program.close()
        self._program = None
        self._kill_at = self._listen_at = None
        wait = self._retry(time.monotonic() - program.started_at)
        self._outbox.message(
            {"op": "exited", "pid": program.pid, "code": code, "at": time.time(), "retry_in": wait}
        )

    # The host

    def _flush(self) -> None:
        if self._orphaned:
            return
        try:
            self._outbox.flush()
        except OSError:
            self._on_host_death()
            return
        wanted = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._outbox else 0)
        if wanted != self._watched:
            self._watched = wanted
            with contextlib.suppress(KeyError):
                self._selector.modify(self._control, wanted, self._on_control)

    def _finish(self) -> None:
        if self._relay is not None:
            self._relay.stop()
        if self._orphaned and self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        self._selector.close()
        self._control.close()
