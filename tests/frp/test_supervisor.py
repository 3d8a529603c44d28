"""The supervisor and its sidecar, with a small real program in the place of frpc."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from frp_wrapper.errors import ProcessError, TimeoutError
from frp_wrapper.frp import workdir
from frp_wrapper.frp.supervisor import Launch, Supervisor
from tests.processes import has_ended, start

TALKER = "import time\nwhile True:\n    print('tick', flush=True)\n    time.sleep(0.05)"
FLOOD = "import sys\nwhile True:\n    sys.stdout.write('x' * 65535 + '\\n')"
LAST_WORDS = "import sys\nsys.stdout.write('y' * 200_000 + ' the reason')\nsys.exit(7)"


class Recorder:
    """Notes what the supervisor tells."""

    def __init__(self) -> None:
        self.output = bytearray()
        self.started: list[int] = []
        self.ended: list[int | None] = []
        self.failed: list[str] = []
        self.dropped = 0
        self.repaired = 0
        self.slow = threading.Event()
        self.slow.set()

    def on_output(self, chunk: bytes) -> None:
        self.slow.wait(20)
        self.output += chunk

    def on_started(self, pid: int) -> None:
        self.started.append(pid)

    def on_ended(self, code: int | None, retry_in: float | None) -> None:
        self.ended.append(code)

    def on_failed(self, error: str) -> None:
        self.failed.append(error)

    def on_dropped(self, size: int) -> None:
        self.dropped += size

    def on_repaired(self) -> None:
        self.repaired += 1

    def patience(self) -> float | None:
        return None

    def on_quiet(self) -> None:
        raise AssertionError("no patience, no quiet")


def eventually(condition: Callable[[], object], timeout: float = 10.0) -> None:
    """Wait until a condition holds."""
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.01)


@pytest.fixture
def folder() -> Iterator[Path]:
    """Give a private folder as the product makes it."""
    path = workdir.create()
    yield path
    workdir.remove(path)


def supervise(folder: Path, code: str, recorder: Recorder) -> Supervisor:
    """Run a piece of Python under supervision."""
    launch = Launch([sys.executable, "-c", code], dict(os.environ), folder)
    supervisor = Supervisor("test", launch, recorder)
    supervisor.start()
    return supervisor


def test_the_output_of_the_program_arrives(folder: Path) -> None:
    """What the program prints reaches the listener, and its pid is known."""
    recorder = Recorder()
    supervisor = supervise(folder, TALKER, recorder)
    eventually(lambda: recorder.output.count(b"tick\n") >= 3)
    assert supervisor.pid == recorder.started[0]
    supervisor.stop()


def test_a_listener_that_raises_stops_nothing(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    """What a listener raises is logged; output goes on arriving."""

    class Raising(Recorder):
        def on_output(self, chunk: bytes) -> None:
            super().on_output(chunk)
            raise ValueError("from a listener")

    recorder = Raising()
    supervisor = supervise(folder, TALKER, recorder)
    eventually(lambda: recorder.output.count(b"tick\n") >= 3)
    supervisor.stop()
    assert "from a listener" in caplog.text


def test_a_killed_program_is_started_again(folder: Path) -> None:
    """After SIGKILL of the program another one runs, and the signal is reported."""
    recorder = Recorder()
    supervisor = supervise(folder, TALKER, recorder)
    eventually(lambda: recorder.started)
    os.kill(recorder.started[0], signal.SIGKILL)
    eventually(lambda: len(recorder.started) == 2)
    assert recorder.ended == [-signal.SIGKILL]
    supervisor.stop()


def test_a_killed_sidecar_is_replaced_and_leaves_no_program(folder: Path) -> None:
    """After SIGKILL of the sidecar its program is gone, and a new sidecar runs a new one."""
    recorder = Recorder()
    supervisor = supervise(folder, TALKER, recorder)
    eventually(lambda: recorder.started)
    assert supervisor.sidecar_pid is not None
    os.kill(supervisor.sidecar_pid, signal.SIGKILL)
    eventually(lambda: recorder.repaired == 1 and len(recorder.started) == 2)
    eventually(lambda: has_ended(recorder.started[0]))
    supervisor.stop()


def test_stop_leaves_no_process_and_is_idempotent(folder: Path) -> None:
    """After `stop` neither program nor sidecar exists, not even as a zombie."""
    recorder = Recorder()
    supervisor = supervise(folder, TALKER, recorder)
    eventually(lambda: recorder.started)
    sidecar = supervisor.sidecar_pid
    supervisor.stop()
    supervisor.stop()
    assert sidecar is not None
    assert has_ended(sidecar)
    assert has_ended(recorder.started[0])
    assert supervisor.pid is None


def test_a_program_that_ignores_sigterm_is_killed(folder: Path) -> None:
    """`stop` ends a program that does not want to end, in bounded time."""
    recorder = Recorder()
    code = "import signal, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + TALKER
    supervisor = supervise(folder, code, recorder)
    eventually(lambda: recorder.output)
    supervisor.stop()
    assert has_ended(recorder.started[0])


def test_the_last_words_of_a_program_are_not_lost(folder: Path) -> None:
    """All that a program printed before it ended arrives before its end is told."""
    recorder = Recorder()
    seen_at_end: list[bytes] = []
    on_ended = recorder.on_ended

    def note(code: int | None, retry_in: float | None) -> None:
        seen_at_end.append(bytes(recorder.output))
        on_ended(code, retry_in)

    recorder.on_ended = note  # type: ignore[method-assign] # the recorder is this test's own
    supervisor = supervise(folder, LAST_WORDS, recorder)
    eventually(lambda: recorder.ended)
    supervisor.stop()
    assert recorder.ended[0] == 7
    assert len(seen_at_end[0]) == 200_011
    assert seen_at_end[0].endswith(b" the reason")


def test_a_stalled_host_does_not_block_the_program(folder: Path) -> None:
    """While the host does not read, the program's output is drained; what does not fit is counted."""
    recorder = Recorder()
    recorder.slow.clear()
    supervisor = supervise(folder, FLOOD, recorder)
    eventually(lambda: recorder.started)
    process = psutil.Process(recorder.started[0])
    before = process.io_counters().write_chars
    eventually(lambda: process.io_counters().write_chars > before + (16 << 20))
    recorder.slow.set()
    eventually(lambda: recorder.dropped > 0)
    supervisor.stop()


def test_a_program_that_cannot_be_executed_is_reported(folder: Path) -> None:
    """A missing program is told as failed, with the reason, and the supervisor can be stopped."""
    recorder = Recorder()
    supervisor = Supervisor("test", Launch(["/nonexistent/program"], {}, folder), recorder)
    supervisor.start()
    eventually(lambda: recorder.failed)
    supervisor.stop()
    assert "No such file" in recorder.failed[0]


def test_an_unknown_request_times_out(folder: Path) -> None:
    """A request that the sidecar does not answer ends with a TimeoutError."""
    supervisor = supervise(folder, TALKER, Recorder())
    with pytest.raises(TimeoutError, match="did not answer"):
        supervisor.request("nonsense", timeout=0.2)
    supervisor.stop()


def test_a_request_after_stop_is_refused(folder: Path) -> None:
    """A request to a stopped supervisor raises ProcessError."""
    supervisor = supervise(folder, TALKER, Recorder())
    supervisor.stop()
    with pytest.raises(ProcessError):
        supervisor.request("relay_connections", name="x")


HOST = """
import os, sys, time
sys.path.insert(0, {parent!r})
from pathlib import Path
from frp_wrapper.frp import workdir
from frp_wrapper.frp.supervisor import Launch, Supervisor

class Listener:
    def on_started(self, pid): print(pid, supervisor.sidecar_pid, folder, flush=True)
    def __getattr__(self, name): return lambda *args: None

folder = workdir.create()
supervisor = Supervisor("host", Launch([sys.executable, "-c", {code!r}], dict(os.environ), folder), Listener())
supervisor.start()
time.sleep(0.3)
{then}
"""


def start_host(
    then: str, code: str = TALKER, **environment: str
) -> tuple[subprocess.Popen[str], int, int, Path]:
    """Run a host process of its own; give it, the program's pid, the sidecar's pid and the folder."""
    source = HOST.format(parent=str(Path(__file__).parents[2]), code=code, then=textwrap.dedent(then))
    host = start(sys.executable, "-c", source, stdout=subprocess.PIPE, env=os.environ | environment)
    assert host.stdout is not None
    program, sidecar, folder = host.stdout.readline().split()
    return host, int(program), int(sidecar), Path(folder)


def finish(host: subprocess.Popen[str]) -> None:
    """Wait for the end of a host."""
    host.wait(10)
    assert host.stdout is not None
    host.stdout.close()


def test_a_killed_host_leaves_nothing() -> None:
    """SIGKILL of the host ends program and sidecar, and the private folder goes away."""
    host, program, sidecar, folder = start_host("time.sleep(60)")
    host.kill()
    finish(host)
    eventually(lambda: has_ended(program) and has_ended(sidecar), timeout=2.0)
    assert not folder.exists()


def test_a_killed_host_leaves_nothing_though_a_forked_child_lives_on() -> None:
    """A child that was forked from the host does not keep the program alive when the host is killed."""
    host, program, sidecar, _ = start_host(
        """
        child = os.fork()
        if child == 0:
            time.sleep(30)
            os._exit(0)
        print(child, flush=True)
        time.sleep(60)
        """
    )
    assert host.stdout is not None
    child = int(host.stdout.readline())
    host.kill()
    finish(host)
    eventually(lambda: has_ended(program) and has_ended(sidecar), timeout=2.0)
    assert not has_ended(child)
    os.kill(child, signal.SIGKILL)


def test_a_forked_child_that_exits_does_not_end_the_program() -> None:
    """The end of a forked child, exit handlers and all, does not touch its parent's program."""
    host, program, _, _ = start_host(
        """
        child = os.fork()
        if child == 0:
            supervisor.stop()
            sys.exit(0)
        os.waitpid(child, 0)
        print("still here", supervisor.pid, flush=True)
        time.sleep(60)
        """
    )
    assert host.stdout is not None
    assert host.stdout.readline().split() == ["still", "here", str(program)]
    assert psutil.pid_exists(program)
    host.kill()
    finish(host)
    eventually(lambda: has_ended(program))


@pytest.mark.parametrize("then", ["sys.exit(3)", "raise RuntimeError('boom')", "pass"])
def test_the_end_of_the_interpreter_ends_the_program(then: str) -> None:
    """An interpreter that ends without `stop` leaves neither program nor sidecar, and keeps its exit code."""
    host, program, sidecar, _ = start_host(then + "\n")
    finish(host)
    assert host.returncode == {"sys.exit(3)": 3, "pass": 0}.get(then, 1)
    eventually(lambda: has_ended(program) and has_ended(sidecar), timeout=2.0)


def test_ctrl_c_ends_the_program() -> None:
    """SIGINT to the host alone ends everything through the ordinary way out of Python."""
    host, program, sidecar, _ = start_host("time.sleep(60)")
    host.send_signal(signal.SIGINT)
    finish(host)
    assert host.returncode in (1, -signal.SIGINT)
    eventually(lambda: has_ended(program) and has_ended(sidecar), timeout=2.0)


def test_leftovers_of_a_killed_pair_are_swept(tmp_path: Path) -> None:
    """The folder of a host that was killed together with its sidecar goes away with the next start."""
    host, program, sidecar, folder = start_host("time.sleep(60)", TMPDIR=str(tmp_path))
    os.kill(sidecar, signal.SIGSTOP)  # so that it cannot tidy up
    host.kill()
    finish(host)
    os.kill(sidecar, signal.SIGKILL)
    eventually(lambda: has_ended(program) and has_ended(sidecar), timeout=2.0)
    assert folder.exists()
    workdir.remove(workdir.create(tmp_path))
    assert not folder.exists()
