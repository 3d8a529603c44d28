"""What ``/proc`` tells of an frpc, with real ones."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from frp_wrapper.frp import processes
from frp_wrapper.frp.frpc import free_port
from tests.integration.conftest import eventually
from tests.processes import start

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="/proc is Linux's"),
]
TOML = 'serverAddr = "127.0.0.1"\nserverPort = 1\nloginFailExit = false\n'


def run(frpc: Path, folder: Path, *arguments: str) -> processes.FrpcProcess:
    """Start an frpc that has no server and look at it."""
    if not (folder / "a.toml").exists():  # one that starts may be reading it
        (folder / "a.toml").write_text(TOML)
    process = start(frpc, *arguments, cwd=folder, stdout=subprocess.DEVNULL)
    return processes.inspect(process.pid)


@pytest.mark.parametrize(
    "arguments",
    [("-c", "a.toml"), ("-c=a.toml",), ("-ca.toml",), ("--config", "./a.toml"), ("--config=a.toml",)],
)
def test_the_file_that_is_named(frpc_path: Path, tmp_path: Path, arguments: tuple[str, ...]) -> None:
    """However the command line names its file, it is found from where frpc was started."""
    found = run(frpc_path, tmp_path, *arguments)
    assert (found.config, found.file) == (tmp_path / "a.toml", tmp_path / "a.toml")
    assert found.is_running


def test_the_file_that_is_not_named(frpc_path: Path, tmp_path: Path) -> None:
    """Without a name it is frpc.ini; a command line that is the configuration has no file."""
    (tmp_path / "frpc.ini").write_text(TOML)
    assert run(frpc_path, tmp_path).config == tmp_path / "frpc.ini"
    alone = run(frpc_path, tmp_path, "tcp", "-s", "127.0.0.1:1", "-n", "a", "-l", "1", "-r", "2")
    assert alone.config is None


def test_where_its_output_goes(frpc_path: Path, tmp_path: Path) -> None:
    """A file that its output goes to is found; a terminal, a pipe and /dev/null are none."""
    assert run(frpc_path, tmp_path, "-c", "a.toml").output() is None
    with (tmp_path / "out").open("wb") as output:
        process = start(frpc_path, "-c", "a.toml", cwd=tmp_path, stdout=output)
    found = processes.inspect(process.pid)
    assert found.output() == tmp_path / "out"
    assert processes.writing(tmp_path / "out") == found


def test_the_same_again(frpc_path: Path, tmp_path: Path) -> None:
    """One with the same file is the same started again, one with another file is not; its end is seen."""
    first = run(frpc_path, tmp_path, "-c", "a.toml")
    again = run(frpc_path, tmp_path, "--config", "./a.toml")
    shutil.copy(tmp_path / "a.toml", tmp_path / "b.toml")
    other = run(frpc_path, tmp_path, "-c", "b.toml")
    assert again.is_same(first)
    assert not other.is_same(first)
    assert {first, again, other} <= set(processes.find_all())
    os.kill(first.pid, 15)
    eventually(lambda: not first.is_running)
    assert first not in processes.find_all()


def test_sockets() -> None:
    """The sockets that a process has open are told by their inodes."""
    before = processes.socket_inodes(os.getpid())
    with socket.socket() as one:
        inode = os.fstat(one.fileno()).st_ino
        assert processes.socket_inodes(os.getpid()) - before == {inode}
    assert inode not in processes.socket_inodes(os.getpid())


def test_a_port_that_is_not_frpcs() -> None:
    """A port where another program listens, or nobody, leads to no frpc."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert processes.listening(other.getsockname()[1]) is None
    assert processes.listening(free_port()) is None
