"""Minutes that lack calls, or count them wrong, are found."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from quality.conftest import CLEAN_EVENT, NOW, Insert, InsertRow
from quality.marts_usage_minutely import MINUTES, marts_usage_minutely_suite
from quality.validation import validate

SINCE = NOW - timedelta(hours=1)
MINUTE = CLEAN_EVENT["started_at"].replace(second=0, microsecond=0)
SUMS = {"call_count": 2, "input_tokens": 2000, "output_tokens": 400}
NO_SUMS = dict.fromkeys(SUMS, 0)
EARLIER = {"usage_minute": MINUTE - timedelta(minutes=5)}
GAP, SUM = (rule.name for rule in MINUTES)
# What stands in the roll-up of a project with two raw calls in a minute, and what is found.
CASES: list[tuple[list[dict[str, Any]], str | None]] = [
    ([SUMS], None),
    ([SUMS | {"call_count": 1}, NO_SUMS | {"call_count": 1}], None),
    ([], GAP),
    ([SUMS | {"call_count": 3}], SUM),
    ([SUMS | {"input_tokens": 1999}], SUM),
    ([SUMS | {"output_tokens": 401}], SUM),
    ([SUMS, SUMS | EARLIER], SUM),
]


def sample_id(project_id: UUID, minute: datetime) -> str:
    return f"{project_id} {minute.astimezone(UTC):%Y-%m-%d %H:%M}"


def test_gaps_and_wrong_sums_are_found_and_told_apart(
    warehouse_url: str, insert_event: Insert, insert_call: Insert, insert_row: InsertRow
) -> None:
    expected: dict[str, set[str]] = {GAP: set(), SUM: set()}
    for rows, rule in CASES:
        key = {"project_id": uuid4()}
        for _ in range(2):
            insert_call(event_id=insert_event(**key), cost_computed_at=NOW, **key)
        insert_event(operation_name="invoke_agent", **key)
        insert_event(loaded_at=NOW + timedelta(seconds=1), **key)
        for row in rows:
            values = key | {"usage_minute": MINUTE, "refreshed_at": NOW} | row
            insert_row("marts.fct_usage_minutely", **values)
        if rule:
            minute = rows[-1].get("usage_minute", MINUTE) if rows else MINUTE
            expected[rule].add(sample_id(key["project_id"], minute))

    outcomes = validate(marts_usage_minutely_suite(SINCE), warehouse_url).outcomes

    assert {one.rule.name: set(one.sample_ids) for one in outcomes} == expected
    assert not any(one.is_passed for one in outcomes)


def test_calls_whose_minutes_are_being_built_are_not_missed(
    warehouse_url: str, insert_event: Insert, insert_call: Insert
) -> None:
    insert_call(event_id=insert_event(), cost_computed_at=NOW)

    outcomes = validate(marts_usage_minutely_suite(SINCE), warehouse_url).outcomes

    assert all(one.is_passed for one in outcomes)
