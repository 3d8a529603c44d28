"""When a number is reason for an alert: rules, and the states that keep an alert from flickering.

The words are Prometheus's: a condition that holds makes an alert *pending*, for long enough *firing*; when it has ceased
for long enough the alert is *resolved*.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from typing import Any

from frp_wrapper.errors import ConfigError

__all__ = ["Alert", "AlertState", "Rule", "built_in_rules"]

Values = Mapping[str, float | None]
"""What is known of a tunnel at one moment, by name; None: not known."""

NAMES = (
    "bytes_sent", "bytes_received", "connection_count", "error_count", "open_connections", "uptime_seconds",
    "idle_seconds", "offline", "down", "changes", "bytes_per_second", "connections_per_second", "errors_per_second",
    "error_rate", "latency", "server_latency", "reconnects", "uptime_percent",
)  # fmt: skip
"""The numbers that a rule can name: totals, the state as 0 or 1, changes of it in five minutes, rates of a minute; seconds
that the local service (95 % of connections) and the server took to answer.
"""
ERROR_RATE_LIMIT = 0.1
FLAPPING_LIMIT = 4
LATENCY_LIMIT = 1.0


class AlertState(Enum):
    """Where an alert stands."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A condition on one number.

    Raises:
        ConfigError: The expression is none, or names an unknown number.

    Attributes:
        name: The event of `TunnelMonitor.register_callback`.
        value: The name of the number, or an expression of such names with numbers, ``+ - * /``, comparisons, ``and``,
            ``or`` and ``not``, or a function of all of them. It gives None while a number it needs is not known; then the
            alert stays as it is.
        limit: The condition holds while the value is above it.
        for_seconds: It must hold so long before the alert fires.
        keep_firing_for: It must have ceased so long before the alert is resolved.
        cooldown: After an alert was resolved, it does not fire again for so many seconds.
    """

    name: str
    value: str | Callable[[Values], float | None]
    limit: float
    for_seconds: float = 0.0
    keep_firing_for: float = 0.0
    cooldown: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an expression that cannot be worked out, before anything relies on it."""
        if isinstance(self.value, str):
            _evaluate(_parsed(self.value), dict.fromkeys(NAMES, 1.0))

    def measure(self, values: Values) -> float | None:
        """Give the value that is compared with the limit."""
        if callable(self.value):
            return self.value(values)
        return _evaluate(_parsed(self.value), values)


class Alert:
    """One rule on one tunnel."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        self.state = AlertState.INACTIVE
        self.value: float | None = None
        """What was measured last."""
        self.since: float | None = None
        """When the condition began to hold, on the caller's clock."""
        self._ceased: float | None = None
        self._quiet_until = -math.inf

    def step(self, values: Values, now: float) -> AlertState | None:
        """Take in the numbers of a moment.

        Returns:
            ``FIRING`` or ``INACTIVE`` when the alert has just begun to fire or has just been resolved; else None.
        """
        value = self.rule.measure(values)
        if value is None:
            return None
        self.value = value
        return self._holds(now) if value > self.rule.limit else self._ceases(now)

    def _holds(self, now: float) -> AlertState | None:
        self._ceased = None
        if self.state is AlertState.FIRING or now < self._quiet_until:
            return None
        if self.since is None:
            self.since = now
        self.state = AlertState.PENDING
        if now - self.since < self.rule.for_seconds:
            return None
        self.state = AlertState.FIRING
        return AlertState.FIRING

    def _ceases(self, now: float) -> AlertState | None:
        if self.state is not AlertState.FIRING:
            self.state, self.since = AlertState.INACTIVE, None
            return None
        if self._ceased is None:
            self._ceased = now
        if now - self._ceased < self.rule.keep_firing_for:
            return None
        self.state, self.since, self._ceased = AlertState.INACTIVE, None, None
        self._quiet_until = now + self.rule.cooldown
        return AlertState.INACTIVE


def built_in_rules(limits: Mapping[str, float] | None = None) -> tuple[Rule, ...]:
    """Give the rules that every monitor has.

    Args:
        limits: Other limits than the usual, by the name of the rule. ``no_traffic`` (seconds) and ``bandwidth`` (bytes
            a second) have none of their own, and do nothing without one here.

    Raises:
        ConfigError: There is no such rule.
    """
    given = dict(limits or {})
    rules = (
        Rule(
            name="high_error_rate", value="error_rate", limit=given.pop("high_error_rate", ERROR_RATE_LIMIT)
        ),
        Rule(name="tunnel_down", value="down", limit=given.pop("tunnel_down", 0)),
        Rule(name="disconnected", value="offline", limit=given.pop("disconnected", 0)),
        Rule(
            name="flapping",
            value="changes",
            limit=given.pop("flapping", FLAPPING_LIMIT) - 1,
            keep_firing_for=60.0,
        ),
        Rule(
            name="high_latency",
            value=_slowest,
            limit=given.pop("high_latency", LATENCY_LIMIT),
            for_seconds=10.0,
            keep_firing_for=30.0,
        ),
        Rule(name="no_traffic", value="idle_seconds", limit=given.pop("no_traffic", math.inf)),
        Rule(name="bandwidth", value="bytes_per_second", limit=given.pop("bandwidth", math.inf)),
    )
    if given:
        known = ", ".join(rule.name for rule in rules)
        raise ConfigError(f"there is no rule {', '.join(given)}", hint=f"The rules are {known}.")
    return rules


def _slowest(values: Values) -> float | None:
    """Give the longer of the ways to the local service and to the server, as far as they are known."""
    known = [seconds for name in ("latency", "server_latency") if (seconds := values[name]) is not None]
    return max(known, default=None)


_OPERATORS: Mapping[type, Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
    ast.USub: operator.neg, ast.Not: operator.not_,
    ast.Gt: operator.gt, ast.GtE: operator.ge, ast.Lt: operator.lt, ast.LtE: operator.le,
    ast.Eq: operator.eq, ast.NotEq: operator.ne,
}  # fmt: skip


@lru_cache(maxsize=1024)  # every rule is worked out for every tunnel again and again
def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError) as exc:
        raise ConfigError(
            f"{text!r} is not an expression: {exc}", hint="Such as 'errors_per_second > 2'."
        ) from exc


def _evaluate(node: ast.expr, values: Values) -> float | None:  # noqa: PLR0911 - one for each kind of node
    """Work out an expression; None as soon as something in it is not known."""
    match node:
        case ast.Constant(value=int() | float() as number):
            return number
        case ast.Name(id=name) if name in values:
            return values[name]
        case ast.UnaryOp(op=op, operand=operand):
            return _apply(op, values, operand)
        case ast.BinOp(left=left, op=op, right=right):
            return _apply(op, values, left, right)
        case ast.Compare(left=left, ops=[op], comparators=[right]):
            return _apply(op, values, left, right)
        case ast.BoolOp(op=op, values=parts):
            results = [_evaluate(part, values) for part in parts]
            if None in results:
                return None
            return float(all(results) if isinstance(op, ast.And) else any(results))
    raise ConfigError(
        f"{ast.unparse(node)!r} is not known in a rule",
        hint=f"The numbers are {', '.join(sorted(values))}; with + - * /, comparisons, and, or, not.",
    )


def _apply(op: ast.operator | ast.unaryop | ast.cmpop, values: Values, *operands: ast.expr) -> float | None:
    function = _OPERATORS.get(type(op))
    if function is None:
        raise ConfigError(f"{type(op).__name__} is not known in a rule", hint="Use + - * / and comparisons.")
    numbers = [_evaluate(operand, values) for operand in operands]
    if None in numbers:
        return None
    try:
        return float(function(*numbers))
    except ZeroDivisionError:
        return None
