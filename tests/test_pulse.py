"""The pulse tells a server that does not answer from one that answers slowly."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from frp_wrapper.pulse import Pulse


class Line:
    """frpc, its heartbeats and a clock, in a world without threads.

    Args:
        milliseconds: Whether frpc writes its times as it does since 0.55.
    """

    def __init__(self, *, milliseconds: bool = True) -> None:
        self.now = 1000.0
        self.pulse = Pulse(lambda: self.now)
        self._milliseconds = milliseconds

    def _note(self, message: str) -> bool:
        time = datetime.fromtimestamp(self.now, UTC)
        stamp = time.strftime("%Y-%m-%d %H:%M:%S") + (".000" if self._milliseconds else "")
        return self.pulse.note({"message": message, "time": time, "timestamp": stamp})

    def ask(self) -> None:
        """Let frpc send a heartbeat."""
        assert not self._note("send heartbeat to server")

    def answer(self) -> None:
        """Let the server answer one."""
        assert self._note("receive heartbeat from server")

    def beat(self, took: float, times: int = 1) -> None:
        """Let a second pass with a heartbeat that is answered in time."""
        for _ in range(times):
            self.ask()
            self.now += took
            self.answer()
            self.now += 1 - took


@pytest.mark.parametrize("milliseconds", [True, False])
def test_the_round_trip_is_measured(milliseconds: bool) -> None:
    """The time from heartbeat to answer is the latency, with either form of frpc's times."""
    line = Line(milliseconds=milliseconds)
    assert line.pulse.latency is None
    line.beat(0.05, times=20)
    assert line.pulse.latency == pytest.approx(0.05, abs=1e-3)


def test_an_answer_that_does_not_come() -> None:
    """A heartbeat without an answer is overdue within 0.8 s, once."""
    line = Line()
    line.beat(0.01, times=3)
    assert line.pulse.wait() is None
    line.ask()
    assert line.pulse.wait() == pytest.approx(0.8)
    line.now += 0.79
    assert not line.pulse.is_overdue()
    line.now += 0.02
    assert line.pulse.is_overdue()
    assert not line.pulse.is_overdue()


def test_a_slow_line_is_not_a_dead_one() -> None:
    """On a line whose answers take 1.2 s, longer than a heartbeat, only the first ones seem overdue."""
    line = Line()
    overdue = 0
    for step in range(400):
        if step % 10 == 0:
            line.ask()
        if step >= 12 and (step - 12) % 10 == 0:
            line.answer()
        if line.pulse.is_overdue() and step > 50:
            overdue += 1
        line.now += 0.1
    assert overdue == 0
    assert line.pulse.latency == pytest.approx(1.2, abs=0.1)


def test_an_outage_is_soon_forgotten() -> None:
    """Ten answers that come at once after an outage are no measure of the line: ten seconds later it is watched as before."""
    line = Line()
    line.beat(0.01, times=5)
    for _ in range(10):
        line.ask()
        line.now += 1
    for _ in range(10):
        line.answer()
    line.beat(0.01, times=10)
    line.ask()
    assert (line.pulse.wait() or 0) < 1.5


def test_a_machine_that_is_busy_itself_gives_no_verdict() -> None:
    """Who is woken late waits once more before calling the server silent."""
    line = Line()
    line.ask()
    line.now += 2.0
    assert not line.pulse.is_overdue()
    line.now += 0.21
    assert line.pulse.is_overdue()


def test_a_new_connection_owes_nothing() -> None:
    """After a reset no answer is awaited, and an answer that nothing asked for does no harm."""
    line = Line()
    line.ask()
    line.pulse.reset()
    assert line.pulse.wait() is None
    line.answer()
    assert line.pulse.latency is None
