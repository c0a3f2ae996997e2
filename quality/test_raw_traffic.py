"""New names, lost fields and odd volumes are each caught by the rule that is meant to."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from quality.conftest import CLEAN_EVENT, NOW, Insert, InsertRow
from quality.raw_traffic import (
    FEWEST_CALLS,
    NULL_RATES,
    VOLUME,
    last_full_hour,
    raw_null_rates_suite,
    raw_volume_suite,
)
from quality.raw_vocabulary import VOCABULARY, raw_vocabulary_suite
from quality.suites import Outcome
from quality.validation import validate

SINCE = NOW - timedelta(days=1)
PROVIDER, MODEL = (rule.name for rule in VOCABULARY)
USAGE, DURATION, USER = (rule.name for rule in NULL_RATES)
NO_USAGE = {"input_tokens": None, "output_tokens": None}
NO_DURATION = {"duration_seconds": None, "ended_at": None}
YESTERDAY = (NOW - timedelta(days=1)).date()


def failing(outcomes: Iterable[Outcome]) -> dict[str, set[str]]:
    return {one.rule.name: set(one.sample_ids) for one in outcomes if not one.is_passed}


def resolve(insert_row: InsertRow, at: datetime) -> None:
    insert_row(
        "pricing.model_matches",
        provider_name="anthropic",
        request_model="claude-sonnet-4-5",
        unmatched_reason="no_price",
        source="test",
        catalog_version="1",
        resolved_at=at,
    )


def test_a_name_that_was_never_seen_before_is_caught_by_its_own_rule(
    warehouse_url: str, insert_event: Insert, insert_row: InsertRow
) -> None:
    resolve(insert_row, SINCE)
    insert_event()
    provider = insert_event(provider_name="antropic")
    models = {
        insert_event(request_model="claude-opus-9"),
        insert_event(response_model="claude-sonnet-4-5-20990101"),
    }

    found = failing(validate(raw_vocabulary_suite(SINCE), warehouse_url).outcomes)

    assert found == {PROVIDER: {provider}, MODEL: models}


def test_in_a_new_ledger_every_name_is_new_and_none_is_told(
    warehouse_url: str, insert_event: Insert, insert_row: InsertRow
) -> None:
    resolve(insert_row, NOW)
    insert_event()
    insert_event(provider_name="openai")

    assert failing(validate(raw_vocabulary_suite(SINCE), warehouse_url).outcomes) == {}


def insert_many(database_url: str, count: int, **changes: Any) -> None:
    """Insert clean events with some columns changed."""
    row = CLEAN_EVENT | changes
    names = ", ".join(row)
    statement = (
        f"insert into raw.llm_events (event_id, {names}) "
        f"select gen_random_uuid(), {', '.join(['%s'] * len(row))} from generate_series(1, %s)"
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(statement, [*row.values(), count])


def insert_yesterday(insert_row: InsertRow, project_id: UUID, missing: int) -> None:
    """200 calls of the day before, `missing` of which had neither usage, duration nor user."""
    day = {"project_id": project_id, "usage_date": YESTERDAY}
    insert_row(
        "marts.fct_usage_daily", **day, call_count=200, error_count=0,
        missing_usage_call_count=missing,
    )  # fmt: skip
    for name, count in ((None, missing), (7, 200 - missing)):
        if count:
            insert_row(
                "marts.fct_project_latency_daily", **day, metric="duration", bin_index=name,
                call_count=count,
            )  # fmt: skip
            insert_row("marts.fct_user_usage_daily", **day, user_id=name and "u", call_count=count)


NOTHING: dict[str, Any] = NO_USAGE | NO_DURATION | {"user_id": None}
# What is left out by how many calls beside 100 whole ones, by how many of 200 the day before, and
# the rule that is to notice.
LOST: list[tuple[dict[str, Any], int, int, str | None]] = [
    (NO_USAGE, 40, 0, USAGE),
    (NO_DURATION, 40, 0, DURATION),
    ({"user_id": None}, 40, 0, USER),
    (NOTHING, 15, 0, None),
    (NOTHING, 110, 200, None),
    (NO_USAGE | {"error_type": "timeout"}, 60, 0, None),
]


def test_a_field_that_a_project_used_to_send_is_missed_by_its_own_rule(
    warehouse_url: str, insert_row: InsertRow
) -> None:
    expected: dict[str, set[str]] = {}
    for lost, lost_count, before, rule in LOST:
        project_id = uuid4()
        insert_yesterday(insert_row, project_id, before)
        insert_many(warehouse_url, FEWEST_CALLS, project_id=project_id)
        insert_many(warehouse_url, lost_count, project_id=project_id, **lost)
        if rule:
            expected[rule] = {str(project_id)}

    found = failing(validate(raw_null_rates_suite(NOW, SINCE), warehouse_url).outcomes)

    assert found == expected


def test_a_project_with_few_calls_or_no_history_is_not_judged(
    warehouse_url: str, insert_row: InsertRow
) -> None:
    insert_yesterday(insert_row, CLEAN_EVENT["project_id"], 0)
    insert_many(warehouse_url, FEWEST_CALLS - 1, **NOTHING)
    insert_many(warehouse_url, 500, **NOTHING, project_id=uuid4())

    assert failing(validate(raw_null_rates_suite(NOW, SINCE), warehouse_url).outcomes) == {}


def insert_weeks(insert_row: InsertRow, counts: Iterable[int], *, is_demo: bool) -> UUID:
    """A project and its calls in the hour of the week that `NOW` judges, newest week first."""
    tenant_id, project_id = uuid4(), uuid4()
    insert_row("app.tenants", tenant_id=tenant_id, name=str(tenant_id))
    insert_row(
        "app.projects", project_id=project_id, tenant_id=tenant_id, name="project", is_demo=is_demo
    )
    for week, count in enumerate(counts, start=1):
        insert_row(
            "marts.fct_model_usage_hourly",
            project_id=project_id,
            usage_hour=last_full_hour(NOW) - timedelta(weeks=week),
            model="gpt-5",
            call_count=count,
        )
    return project_id


# Calls of the same hour in recent weeks, of the last hour, and whether that is to be noticed.
VOLUMES = [
    ([400, 380, 420, 4000], 400, False),
    ([400, 380, 420, 4000], 103, False),
    ([400, 380, 420, 4000], 99, True),
    ([400, 380, 420, 4000], 0, True),
    ([110, 100, 120], 441, True),
    ([110, 100, 120], 439, False),
    ([400, 380], 0, False),
    ([99, 99, 99], 0, False),
]


def test_a_volume_unlike_that_of_recent_weeks_is_caught(
    warehouse_url: str, insert_row: InsertRow
) -> None:
    started_at = last_full_hour(NOW) + timedelta(minutes=59)
    expected = set()
    for before, now, is_caught in VOLUMES:
        project_id = insert_weeks(insert_row, before, is_demo=False)
        insert_many(warehouse_url, now, project_id=project_id, started_at=started_at)
        expected |= {str(project_id)} if is_caught else set()
    insert_weeks(insert_row, [400, 380, 420], is_demo=True)

    found = failing(validate(raw_volume_suite(NOW), warehouse_url).outcomes)

    assert found == {VOLUME[0].name: expected}


def test_an_hour_is_judged_once_its_late_events_are_there() -> None:
    noon = NOW.replace(hour=12, minute=9)

    assert last_full_hour(noon).hour == 10
    assert last_full_hour(noon + timedelta(minutes=1)).hour == 11
