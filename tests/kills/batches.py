"""Pure: the number of a batch -> its body, and what the API must answer."""

from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from tests.traffic import Traffic

BATCH_EVENTS: Final = 50
POISON_EVERY: Final = 10


@dataclass(frozen=True)
class Batch:
    """One request.

    Attributes:
        body: JSON array of good events, in a poisoned batch with a bad one among them.
        accepted: The ids that must be accepted, in order.
        rejected: Index and field that must be rejected.
    """

    body: bytes
    accepted: list[str]
    rejected: list[tuple[int, str]]


def numbers_of(batch: int) -> range:
    """The numbers of the events of a batch."""
    return range(batch * BATCH_EVENTS, (batch + 1) * BATCH_EVENTS)


def make_batch(traffic: Traffic, batch: int) -> Batch:
    """The batch with this number; every tenth one carries a poison event."""
    events = [traffic.event(number) for number in numbers_of(batch)]
    accepted = [event["event_id"] for event in events]
    if batch % POISON_EVERY:
        return Batch(msgspec.json.encode(events), accepted, [])
    index = Random(batch).randrange(len(events) + 1)
    events.insert(index, {**events[0], "input_tokens": -1})
    return Batch(msgspec.json.encode(events), accepted, [(index, "input_tokens")])
