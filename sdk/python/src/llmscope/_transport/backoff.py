"""How long to wait after a failure."""

from __future__ import annotations

import random
from typing import Callable, NamedTuple


class Backoff(NamedTuple):
    """Doubles from `first_seconds` to `max_seconds`; half of it is jitter.

    Attributes:
        chance: A number from 0 to 1, new at each call.
    """

    first_seconds: float = 0.5
    max_seconds: float = 30.0
    chance: Callable[[], float] = random.random

    def pause_seconds(self, failures: int, retry_after_seconds: float | None) -> float:
        """The pause after so many failures in a row, never shorter than the server asked for."""
        ceiling: float = min(self.first_seconds * 2 ** min(failures - 1, 30), self.max_seconds)
        jittered = ceiling * (0.5 + self.chance() / 2)
        return max(jittered, retry_after_seconds or 0.0)


DEFAULT_BACKOFF = Backoff()
