"""Pure: from events of Dagster's log to what is to be said of them, and how far that has come."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from orchestration.alerting.messages import (
    Evaluation,
    Message,
    RunFailure,
    check_message,
    run_message,
)


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
