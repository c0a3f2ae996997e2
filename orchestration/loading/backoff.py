"""How long to wait for a database, a Redis or a receiver that is away."""

import random
from typing import Final

FIRST_SECONDS: Final = 1.0
MAX_SECONDS: Final = 30.0
# Loaders that lost the same server must not all come back to it in the same instant.
JITTER: Final = 0.25


def backoff_seconds(
    failed_attempts: int,
    jitter: float | None = None,
    *,
    first_seconds: float = FIRST_SECONDS,
    max_seconds: float = MAX_SECONDS,
) -> float:
    """1, 2, 4 ... 30 s after the first, second, third ... failed attempt in a row, give or take.

    `jitter` from -1 to 1 moves the result by up to a quarter; random by default.
    """
    share = random.uniform(-1, 1) if jitter is None else jitter  # noqa: S311 - no secret
    doubled = first_seconds * 2.0 ** min(failed_attempts - 1, 16)
    return min(max_seconds, doubled) * (1 + JITTER * share)
