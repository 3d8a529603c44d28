"""Keeps one frp program running through a sidecar, and the sidecar too."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from frp_wrapper.errors import ProcessError, TimeoutError
from frp_wrapper.frp import workdir
from frp_wrapper.frp.sidecar_process import SidecarProcess, end_orphan
from frp_wrapper.monitoring.logger import FRPLogger
from frp_wrapper.sidecar.backoff import Backoff
from frp_wrapper.sidecar.wire import Message

_GRACE = 2.0
"""Seconds the program gets between SIGTERM and SIGKILL."""
_SIDECAR_GRACE = 3.0
"""Seconds the sidecar gets, after its program, to end by itself."""


class Listener(Protocol):
    """What a supervisor tells its owner, on the supervisor's reader thread; none of these may block."""

    def on_output(self, chunk: bytes) -> None:
        """The program printed this."""

    def on_started(self, pid: int) -> None:
        """The program runs, for the first time or again."""

    def on_ended(self, code: int | None, retry_in: float | None) -> None:
        """The program ended with this exit code (None: unknown); it starts again in so many seconds."""

    def on_failed(self, error: str) -> None:
        """The program could not be started at all."""

    def on_dropped(self, size: int) -> None:
        """So many bytes of output were dropped because this process was too slow to read them."""

    def on_repaired(self) -> None:
        """The sidecar was killed and a new one has taken over; what lived in it must be set up again."""

    def patience(self) -> float | None:
        """Give the seconds that the thread shall wait for output before it calls `on_quiet`; None: no limit."""

    def on_quiet(self) -> None:
        """Nothing was left to read when the patience ended."""


@dataclass(frozen=True, slots=True)
class Launch:
    """How to run the program: its arguments, whole environment, and private folder, which ends with it."""

    argv: Sequence[str]
    env: Mapping[str, str]
    folder: Path

    @property
    def cwd(self) -> str:
        """The working folder: the host's, so that relative paths in a configuration mean what their writer means."""
        try:
            return str(Path.cwd())
        except FileNotFoundError:  # removed under the host
            return str(self.folder)


class Supervisor:
    """One program that runs until `stop`, whatever happens to it, to its sidecar or to its server.

    It starts a thread named ``frp-wrapper-supervisor-NAME``. In a forked child it is inert.

    Args:
        name: For the thread's name.
        launch: What to run.
        listener: Who is told.
    """

    def __init__(self, name: str, launch: Launch, listener: Listener) -> None:
        self._name = name
        self._launch = launch
        self._listener = listener
        self._logger = FRPLogger("supervisor")
        self._owner = os.getpid()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._sidecar: SidecarProcess | None = None
        self._pid: int | None = None
        self._replies: dict[int, _Reply] = {}
        self._ids = itertools.count(1)
        self._thread = threading.Thread(target=self._run, name=f"frp-wrapper-supervisor-{name}", daemon=True)
        self.starts = 0
        """How often the program was started; more than one means that it had to be restarted."""

    @property
    def pid(self) -> int | None:
        """The program's process id now, None while it is not running."""
        return self._pid

    @property
    def sidecar_pid(self) -> int | None:
        """The sidecar's process id now."""
        sidecar = self._sidecar
        return sidecar.pid if sidecar else None

    @property
    def is_ours(self) -> bool:
        """False in a child process that was forked from the owner."""
        return os.getpid() == self._owner

    def start(self) -> None:
        """Start the sidecar, the program in it, and the reader thread.

        Raises:
            ProcessError: No process can be started.
        """
        _register(self)
        self._spawn()
        self._thread.start()

    def stop(self) -> None:
        """End program, sidecar and thread, and remove the folder, in about five seconds at most; once is enough."""
        if not self.is_ours or self._stopping.is_set():
            return
        self._stopping.set()
        with self._lock:
            sidecar = self._sidecar
            if sidecar is not None:
                with contextlib.suppress(OSError):
                    sidecar.send({"op": "stop", "grace": _GRACE})
        self._thread.join(_GRACE + _SIDECAR_GRACE)
        if sidecar is not None:
            sidecar.reap(0.5)
        self._thread.join(1.0)
        self._sidecar = self._pid = None
        workdir.remove(self._launch.folder)
        _live.discard(self)

    def request(self, op: str, *, timeout: float = 5.0, **fields: Any) -> Message:
        """Ask the sidecar for something and wait for its answer.

        Raises:
            ProcessError: The sidecar answers with an error, or is gone.
            TimeoutError: No answer within ``timeout`` seconds.
        """
        reply = _Reply()
        number = next(self._ids)
        self._replies[number] = reply
        try:
            self._send({"op": op, "id": number, **fields})
            if not reply.ready.wait(timeout):
                raise TimeoutError(f"the sidecar did not answer {op} within {timeout:g} s", hint="Try again.")
        finally:
            del self._replies[number]
        if "error" in reply.message:
            raise ProcessError(f"the sidecar could not do {op}: {reply.message['error']}")
        return reply.message

    def _send(self, message: Message) -> None:
        with self._lock:
            if self._sidecar is None or not self.is_ours:
                raise ProcessError("the sidecar is not running", hint="Connect first.")
            try:
                self._sidecar.send(message)
            except OSError as exc:
                raise ProcessError(
                    f"the sidecar is gone: {exc}", hint="It is being restarted; try again."
                ) from exc

    def _spawn(self) -> None:
        sidecar = SidecarProcess(self._launch.folder)
        launch = self._launch
        with self._lock:
            if self._stopping.is_set():
                sidecar.abort()
                return
            self._sidecar = sidecar
            with contextlib.suppress(OSError):  # one that died at once is noticed by the reader
                sidecar.send(
                    {
                        "op": "run",
                        "argv": list(launch.argv),
                        "env": dict(launch.env),
                        "cwd": launch.cwd,
                    }
                )

    # On the reader thread

    def _run(self) -> None:
        backoff = Backoff()
        while True:
            began = time.monotonic()
            sidecar = self._sidecar
            assert sidecar is not None
            for message in sidecar.messages(self._listener.patience):
                self._handle_safely(message)
            if self._stopping.is_set():
                return
            self._on_sidecar_death(sidecar)
            if not self._respawn(backoff, began):
                return

    def _on_sidecar_death(self, sidecar: SidecarProcess) -> None:
        sidecar.reap(0.0)
        pid, self._pid = self._pid, None
        if pid is not None:
            end_orphan(pid, self._launch.folder)
            self._listener.on_ended(None, 0.0)

    def _respawn(self, backoff: Backoff, began: float) -> bool:
        while not self._stopping.wait(backoff.next_wait(time.monotonic() - began)):
            try:
                self._spawn()
            except (ProcessError, OSError):  # no process to be had now: wait longer, try again
                continue
            if self._stopping.is_set():
                return False
            self._listener.on_repaired()
            return True
        return False

    def _handle_safely(self, message: Message | bytes | None) -> None:
        """Let nothing that a listener raises end the thread that drains frpc."""
        try:
            self._handle(message)
        except Exception as exc:  # noqa: BLE001 - whatever it is
            self._logger.log_error(exc, {"supervisor": self._name})

    def _handle(self, message: Message | bytes | None) -> None:
        if message is None:
            self._listener.on_quiet()
            return
        if isinstance(message, bytes):
            self._listener.on_output(message)
            return
        match message["op"]:
            case "started":
                self.starts += 1
                self._pid = message["pid"]
                self._listener.on_started(message["pid"])
            case "exited":
                self._pid = None
                self._listener.on_ended(message["code"], message["retry_in"])
            case "failed":
                self._listener.on_failed(message["error"])
            case "dropped":
                self._listener.on_dropped(message["bytes"])
            case "reply":
                reply = self._replies.get(message["id"])
                if reply is not None:
                    reply.message = message
                    reply.ready.set()

    def _forget(self) -> None:
        """In a forked child: hold nothing of the parent's open, or its death would go unseen."""
        if self._sidecar is not None:
            self._sidecar.abandon()
        self._lock = threading.Lock()  # the parent's may be held by a thread that does not exist here
        self._sidecar = self._pid = None


class _Reply:
    def __init__(self) -> None:
        self.ready = threading.Event()
        self.message: Message = {}


_live: weakref.WeakSet[Supervisor] = weakref.WeakSet()
_hooks = threading.Lock()
_hooked = False


def _register(supervisor: Supervisor) -> None:
    """Note a running supervisor; the process-wide hooks are set with the first one, not at import."""
    global _hooked  # noqa: PLW0603 - the hooks are the process's, and can be set only once
    with _hooks:
        _live.add(supervisor)
        if not _hooked:
            _hooked = True
            atexit.register(_stop_all)
            os.register_at_fork(after_in_child=_forget_all)


def _stop_all() -> None:
    for supervisor in list(_live):
        supervisor.stop()


def _forget_all() -> None:
    for supervisor in list(_live):
        supervisor._forget()
    _live.clear()
