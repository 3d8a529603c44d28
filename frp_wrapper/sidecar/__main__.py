"""Start of the sidecar process: ``main(control_fd, host_pid, folder)``."""

from __future__ import annotations

import socket
import sys

from frp_wrapper.sidecar.service import Sidecar


def main(arguments: list[str]) -> None:
    """Serve the host that holds the other end of the descriptor in the first argument."""
    control_fd, host_pid, folder = arguments
    Sidecar(socket.socket(fileno=int(control_fd)), int(host_pid), folder or None).run()


if __name__ == "__main__":
    main(sys.argv[1:])
