"""What clients may cost: apart, because the settings name it."""

from typing import NamedTuple


class FeedLimits(NamedTuple):
    """What clients may cost.

    Attributes:
        max_clients: Of one process.
        buffer_bytes: What may wait for one client.
        heartbeat_seconds: After so long without a message there is one that says so.
        stall_seconds: A client that takes nothing for so long is closed.
    """

    max_clients: int
    buffer_bytes: int
    heartbeat_seconds: float
    stall_seconds: float
