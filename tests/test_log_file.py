"""The file of a log: rotation, compression, bounds, and what happens when the world around it misbehaves."""

from __future__ import annotations

import contextlib
import fcntl
import gzip
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from frp_wrapper.monitoring.log_file import RotatingFile
from frp_wrapper.monitoring.log_output import LogOutput, open_output

DAY = 24 * 3600.0


def rotating(
    path: Path,
    *,
    max_bytes: int = 1 << 20,
    max_age: float = DAY,
    keep_bytes: int = 1 << 20,
    keep_age: float = 30 * DAY,
) -> RotatingFile:
    """Make a file with bounds that matter to nobody but whoever gives them."""
    return RotatingFile(path, max_bytes, max_age, keep_bytes, keep_age)


def output(path: Path, **bounds: int) -> LogOutput:
    """Make an output with a file and no console."""
    limits = {"max_bytes": 1 << 20, "max_age": DAY, "keep_bytes": 1 << 20, "keep_age": 30 * DAY} | bounds
    return open_output(20, console=False, json_file=path, **limits)  # type: ignore[arg-type]


def older(folder: Path) -> list[Path]:
    """Give the older files of ``log``, oldest first."""
    return sorted(path for path in folder.iterdir() if path.name.startswith("log."))


def read_all(folder: Path) -> list[bytes]:
    """Give the lines of ``log`` and its older files, compressed or not."""
    data = [
        gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for path in older(folder)
    ]
    return b"".join([*data, (folder / "log").read_bytes()]).splitlines()


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for a condition, at most ten seconds."""
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_rotation_loses_nothing(tmp_path: Path) -> None:
    """A full file is set aside and compressed; every record of every thread is there, once, and whole."""
    with output(tmp_path / "log", max_bytes=10_000, keep_bytes=1 << 30) as log:

        def write(name: int) -> None:
            for number in range(1000):
                log.write("info", "test", "event", {"thread": name, "number": number})

        threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    records = [json.loads(line) for line in read_all(tmp_path)]
    assert len(records) == len({(record["thread"], record["number"]) for record in records}) == 4000
    assert log.lost == 0
    assert (tmp_path / "log").stat().st_size <= 10_000
    assert {path.suffix for path in older(tmp_path)} == {".gz"}


def test_only_this_user_can_read(tmp_path: Path) -> None:
    """The file is private also where there was one that all could read, and so are the older ones."""
    (tmp_path / "log").touch(0o644)
    file = rotating(tmp_path / "log", max_bytes=10)
    for _ in range(3):
        file.write(b"12345678\n", time.time())
    file.close()
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_total_is_bounded_at_any_moment(tmp_path: Path) -> None:
    """Older files, those that wait to be compressed and what is half compressed never exceed the total together."""
    bound, largest, done = 60_000, 0, threading.Event()
    file = rotating(tmp_path / "log", max_bytes=10_000, keep_bytes=bound)

    def watch() -> None:
        nonlocal largest
        while not done.is_set():
            sizes = []
            for path in older(tmp_path):
                with contextlib.suppress(FileNotFoundError):
                    sizes.append(path.stat().st_size)
            largest = max(largest, sum(sizes))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for _ in range(2000):
        file.write(os.urandom(500).hex().encode() + b"\n", time.time())
    file.close()
    done.set()
    watcher.join()
    # a look takes a while, and counts a file under its old name and under its new one
    assert largest <= bound + 20_000
    assert bound // 2 < sum(path.stat().st_size for path in older(tmp_path)) <= bound


def test_what_was_left_counts(tmp_path: Path) -> None:
    """Whatever a killed process has left counts in the total from the start: the oldest go first."""
    for day, suffix in enumerate(("", ".gz", ".gz.part", ""), start=1):
        (tmp_path / f"log.2026010{day}-030405-000000001{suffix}").write_bytes(b"x" * 1000)
    (tmp_path / "log.other").write_bytes(b"x" * 1000)
    rotating(tmp_path / "log", keep_bytes=1500, keep_age=100 * 365 * DAY).close()
    assert [path.name for path in older(tmp_path)] == ["log.20260104-030405-000000001.gz", "log.other"]


def test_what_a_killed_process_left_is_compressed(tmp_path: Path) -> None:
    """A file that was set aside and not yet, or half, compressed when its process was killed is compressed by the next."""
    (tmp_path / "log.20260102-030405-000000001").write_bytes(b"old\n")
    (tmp_path / "log.20260102-030405-000000001.gz.part").write_bytes(b"half")
    rotating(tmp_path / "log", keep_age=100 * 365 * DAY).close()
    assert [path.name for path in older(tmp_path)] == ["log.20260102-030405-000000001.gz"]
    assert read_all(tmp_path) == [b"old"]


def test_old_files_go(tmp_path: Path) -> None:
    """A file that was set aside longer ago than ``keep_age`` is removed, whatever the total."""
    recent = time.strftime("%Y%m%d-%H%M%S", time.gmtime(time.time() - 3000))
    for stamp in ("20200102-030405", recent):
        (tmp_path / f"log.{stamp}-000000001.gz").write_bytes(gzip.compress(b"line\n"))
    rotating(tmp_path / "log", keep_age=3600).close()
    assert [path.name for path in older(tmp_path)] == [f"log.{recent}-000000001.gz"]


def test_files_of_the_future_go_first(tmp_path: Path) -> None:
    """After the clock was set back, files of the time that is no more do not outlive new ones."""
    for stamp in ("20260102-030405", "21000102-030405"):
        (tmp_path / f"log.{stamp}-000000001.gz").write_bytes(b"x" * 1000)
    rotating(tmp_path / "log", keep_bytes=1500, keep_age=100 * 365 * DAY).close()
    assert [path.name for path in older(tmp_path)] == ["log.20260102-030405-000000001.gz"]


def test_an_old_file_is_set_aside(tmp_path: Path) -> None:
    """Age rotates too, counted from the first line; an empty file does not grow old."""
    file = rotating(tmp_path / "log", max_age=100)
    began = time.time() + 1000
    file.write(b"one\n", began)
    file.write(b"two\n", began + 99)
    file.write(b"three\n", began + 101)
    file.close()
    assert (tmp_path / "log").read_bytes() == b"three\n"
    assert read_all(tmp_path) == [b"one", b"two", b"three"]


def test_age_survives_a_restart(tmp_path: Path) -> None:
    """The age of a file that is taken up again is that of its first record, not of its last."""
    (tmp_path / "log").write_text('{"timestamp":"2020-01-02T03:04:05.678+00:00","event":"old"}\n')
    file = rotating(tmp_path / "log")
    file.write(b"new\n", time.time())
    file.close()
    assert (tmp_path / "log").read_bytes() == b"new\n"


def test_a_clock_that_is_set_back(tmp_path: Path) -> None:
    """Lines go on when the clock is set back by a day, and the file is not rotated for it."""
    file = rotating(tmp_path / "log")
    for step in (0, -DAY, -DAY + 1, DAY / 2 - DAY):
        file.write(b"x\n", time.time() + step)
    file.close()
    assert (tmp_path / "log").read_bytes() == b"x\n" * 4
    assert not older(tmp_path)


def test_a_file_is_taken_up_again(tmp_path: Path) -> None:
    """A second run appends to what is there; half a line of a killed process does not spoil the next."""
    for text in (b"one\n", b"two\nhalf"):
        file = rotating(tmp_path / "log")
        file.write(text, time.time())
        file.close()
    file = rotating(tmp_path / "log")
    file.write(b"three\n", time.time())
    file.close()
    assert (tmp_path / "log").read_bytes() == b"one\ntwo\nhalf\nthree\n"


def test_a_full_disk_is_counted(tmp_path: Path) -> None:
    """What cannot be written is counted, and does not raise into the program that logs."""
    (tmp_path / "log").symlink_to("/dev/full")
    file = rotating(tmp_path / "log")
    file.write(b"x\ny\n", time.time())
    file.close()
    assert file.lost == 2


def test_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    """What the system takes of a line that does not fit is taken back; the limit of the process stands for the disk's."""
    code = (
        "import resource, sys, time; from pathlib import Path\n"
        "from frp_wrapper.monitoring.log_file import RotatingFile\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1050, 1050))\n"
        "file = RotatingFile(Path(sys.argv[1]), 1 << 20, 1e6, 1 << 20, 1e6)\n"
        "for _ in range(3): file.write(b'x' * 199 + b'\\n' + b'y' * 199 + b'\\n', time.time())\n"
        "file.write(b'z' * 49 + b'\\n', time.time())\n"
        "print(file.lost)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "log"], capture_output=True, text=True, check=True
    )
    lines = (tmp_path / "log").read_bytes().split(b"\n")
    assert [len(line) for line in lines] == [199, 199, 199, 199, 199, 49, 0]
    assert result.stdout == "1\n"


def test_a_folder_that_is_removed(tmp_path: Path) -> None:
    """A file or folder that somebody removes is made again within a second."""
    file = rotating(tmp_path / "logs" / "log")
    now = time.time()
    file.write(b"one\n", now)
    (tmp_path / "logs" / "log").unlink()
    (tmp_path / "logs").rmdir()
    file.write(b"two\n", now + 1.1)
    file.close()
    assert (tmp_path / "logs" / "log").read_bytes() == b"two\n"


def test_a_folder_that_cannot_be_made_again(tmp_path: Path) -> None:
    """Lines that go nowhere are counted, until the file can be opened again."""
    file = rotating(tmp_path / "logs" / "log")
    now = time.time()
    (tmp_path / "logs").rename(tmp_path / "elsewhere")
    (tmp_path / "logs").touch()
    file.write(b"one\n", now + 1.1)
    (tmp_path / "logs").unlink()
    file.write(b"two\n", now + 1.2)
    file.close()
    assert file.lost == 1
    assert (tmp_path / "logs" / "log").read_bytes() == b"two\n"


def test_a_file_that_cannot_be_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the folder may not be written the file does not outgrow its bound, and what is lost is counted."""

    def refuse(*_: object) -> Path:  # stands for a folder of somebody else's; root may write to any
        raise PermissionError

    file = rotating(tmp_path / "log", max_bytes=10)
    monkeypatch.setattr(Path, "rename", refuse)
    for _ in range(3):
        file.write(b"12345\n", time.time())
    file.close()
    assert (tmp_path / "log").read_bytes() == b"12345\n"
    assert file.lost == 2


def test_what_is_no_file_is_only_written_to(tmp_path: Path) -> None:
    """A FIFO, or ``/dev/stdout``, is neither counted nor renamed."""
    os.mkfifo(tmp_path / "log")
    reader = os.open(tmp_path / "log", os.O_RDONLY | os.O_NONBLOCK)
    file = rotating(tmp_path / "log", max_bytes=5, max_age=0.001)
    for _ in range(3):
        file.write(b"12345\n", time.time() + 10)
    file.close()
    assert os.read(reader, 100) == b"12345\n" * 3
    os.close(reader)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    """What a symbolic link leads to is rotated, where it is."""
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "log").touch()
    (tmp_path / "link").symlink_to(tmp_path / "there" / "log")
    file = rotating(tmp_path / "link", max_bytes=5)
    for _ in range(2):
        file.write(b"12345\n", time.time())
    file.close()
    assert (tmp_path / "link").is_symlink()
    assert len(older(tmp_path / "there")) == 1


def test_a_program_that_changes_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative path stays where it was."""
    monkeypatch.chdir(tmp_path)
    file = rotating(Path("log"), max_bytes=5)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    for _ in range(2):
        file.write(b"12345\n", time.time())
    file.close()
    assert len(older(tmp_path)) == 1
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_another_process_writes_to_is_left(tmp_path: Path) -> None:
    """A file that was set aside is not compressed before the last writer has left it."""
    file = rotating(tmp_path / "log", max_bytes=5)
    with (tmp_path / "log").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        for text in (b"one\n", b"two\n"):
            file.write(text, time.time())
        file.close()
        other.write(b"late\n")
    assert read_all(tmp_path) == [b"one", b"late", b"two"]
    rotating(tmp_path / "log").close()
    assert [path.suffix for path in older(tmp_path)] == [".gz"]
    assert read_all(tmp_path) == [b"one", b"late", b"two"]


def test_two_processes_with_one_file(tmp_path: Path) -> None:
    """Two processes may log to one file, and each rotates it: every record of both is there, once, and whole."""
    code = (
        "import sys, time; from pathlib import Path\n"
        "from frp_wrapper.monitoring.log_output import open_output\n"
        "bounds = dict(max_bytes=20_000, max_age=1e6, keep_bytes=1 << 30, keep_age=1e6)\n"
        "with open_output(20, console=False, json_file=sys.argv[1], **bounds) as log:\n"
        "    for number in range(3000):\n"
        "        log.write('info', 'test', 'event', {'who': sys.argv[2], 'number': number})\n"
        "        if number in (1000, 2000): time.sleep(1.1)\n"  # as long as it takes to see what the other has done
    )
    both = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "log", who]) for who in "ab"]
    assert [process.wait(60) for process in both] == [0, 0]
    rotating(tmp_path / "log").close()  # compresses what neither could, as the other was there
    records = [json.loads(line) for line in read_all(tmp_path)]
    assert len(records) == len({(record["who"], record["number"]) for record in records}) == 6000
    assert {path.suffix for path in older(tmp_path)} == {".gz"}


def test_a_fork(tmp_path: Path) -> None:
    """A child neither writes again what its parent had gathered, nor tells what that has counted, nor hangs; it may log."""
    code = (
        "import os, sys\n"
        "from frp_wrapper.monitoring.log_output import open_output\n"
        "bounds = dict(max_bytes=1 << 20, max_age=1e6, keep_bytes=1 << 20, keep_age=1e6)\n"
        "log = open_output(20, console=False, json_file=sys.argv[1], **bounds)\n"
        "for event in ('first', 'second', 'second', 'third'): log.write('info', 'test', event, {})\n"
        "log._lock.acquire()\n"  # as another thread might at this moment
        "child = os.fork()\n"
        "if child: log._lock.release(); assert os.waitpid(child, 0)[1] == 0\n"
        "log.write('info', 'test', 'child' if not child else 'parent', {})\n"
        "log.close()"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "log"], check=True, timeout=60)
    records = [json.loads(line) for line in (tmp_path / "log").read_bytes().splitlines()]
    told = sorted((record["event"], record.get("repeated", 0)) for record in records)
    assert told == [("child", 0), ("first", 0), ("parent", 0), ("second", 0), ("second", 1), ("third", 0)]


def test_a_killed_process(tmp_path: Path) -> None:
    """Of a process that is killed, what came in its time is there, and what came in a hurry at least in whole lines."""
    code = (
        "import os, signal, sys, time\n"
        "from frp_wrapper.monitoring.log_output import open_output\n"
        "bounds = dict(max_bytes=1 << 30, max_age=1e6, keep_bytes=1 << 20, keep_age=1e6)\n"
        "log = open_output(20, console=False, json_file=sys.argv[1], **bounds)\n"
        "for number in range(10): log.write('info', 'test', 'calm', {'number': number}); time.sleep(0.002)\n"
        "for number in range(5000): log.write('info', 'test', 'hurry', {'number': number})\n"
        "log.write('error', 'test', 'urgent', {})\n"
        "for number in range(50): log.write('info', 'test', 'late', {'number': number})\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "log"], timeout=60)
    events = [json.loads(line)["event"] for line in (tmp_path / "log").read_bytes().splitlines()]
    assert events[:5011] == ["calm"] * 10 + ["hurry"] * 5000 + ["urgent"]


def test_what_waits_is_written_soon(tmp_path: Path) -> None:
    """Lines of a burst are on the disk a moment later, though nothing comes after them."""
    with output(tmp_path / "log") as log:
        for number in range(5):
            log.write("info", "test", "event", {"number": number})
        wait_until(lambda: (tmp_path / "log").read_bytes().count(b"\n") == 5)


def test_flush_writes_at_once(tmp_path: Path) -> None:
    """After `flush` all is on the disk, and so is all before a record of level warning."""
    with output(tmp_path / "log") as log:
        for number in range(5):
            log.write("info", "test", "event", {"number": number})
        log.flush()
        assert len(read_all(tmp_path)) == 5
        log.write("info", "test", "event", {"number": 6})
        log.write("warning", "test", "event", {"number": 7})
        assert len(read_all(tmp_path)) == 7


def test_a_closed_output_counts(tmp_path: Path) -> None:
    """What comes after `close` is counted as lost, not kept for ever."""
    log = output(tmp_path / "log")
    log.close()
    for number in range(3):
        log.write("info", "test", "event", {"number": number})
    assert log.lost == 3
