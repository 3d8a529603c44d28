"""Sockets of somebody else's frpc of which it is not clear yet whether they count, and where."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from frp_wrapper.metering.sock_message import Sample, SocketKey

__all__ = ["Held", "HeldSockets", "since_boot"]

_HELD = 4096
_HOLD = 10.0
"""How many are held, and for how many seconds."""


@dataclass(slots=True)
class Held:
    """One that waits.

    Attributes:
        sample: What the kernel said last of it.
        at: Since when, see `since_boot`.
        is_ours: It is frpc's for certain.
        is_closed: The kernel has told its end.
        was_away: frpc was away then: it may be of the one that is found next, if that had started already.
    """

    sample: Sample
    at: float
    is_ours: bool
    is_closed: bool
    was_away: bool


class HeldSockets:
    """Holds them by their two ends, for a while.

    Args:
        give_up: Decides about one that has waited long enough, or has to make room.
    """

    def __init__(self, give_up: Callable[[Held], None]) -> None:
        self._give_up = give_up
        self._held: OrderedDict[SocketKey, Held] = OrderedDict()

    def hold(self, sample: Sample, *, is_ours: bool, is_closed: bool, was_away: bool) -> None:
        """Let one wait."""
        before = self._held.pop(sample.key, None)
        if before is not None:  # the kernel has used its ends again
            self._give_up(before)
        self._held[sample.key] = Held(sample, since_boot(), is_ours, is_closed, was_away)
        if len(self._held) > _HELD:
            self._give_up(self._held.popitem(last=False)[1])

    def note(self, sample: Sample, *, is_closed: bool = False) -> bool:
        """Take in what one has carried; False: it does not wait here, but perhaps a later one with its ends."""
        held = self._held.get(sample.key)
        if held is None or held.sample.cookie != sample.cookie:
            return False
        held.sample = sample
        held.is_closed = held.is_closed or is_closed
        return True

    def release(self, key: SocketKey) -> Held | None:
        """Give one that need not wait any more, if it is there."""
        return self._held.pop(key, None)

    def release_absent(self) -> list[Held]:
        """Give all that came while frpc was away."""
        keys = [key for key, held in self._held.items() if held.was_away]
        return [self._held.pop(key) for key in keys]

    def expire(self) -> None:
        """Decide about those that have waited long enough."""
        limit = since_boot() - _HOLD
        while self._held:
            key, held = next(iter(self._held.items()))
            if held.at > limit:
                return
            del self._held[key]
            self._give_up(held)


def since_boot() -> float:
    """Give the seconds since the start of the machine, as the start of a process is told."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
