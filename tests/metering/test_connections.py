"""What follows from single connections: who moved the most, and how fast the open ones are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from frp_wrapper.metering import visitors as visitors_module
from frp_wrapper.metering.connection import Connection
from frp_wrapper.metering.connection_rates import ConnectionRates
from frp_wrapper.metering.visitors import Visitors
from frp_wrapper.monitoring.counters import default_counters

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def connection(
    visitor: str | None, sent: int | None = 0, received: int | None = 0, *, minutes: int | None = None
) -> Connection:
    """Give a connection that began at noon."""
    closed = NOON + timedelta(minutes=minutes) if minutes is not None else None
    return Connection(visitor, NOON, closed, sent, received, "127.0.0.1:1")


def test_top_visitors() -> None:
    """Addresses without ports, the most bytes first, open connections included though they are not remembered."""
    visitors = Visitors()
    visitors.add(connection("192.0.2.1:5", 10, 5, minutes=1))
    visitors.add(connection("[2001:db8::1]:5", 100, minutes=2))
    visitors.add(connection(None, 1000, minutes=3))
    for _ in range(2):
        first, second = visitors.top(2, [connection("192.0.2.1:6", 300)])
        assert (first.address, first.connections, first.open_connections) == ("192.0.2.1", 2, 1)
        assert (first.bytes_sent, first.bytes_received, first.bytes_moved) == (310, 5, 315)
        assert (second.address, second.last_seen) == ("2001:db8::1", NOON + timedelta(minutes=2))
    assert [total.address for total in visitors.top(1)] == ["2001:db8::1"]


def test_many_visitors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the bound those that have moved the least are forgotten, and counted."""
    monkeypatch.setattr(visitors_module, "MOST_VISITORS", 10)
    monkeypatch.setattr(visitors_module, "_KEPT", 5)
    visitors = Visitors()
    for number in range(11):
        visitors.add(connection(f"192.0.2.{number}:1", 100 - number, minutes=1))
    assert [total.address for total in visitors.top(99)] == [f"192.0.2.{number}" for number in range(5)]
    assert visitors.forgotten == 6
    shown = {sample.name: sample.value for sample in default_counters.collect()}
    assert shown["frp_wrapper_visitors_forgotten_total"] >= 6


def test_rates_of_open_connections() -> None:
    """A rate is that since the look before, half a second ago at least; the first look gives none."""
    now = [100.0]
    rates = ConnectionRates(lambda: now[0])
    old, unknown = connection("192.0.2.1:1", 1000, 0), connection("192.0.2.2:1", None, None)
    assert [one.sent_per_second for one in rates.rated([old, unknown])] == [None, None]
    now[0] += 0.1
    assert rates.rated([old])[0].sent_per_second is None
    now[0] += 0.9
    young = replace(connection("192.0.2.3:1", 50, 20), opened_at=NOON + timedelta(seconds=1))
    moved = rates.rated([replace(old, bytes_sent=3000), unknown, young])
    assert [one.sent_per_second for one in moved] == [2000.0, None, 50.0]
    assert [one.received_per_second for one in moved] == [0.0, None, 20.0]
    now[0] += 0.2  # another asks just after: it gets the rate since the look before the last
    assert rates.rated([replace(old, bytes_sent=3000)])[0].sent_per_second == pytest.approx(2000 / 1.2)
    now[0] += 100.0
    assert rates.rated([old])[0].sent_per_second is None
