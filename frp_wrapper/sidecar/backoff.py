"""How long to wait before the next try."""

from __future__ import annotations

import random
from collections.abc import Callable


class Backoff:
    """Doubling waits with jitter, back to the first after a good stretch.

    Args:
        first: Seconds before the first retry.
        longest: Seconds that no wait exceeds.
        healthy_after: Seconds of running after which the next failure counts as the first again.
        chance: A number in [0, 1) per call; jitter spreads the restarts of many machines behind one server.
    """

    def __init__(
        self,
        first: float = 0.2,
        longest: float = 30.0,
        healthy_after: float = 10.0,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._first = first
        self._longest = longest
        self._healthy_after = healthy_after
        self._chance = chance
        self._failures = 0

    def next_wait(self, ran_for: float) -> float:
        """Give the seconds to wait after a run of ``ran_for`` seconds."""
        if ran_for >= self._healthy_after:
            self._failures = 0
        wait = min(self._longest, self._first * 2.0 ** min(self._failures, 30))
        self._failures += 1
        return wait * (0.5 + 0.5 * self._chance())
