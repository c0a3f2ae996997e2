"""Events whose figures would be wrong stay out of the marts until an operator releases them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from dbt_project.golden.ledger import NOON, build, create_project, event, insert_events
from dbt_project.golden.test_incremental_builds import contents
from ingest_api.database.held_events import Release, release_events
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from orchestration.transforming.triggers import has_work_since
from quality.held_rules import MACRO, macro
from quality.raw_llm_events import RULES

WITHOUT_TESTS = ("--exclude-resource-type", "test")
USAGE = {"input_tokens": 1000, "output_tokens": 100}
FAULTS: dict[str, dict[str, Any]] = {
    "usage_semantics_is_known": {"usage_semantics": "exclusive"},
    "service_tier_is_known": {"service_tier": "turbo"},
    "token_counts_lie_within_the_contract": {"input_tokens": 2_000_000_000},
    "durations_lie_within_the_contract": {"duration_seconds": float("nan")},
    "reasoning_tokens_lie_within_output_tokens": {"reasoning_output_tokens": 101},
    "audio_and_image_tokens_lie_within_their_totals": {"output_audio_tokens": 101},
    "calls_end_after_they_start": {"ended_at": NOON - timedelta(seconds=1)},
    "calls_start_within_the_contract": {
        "started_at": NOON + timedelta(days=2),
        "received_at": NOON,
        "loaded_at": NOON + timedelta(seconds=1),
    },
}
FIGURES = """
select
    (select count(*) from marts.fct_llm_calls),
    (select sum(input_tokens)::bigint from marts.fct_usage_minutely),
    (select sum(input_tokens)::bigint from marts.fct_usage_daily),
    (select sum(held_event_count)::bigint from reports.rpt_data_quality_daily)
"""


def figures(connection: psycopg.Connection[Any]) -> tuple[Any, ...]:
    row = connection.execute(FIGURES).fetchone()
    assert row is not None
    return row


def held(connection: psycopg.Connection[Any]) -> dict[UUID, list[str]]:
    statement = "select event_id, broken_rules from staging.stg_ingest__held_events"
    return dict(connection.execute(statement).fetchall())


def test_the_macro_says_what_the_suite_says() -> None:
    assert MACRO.read_text() == macro(), "run `python -m quality.held_rules`"


@pytest.mark.timeout(400)  # five times dbt
def test_wrong_figures_are_held_back_counted_and_released(
    database_url: str, tmp_path: Path
) -> None:
    assert set(FAULTS) == {rule.name for rule in RULES if rule.holds_back}
    broken = {rule: event(**USAGE | fault) for rule, fault in FAULTS.items()}
    agent = event(**USAGE, operation_name="invoke_agent", usage_semantics="exclusive")
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        insert_events(connection, [event(**USAGE), agent, *broken.values()])
        refresh_prices(connection, bundled_catalog(), NOON + timedelta(hours=1))
        build(database_url, tmp_path, NOON + timedelta(hours=1), *WITHOUT_TESTS)
        assert held(connection) == {row["event_id"]: [rule] for rule, row in broken.items()}
        assert figures(connection) == (1, 1000, 1000, len(FAULTS))

        later = {"started_at": NOON + timedelta(hours=2)}
        late = event(**USAGE | later | {"usage_semantics": "exclusive"})
        insert_events(connection, [event(**USAGE | later), late])
        build(database_url, tmp_path, NOON + timedelta(hours=3), *WITHOUT_TESTS)
        assert figures(connection) == (2, 2000, 2000, len(FAULTS) + 1)

        before = datetime.now(UTC).isoformat()
        release = Release("usage_semantics_is_known", "the sender means inclusive", "me")
        assert not has_work_since(connection, before)
        assert release_events(connection, release) == 2
        assert release_events(connection, release) == 0
        assert has_work_since(connection, before)
        build(database_url, tmp_path, NOON + timedelta(hours=4))
        assert figures(connection) == (4, 4000, 4000, len(FAULTS) - 1)

        released_at = newest_cost(connection)
        only = broken["service_tier_is_known"]["event_id"]
        one = Release("service_tier_is_known", "tested", "me", event_ids=(uuid4(),))
        assert release_events(connection, one) == 0
        one = Release("service_tier_is_known", "tested", "me", event_ids=(only,))
        assert release_events(connection, one) == 1
        insert_events(connection, [event(**USAGE, loaded_at=NOON + timedelta(hours=5))])
        build(database_url, tmp_path, NOON + timedelta(hours=6), *WITHOUT_TESTS)
        assert figures(connection) == (6, 6000, 6000, len(FAULTS) - 2)
        assert newest_cost(connection) > released_at

        incremental = contents(connection)
        build(database_url, tmp_path, NOON + timedelta(hours=6), "--full-refresh", *WITHOUT_TESTS)
        assert contents(connection) == incremental
        assert figures(connection) == (6, 6000, 6000, len(FAULTS) - 2)


def newest_cost(connection: psycopg.Connection[Any]) -> Any:
    row = connection.execute("select max(cost_computed_at) from marts.fct_llm_calls").fetchone()
    assert row is not None
    return row[0]
