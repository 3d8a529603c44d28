"""Repeated records: what is counted, when it is told, and that no record is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.monitoring.log_fold import Folding


def folded(events: list[tuple[float, str]]) -> list[tuple[str, int, float]]:
    """Give the lines that come of records at some times: event, how many records it stands for, and the time of it."""
    folding, made = Folding(), []

    def tell() -> None:
        made.extend((repeats.record[2], repeats.count, repeats.last) for repeats in folding.ended)
        folding.ended.clear()

    for at, event in events:
        stands_for = folding.take(event.encode(), ("info", "test", event, {}), at)
        tell()
        if stands_for:
            made.append((event, stands_for, at))
    folding.end_all()
    tell()
    return made


def test_the_window_of_folding() -> None:
    """Five seconds after a line the next record tells what was counted, with the time of the last of them."""
    assert folded([(100, "a"), (101, "a"), (102, "a"), (200, "b")]) == [
        ("a", 1, 100),
        ("a", 2, 102),
        ("b", 1, 200),
    ]


def test_a_record_that_goes_on() -> None:
    """A record that keeps coming is one line in five seconds, which stands for those since the line before."""
    events = [(100 + number / 10, "a") for number in range(101)]
    assert folded(events) == [("a", 1, 100.0), ("a", 50, 105.0), ("a", 50, 110.0)]


def test_a_clock_that_is_set_back() -> None:
    """After the clock was set back nothing is held back for longer than before."""
    assert folded([(100, "a"), (101, "a"), (50, "b"), (51, "a")]) == [
        ("a", 1, 100), ("a", 1, 101), ("b", 1, 50), ("a", 1, 51),
    ]  # fmt: skip


@given(st.lists(st.tuples(st.floats(0, 3), st.integers(0, 80)), max_size=300))
def test_no_record_is_lost_by_folding(steps: list[tuple[float, int]]) -> None:
    """The lines stand for exactly the records that came, for any of them, however many are different."""
    now, events = 1000.0, []
    for step, number in steps:
        now += step
        events.append((now, str(number)))
    told: Counter[str] = Counter()
    for event, count, _ in folded(events):
        told[event] += count
    assert told == Counter(event for _, event in events)
