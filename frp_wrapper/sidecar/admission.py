"""Who may come in: rules by address, a limit of open connections, and limits of new ones a second."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from frp_wrapper.sidecar.news import News, row
from frp_wrapper.sidecar.slots import Field, Slots

_VISITORS = 4096
"""Addresses whose rate is remembered."""
_SITE = 64
"""Leading bits of an IPv6 address that stand for one visitor: whoever has one such address has 2**64."""

REFUSALS: Mapping[str, tuple[Field, str]] = {
    "visitor_not_allowed": (Field.REFUSED_NOT_ALLOWED, "refused: the visitor's address is not allowed"),
    "visitor_unknown": (Field.REFUSED_UNKNOWN, "refused: the visitor's address is not known"),
    "connection_limit": (Field.REFUSED_LIMIT, "refused: too many open connections"),
    "connection_rate": (Field.REFUSED_RATE, "refused: too many new connections a second"),
    "visitor_rate": (
        Field.REFUSED_VISITOR_RATE,
        "refused: too many new connections a second of this visitor",
    ),
}
"""Why somebody is refused: where it is counted, and how it is said. The first two stay so; the others pass."""
LASTING = frozenset({"visitor_not_allowed", "visitor_unknown"})

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Networks:
    """A set of networks that is asked often: one look-up for each length of prefix that occurs.

    Args:
        networks: Addresses and networks, IPv4 and IPv6.

    Raises:
        ValueError: One of them is neither.
    """

    def __init__(self, networks: Iterable[str]) -> None:
        self._prefixes: dict[tuple[int, int], set[int]] = {}
        for text in networks:
            network = ipaddress.ip_network(text)
            shift = network.max_prefixlen - network.prefixlen
            prefixes = self._prefixes.setdefault((network.version, shift), set())
            prefixes.add(int(network.network_address) >> shift)

    def __bool__(self) -> bool:
        return bool(self._prefixes)

    def __contains__(self, address: Address) -> bool:
        number = int(address)
        return any(
            version == address.version and number >> shift in prefixes
            for (version, shift), prefixes in self._prefixes.items()
        )


class Bucket:
    """A token bucket: one second's worth of tokens, at least one, that fills again at the rate."""

    __slots__ = ("_at", "_tokens")

    def __init__(self, rate: float, now: float) -> None:
        self._tokens = max(1.0, rate)
        self._at = now

    def take(self, rate: float, now: float) -> bool:
        """Take a token; False when there is none."""
        self._tokens = min(max(1.0, rate), self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def is_full(self, rate: float, now: float) -> bool:
        """Say whether it is as good as a new one."""
        return self._tokens + (now - self._at) * rate >= max(1.0, rate)


class Admission:
    """Decides about the connections of one tunnel; for one thread.

    Args:
        rules: ``allow`` and ``deny`` (lists of networks; deny wins, an empty ``allow`` allows all),
            ``max_connections``, ``connection_rate`` and ``visitor_connection_rate`` (new ones a second); None: no limit.
        visitors: Addresses whose rate is remembered.

    Raises:
        ValueError: What should be a network is none.
    """

    def __init__(self, rules: Mapping[str, Any], visitors: int = _VISITORS) -> None:
        self._allow = Networks(rules["allow"])
        self._deny = Networks(rules["deny"])
        self._most: int | None = rules["max_connections"]
        self._rate: float | None = rules["connection_rate"]
        self._visitor_rate: float | None = rules["visitor_connection_rate"]
        self._bucket = Bucket(self._rate or 0.0, time.monotonic())
        self._buckets: OrderedDict[tuple[int, int], Bucket] = OrderedDict()
        self._limit = visitors
        self.forgotten = 0
        """Addresses whose rate was forgotten before it was back to its full amount."""

    def refusal(self, visitor: str | None, open_now: int, now: float) -> str | None:
        """Say why a new connection may not come in, a key of `REFUSALS`; None: it may.

        Args:
            visitor: Its ``address:port``; None: not known.
            open_now: How many are open.
            now: Seconds of a monotonic clock.
        """
        if self._allow or self._deny or self._visitor_rate is not None:
            address = address_of(visitor)
            if address is None:
                return "visitor_unknown"
            if address in self._deny or (self._allow and address not in self._allow):
                return "visitor_not_allowed"
            if self._visitor_rate is not None and not self._take(address, self._visitor_rate, now):
                return "visitor_rate"
        if self._most is not None and open_now >= self._most:
            return "connection_limit"
        if self._rate is not None and not self._bucket.take(self._rate, now):
            return "connection_rate"
        return None

    def _take(self, address: Address, rate: float, now: float) -> bool:
        key = (address.version, int(address) >> _SITE if address.version == 6 else int(address))
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._limit:
                _, oldest = self._buckets.popitem(last=False)
                self.forgotten += not oldest.is_full(rate, now)
            bucket = self._buckets[key] = Bucket(rate, now)
        self._buckets.move_to_end(key)
        return bucket.take(rate, now)


class Guarded(Protocol):
    """A tunnel with rules, or without."""

    name: str
    slot: int
    admission: Admission | None

    @property
    def open_now(self) -> int:
        """How many of its connections are open."""


def refuse(gate: Guarded, visitor: str | None, peer: str, slots: Slots, news: News) -> str | None:
    """Say why a new connection is refused, a key of `REFUSALS`, and count and tell it; None: it may come in.

    Args:
        gate: The tunnel.
        visitor: The visitor's ``address:port``; None: not known.
        peer: frpc's ``address:port``.
        slots: Where to count.
        news: Where to tell.
    """
    admission = gate.admission
    if admission is None:
        return None
    before = admission.forgotten
    reason = admission.refusal(visitor, gate.open_now, time.monotonic())
    news.forgotten += admission.forgotten - before
    if reason is not None:
        field, text = REFUSALS[reason]
        slots.add(gate.slot, field, 1)
        slots.write(gate.slot, Field.LAST_ACTIVITY, time.time_ns())
        now = time.time()
        news.add(gate.name, "refused", row(visitor, peer, now, now, error=text, reason=reason))
    return reason


def address_of(visitor: str | None) -> Address | None:
    """Give the address in ``address:port``, an IPv4 one that is written as IPv6 as what it is; None: there is none."""
    if visitor is None:
        return None
    try:
        address = ipaddress.ip_address(visitor.rpartition(":")[0].strip("[]"))
    except ValueError:
        return None
    return (address.version == 6 and address.ipv4_mapped) or address
