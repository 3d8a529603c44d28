"""Who may come in: rules by address, limits and rates, as pure arithmetic."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frp_wrapper.sidecar.admission import Admission, Networks

NO_RULES: dict[str, Any] = {
    "allow": [],
    "deny": [],
    "max_connections": None,
    "connection_rate": None,
    "visitor_connection_rate": None,
}


def admission(**rules: Any) -> Admission:
    """Give the rules of a tunnel."""
    return Admission(NO_RULES | rules)


@pytest.mark.parametrize(
    ("rules", "visitor", "reason"),
    [
        ({"allow": ["203.0.113.0/24"]}, "203.0.113.9:5000", None),
        ({"allow": ["203.0.113.0/24"]}, "203.0.114.9:5000", "visitor_not_allowed"),
        ({"allow": ["203.0.113.9"]}, "203.0.113.9:5000", None),
        ({"allow": ["2001:db8::/32"]}, "[2001:db8::1]:5000", None),
        ({"allow": ["2001:db8::/32"]}, "[2001:db9::1]:5000", "visitor_not_allowed"),
        ({"allow": ["2001:db8::/32"]}, "203.0.113.9:5000", "visitor_not_allowed"),
        ({"deny": ["203.0.113.9"]}, "203.0.113.9:5000", "visitor_not_allowed"),
        ({"deny": ["203.0.113.9"]}, "203.0.113.8:5000", None),
        ({"deny": ["203.0.113.9"]}, "[::ffff:203.0.113.9]:5000", "visitor_not_allowed"),
        ({"allow": ["0.0.0.0/0"], "deny": ["203.0.113.0/24"]}, "203.0.113.9:5000", "visitor_not_allowed"),
        ({"allow": ["0.0.0.0/0"]}, None, "visitor_unknown"),
        ({"deny": ["203.0.113.9"]}, None, "visitor_unknown"),
        ({"deny": ["203.0.113.9"]}, "garbage", "visitor_unknown"),
        ({"max_connections": 5}, None, None),
    ],
)
def test_rules_by_address(rules: dict[str, Any], visitor: str | None, reason: str | None) -> None:
    """Deny wins over allow, families are told apart, and whose address is not known does not come in."""
    assert admission(**rules).refusal(visitor, 0, 0.0) == reason


@given(
    st.lists(
        st.ip_addresses(v=4).flatmap(lambda a: st.integers(0, 32).map(lambda n: f"{a}/{n}")), max_size=8
    ),
    st.ip_addresses(v=4),
)
def test_networks_agree_with_the_standard_library(texts: list[str], address: ipaddress.IPv4Address) -> None:
    """The quick look-up finds what a look at each network finds."""
    networks = [ipaddress.ip_network(text, strict=False) for text in texts]
    assert (address in Networks(str(network) for network in networks)) == any(
        address in network for network in networks
    )


def test_a_limit_of_open_connections() -> None:
    """As many as the limit says are let in, the next is not."""
    rules = admission(max_connections=2)
    assert [rules.refusal(None, open_now, 0.0) for open_now in (0, 1, 2)] == [None, None, "connection_limit"]


def test_a_rate_of_new_connections() -> None:
    """A second's worth comes in at once, the next when its share of a second has passed."""
    rules = admission(connection_rate=2)
    start = 1_000_000.0
    assert [rules.refusal(None, 0, start) for _ in range(3)] == [None, None, "connection_rate"]
    assert rules.refusal(None, 0, start + 0.4) == "connection_rate"
    assert rules.refusal(None, 0, start + 0.6) is None
    assert rules.refusal(None, 0, start + 0.7) == "connection_rate"


def test_a_slow_rate_lets_one_in() -> None:
    """Less than one a second still means one at a time."""
    rules = admission(connection_rate=0.1)
    start = 1_000_000.0
    assert rules.refusal(None, 0, start) is None
    assert rules.refusal(None, 0, start + 9) == "connection_rate"
    assert rules.refusal(None, 0, start + 10.1) is None


def test_a_rate_for_each_visitor() -> None:
    """One visitor's hurry costs another nothing; all addresses of an IPv6 site count as one visitor."""
    rules = admission(visitor_connection_rate=1)
    assert rules.refusal("203.0.113.1:1", 0, 0.0) is None
    assert rules.refusal("203.0.113.1:2", 0, 0.0) == "visitor_rate"
    assert rules.refusal("203.0.113.2:1", 0, 0.0) is None
    assert rules.refusal("[2001:db8::1]:1", 0, 0.0) is None
    assert rules.refusal("[2001:db8::2]:1", 0, 0.0) == "visitor_rate"


def test_who_is_refused_takes_nothing_from_the_others() -> None:
    """What one visitor has too much does not use up the rate of the tunnel."""
    rules = admission(connection_rate=2, visitor_connection_rate=1)
    start = 1_000_000.0
    reasons = [rules.refusal("203.0.113.1:1", 0, start) for _ in range(5)]
    assert reasons == [None, *["visitor_rate"] * 4]
    assert rules.refusal("203.0.113.2:1", 0, start) is None


def test_the_table_of_visitors_is_bounded() -> None:
    """The one that came longest ago goes; that it is forgotten too early is counted."""
    rules = Admission(NO_RULES | {"visitor_connection_rate": 1}, visitors=2)
    for number in (1, 2, 3):
        assert rules.refusal(f"203.0.113.{number}:1", 0, 0.0) is None
    assert rules.forgotten == 1
    assert rules.refusal("203.0.113.3:1", 0, 0.0) == "visitor_rate"
    assert rules.refusal("203.0.113.4:1", 0, 60.0) is None
    assert rules.forgotten == 1  # the rate of the one that went was back to its full amount
