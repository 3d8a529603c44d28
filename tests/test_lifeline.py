"""When a tunnel was up, and how often it went and came."""

from __future__ import annotations

import pytest

from frp_wrapper.lifeline import Lifeline


class Life:
    """A lifeline and its clock."""

    def __init__(self) -> None:
        self.now = 50.0
        self.line = Lifeline(lambda: self.now)

    def passes(self, seconds: float, *, up: bool) -> None:
        """Let it be up or not for some time."""
        self.line.note(up=up)
        self.now += seconds


def test_uptime() -> None:
    """The uptime is since the last coming, and the share that of the time since the first."""
    life = Life()
    assert (life.line.uptime, life.line.uptime_percent) == (0.0, None)
    life.passes(5, up=False)
    life.passes(30, up=True)
    life.passes(10, up=False)
    life.passes(60, up=True)
    assert life.line.uptime == 60.0
    assert life.line.uptime_percent == pytest.approx(90.0)
    assert (life.line.reconnects, life.line.flaps) == (1, 1)


def test_nothing_counts_after_the_end() -> None:
    """A closed tunnel keeps its numbers, and its end is no flap."""
    life = Life()
    life.passes(30, up=True)
    life.line.end()
    life.passes(30, up=True)
    life.passes(30, up=False)
    assert (life.line.uptime, life.line.uptime_percent) == (0.0, 100.0)
    assert (life.line.reconnects, life.line.flaps) == (0, 0)


def test_flapping_is_told_once_until_it_is_steady() -> None:
    """Four changes within five minutes are flapping; it is told again only after a steady time."""
    life = Life()
    told = []
    for _ in range(6):
        life.passes(1, up=True)
        life.passes(1, up=False)
        told.append(life.line.begins_to_flap())
    assert told.count(True) == 1
    life.passes(400, up=True)
    assert not life.line.begins_to_flap()
    for _ in range(3):
        life.passes(1, up=False)
        life.passes(1, up=True)
    assert life.line.begins_to_flap()
