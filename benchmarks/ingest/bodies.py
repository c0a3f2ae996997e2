"""Request bodies made beforehand, so that the load generators cost next to nothing.

Each body carries a stamp in the ids of its events. Another stamp makes new events of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

import msgspec

from tests.traffic import Traffic, corpus, read_call_sizes

# The first group of each event id; an id that is sent has the number of its request here.
STAMP: Final = b"0badc0de"


def make_bodies(count: int, batch_events: int) -> list[bytes]:
    """`count` JSON arrays of `batch_events` events, or single events where that is 0."""
    sizes = read_call_sizes(corpus())
    traffic = Traffic(0, sizes, datetime.now(UTC), events_per_second=10_000)
    return [_make_body(traffic, number, batch_events) for number in range(count)]


def stamped(body: bytes, number: int) -> bytes:
    """The body with events of its own: 40 us for 100 events."""
    return body.replace(STAMP, b"%08x" % number)


def _make_body(traffic: Traffic, number: int, batch_events: int) -> bytes:
    if not batch_events:
        return msgspec.json.encode(_event(traffic, number, 0))
    numbers = range(number * batch_events, (number + 1) * batch_events)
    return msgspec.json.encode([_event(traffic, n, index) for index, n in enumerate(numbers)])


def _event(traffic: Traffic, number: int, index: int) -> dict[str, object]:
    # As UUIDs of version 7 the ids of a moment lie side by side in the index.
    event_id = f"{STAMP.decode()}-{index:04x}-7000-8000-{number:012x}"
    return {**traffic.event(number), "event_id": event_id}


def event_count(bodies: Sequence[bytes]) -> int:
    """Events in all the bodies together."""
    return sum(body.count(STAMP) for body in bodies)
