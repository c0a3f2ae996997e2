"""From events of the log to delivered messages, each delivered before the cursor passes its event.

A delivery that fails ends the tick in front of its event, and the next tick begins there: nothing
is lost, and nothing that was delivered is sent again. A process that dies between a delivery and
the storing of the cursor does send that one again, with the same idempotency key.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from orchestration.alerting.messages import (
    Evaluation,
    Message,
    RunFailure,
    check_message,
    run_message,
)
from orchestration.alerting.notifier import DeliveryError

# Each attempt takes up to 5 s, and a tick has 60 s.
MAX_MESSAGES_PER_TICK: Final = 10


@dataclass(frozen=True)
class AlertCursor:
    """How far a sensor has come.

    Attributes:
        after_id: Storage id of the last event that is done with.
        failing: Keys of the checks whose failure was told and whose recovery was not.
    """

    after_id: int
    failing: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str | None) -> "AlertCursor | None":
        """None where the sensor has not begun, or was told to begin anew."""
        if not text or text == NOT_BEGUN:
            return None
        content = json.loads(text)
        return cls(content["after_id"], frozenset(content["failing"]))

    def __str__(self) -> str:
        return json.dumps({"after_id": self.after_id, "failing": sorted(self.failing)})


# Dagster keeps the old cursor where a sensor gives an empty one.
NOT_BEGUN: Final = "not begun"


class Step(NamedTuple):
    """One event: what is to be said of it, if anything, and the cursor behind it."""

    message: Message | None
    cursor: AlertCursor


class Delivery(NamedTuple):
    """What a tick achieved: `problem` is why it ended early."""

    cursor: AlertCursor
    message_count: int
    problem: str | None = None


def check_steps(
    evaluations: Iterable[Evaluation], cursor: AlertCursor, dagster_url: str
) -> Iterator[Step]:
    """Tell when a check begins to fail and when it passes again, not how it goes on failing."""
    for evaluation in evaluations:
        key = evaluation.check_key
        was_failing = key in cursor.failing
        is_change = evaluation.is_passed == was_failing
        failing = cursor.failing - {key} if evaluation.is_passed else cursor.failing | {key}
        cursor = AlertCursor(evaluation.storage_id, failing)
        yield Step(check_message(evaluation, dagster_url) if is_change else None, cursor)


def run_steps(failures: Iterable[RunFailure], dagster_url: str) -> Iterator[Step]:
    """Tell of every run that failed."""
    for failure in failures:
        yield Step(run_message(failure, dagster_url), AlertCursor(failure.storage_id))


def deliver(
    steps: Iterable[Step],
    cursor: AlertCursor,
    send: Callable[[Message], None],
    max_messages: int = MAX_MESSAGES_PER_TICK,
) -> Delivery:
    """Send message after message until one fails, `max_messages` are sent, or none is left."""
    message_count = 0
    for step in steps:
        if step.message is not None:
            if message_count == max_messages:
                return Delivery(cursor, message_count)
            try:
                send(step.message)
            except DeliveryError as error:
                return Delivery(cursor, message_count, str(error))
            message_count += 1
        cursor = step.cursor
    return Delivery(cursor, message_count)
