"""An frpc that somebody else runs: a plain process with a file of its own, of which the product knows nothing."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from frp_wrapper import FRPServer
from frp_wrapper.frp.binary import find
from frp_wrapper.frp.frpc import free_port
from frp_wrapper.metering.sockdiag import Dumper
from tests.integration.conftest import eventually
from tests.processes import start


class Foreign:
    """Runs frpc by ``subprocess``; its output goes to ``out.log`` in its folder, or nowhere.

    Args:
        folder: Where its file is.
        server: Where it logs in.
        local_port: Where its tunnels lead.
        names: Its tunnels, each with a public port in `ports`.
        more: More lines of its file, in front of the tunnels.
        log: Whether its output can be read.
        program: Which frpc; None: of the default version.
        each: More lines of each tunnel.
    """

    def __init__(
        self,
        folder: Path,
        server: FRPServer,
        local_port: int,
        names: tuple[str, ...] = ("web",),
        more: str = "",
        *,
        log: bool = True,
        program: Path | None = None,
        each: str = "",
    ) -> None:
        self.each = each
        self.program = program or find("frpc")
        self.folder = folder
        self.log = folder / "out.log" if log else None
        self.ports = {name: free_port() for name in names}
        self.file = folder / "frpc.toml"
        self.write(server, local_port, more)
        self.process = self.start()

    def write(self, server: FRPServer, local_port: int, more: str = "") -> None:
        """Write its file."""
        tunnels = "".join(
            f'[[proxies]]\nname = "{name}"\ntype = "tcp"\nlocalPort = {local_port}\nremotePort = {port}\n{self.each}\n'
            for name, port in self.ports.items()
        )
        self.file.write_text(
            f'serverAddr = "127.0.0.1"\nserverPort = {server.bind_port}\nauth.token = "{server.auth_token}"\n'
            f"loginFailExit = false\n{more}\n{tunnels}"
        )

    def start(self) -> subprocess.Popen[Any]:
        """Start it, as a service manager would."""
        with (self.log or Path(os.devnull)).open("ab") as output:
            self.process = start(
                self.program, "-c", "frpc.toml", cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )
        return self.process

    def end(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(10)


def settled(port: int) -> None:
    """Wait until nobody is connected to a service, and the kernel has told of it."""
    with closing(Dumper()) as kernel:
        eventually(lambda: not kernel.samples([port], ipv6=False))
    time.sleep(0.1)  # the kernel tells of the end of a connection a moment after it
