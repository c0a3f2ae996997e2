"""The kill test can fail: each broken promise is noticed."""

from collections import Counter
from datetime import UTC, datetime
from random import Random

import msgspec
import pytest

from tests.kills.batches import BATCH_EVENTS, POISON_EVERY, make_batch
from tests.kills.oracle import find_letter_problems, find_row_problems
from tests.kills.poison import Poisoner
from tests.kills.senders import Answer, find_problem, wait_seconds
from tests.traffic import CallSizes, Traffic

SIZES = CallSizes([(1_000, 10), (2_000, 20)], "made up")
TRAFFIC = Traffic(1, SIZES, datetime(2026, 11, 2, 12, tzinfo=UTC), 1_000)
ROWS = {0: [(1_000, 10)], 1: [(2_000, 20)]}


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        (ROWS, None),
        ({0: ROWS[0]}, "1 acknowledged events are not in the ledger, for example [1]"),
        ({**ROWS, 1: ROWS[1] * 2}, "1 events are in the ledger more than once, for example [1]"),
        ({**ROWS, 2: [(1_000, 10)]}, "1 rows were never acknowledged, for example [2]"),
        ({**ROWS, 1: [(2_000, 21)]}, "1 events have other tokens than were sent, for example [1]"),
    ],
)
def test_rows_that_are_not_what_was_acknowledged_are_problems(
    rows: dict[int, list[tuple[int, int]]], problem: str | None
) -> None:
    assert find_row_problems(rows, {0, 1}, TRAFFIC) == ([problem] if problem else [])


@pytest.mark.parametrize(
    ("letters", "problem"),
    [
        ({"a": 1, "b": 1}, None),
        ({"a": 1}, None),
        ({"b": 1}, "1 poison entries have no dead letter, for example ['a']"),
        ({"a": 2}, "1 poison entries have more than one dead letter, for example ['a']"),
        ({"a": 1, "c": 1}, "1 dead letters are of poison that was never written"),
        ({"a": 1, "": 3}, "3 dead letters are of good events"),
    ],
)
def test_poison_must_be_in_exactly_one_dead_letter(
    letters: dict[str, int], problem: str | None
) -> None:
    poisoner = Poisoner(TRAFFIC, written={"a"}, uncertain={"b"})
    found = find_letter_problems(Counter(letters), poisoner)
    assert len(found) == (problem is not None)
    assert all(text.startswith(problem or "") for text in found)


def test_every_tenth_batch_carries_one_event_that_must_be_rejected() -> None:
    batches = [make_batch(TRAFFIC, n) for n in range(2 * POISON_EVERY)]
    assert [n for n, batch in enumerate(batches) if batch.rejected] == [0, POISON_EVERY]
    assert {len(batch.accepted) for batch in batches} == {BATCH_EVENTS}
    ((index, field),) = batches[0].rejected
    assert msgspec.json.decode(batches[0].body)[index][field] == -1


def test_an_answer_must_accept_the_good_events_and_reject_the_bad_one() -> None:
    batch = make_batch(TRAFFIC, 0)
    rejected = [{"index": index, "field": field} for index, field in batch.rejected]
    good = {"accepted": batch.accepted, "rejected": rejected}
    assert find_problem(batch, Answer("202", content=good)) is None
    for bad in ({**good, "accepted": batch.accepted[1:]}, {**good, "rejected": []}):
        assert find_problem(batch, Answer("202", content=bad))
    assert find_problem(batch, Answer("422"))


def test_waits_double_up_to_the_longest_and_respect_the_server() -> None:
    waits = [wait_seconds(attempt, 0, Random(1)) for attempt in range(1, 8)]
    jitter = waits[0] / 0.5
    assert [round(w / jitter, 6) for w in waits] == [0.5, 1, 2, 4, 8, 8, 8]
    assert wait_seconds(1, 30, Random(1)) == 30
