"""The host's end of one sidecar process: start it, talk to it, see it end."""

from __future__ import annotations

import contextlib
import math
import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from frp_wrapper.errors import ProcessError
from frp_wrapper.sidecar.wire import Decoder, Message, WireError, encode

# -I and -S: neither the user's environment nor site-packages may change what runs beside them, and it starts faster.
_BOOTSTRAP = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from frp_wrapper.sidecar.__main__ import main; main(sys.argv[1:])  # frp-wrapper sidecar"
)
_PACKAGE_PARENT = str(Path(__file__).resolve().parents[2])


class SidecarProcess:
    """One running sidecar; the caller reads `messages` on a thread of its own.

    Args:
        folder: The private folder, which the sidecar removes if we die without doing so.

    Raises:
        ProcessError: The Python interpreter cannot be started.
    """

    def __init__(self, folder: Path) -> None:
        ours, theirs = socket.socketpair()
        ours.set_inheritable(False)
        self._socket = ours
        log = folder / "sidecar.log"
        with theirs, log.open("wb") as stderr:
            log.chmod(0o600)
            try:
                self._process = subprocess.Popen(
                    [
                        *(sys.executable, "-I", "-S", "-c", _BOOTSTRAP, _PACKAGE_PARENT),
                        *(str(theirs.fileno()), str(os.getpid()), str(folder)),
                    ],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    cwd=folder,
                    pass_fds=[theirs.fileno()],
                    start_new_session=True,  # Ctrl-C in the terminal is for the host; it ends us in order
                )
            except (OSError, ValueError) as exc:
                ours.close()
                raise ProcessError(
                    f"cannot start the helper process with {sys.executable!r}: {exc}",
                    hint="Check the limits on processes and files (ulimit -u, ulimit -n) and free memory.",
                ) from exc
        self._socket.settimeout(None)

    @property
    def pid(self) -> int:
        """The process id of the sidecar."""
        return self._process.pid

    def send(self, message: Mapping[str, Any]) -> None:
        """Send a control message.

        Raises:
            OSError: The sidecar is gone.
        """
        self._socket.sendall(encode(message))

    def messages(self, patience: Callable[[], float | None]) -> Iterator[Message | bytes | None]:
        """Give what the sidecar says, until it ends.

        Args:
            patience: Gives the seconds to wait for the next message; when none are left, None is given once for each
                message or wait. None: no limit.
        """
        decoder = Decoder()
        poll = select.poll()
        poll.register(self._socket, select.POLLIN)
        while True:
            try:
                wait = patience()
                if wait is None or poll.poll(math.ceil(wait * 1000)):
                    data = self._socket.recv(1 << 18)
                    if not data:
                        return
                    yield from decoder.feed(data)
                if patience() == 0.0:
                    yield None
            except (OSError, WireError):
                return

    def reap(self, timeout: float) -> None:
        """Wait for the end of the process, by force when ``timeout`` seconds did not do, and close the socket."""
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()
        self._socket.close()

    def abort(self) -> None:
        """End a sidecar that is not wanted any more."""
        self._process.send_signal(signal.SIGKILL)
        self.reap(1.0)

    def abandon(self) -> None:
        """In a forked child: let go of the parent's sidecar without touching it."""
        with contextlib.suppress(OSError):
            self._socket.close()
        self._process.returncode = 0  # not our child: it must be neither waited for nor warned about


def end_orphan(pid: int, folder: Path) -> None:
    """End the program of a sidecar that was killed, where the kernel has not done it for us.

    Linux kills it with its parent. Elsewhere the process is looked up, and must name ``folder`` in its arguments:
    by now the pid could belong to somebody else.
    """
    if sys.platform.startswith("linux"):
        return
    listing = subprocess.run(
        ["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False, timeout=5
    )
    if str(folder) in listing.stdout:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
