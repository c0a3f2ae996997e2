"""Each hop is judged against what is promised, on a real database and Dagster's own records."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import dagster as dg
import psycopg
import pytest
from dagster import DagsterRun

from orchestration.checking.freshness import (
    BEFORE_ALL,
    FCT_LLM_CALLS,
    judge_marts,
    judge_pages,
    judge_raw,
    newest_bound,
)
from orchestration.reporting.marts import read_marts_version
from orchestration.reporting.pages import ReportPages
from orchestration.transforming.triggers import LOADED_BEFORE_TAG

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
INSERT_EVENTS = """
insert into raw.llm_events
    (event_id, tenant_id, project_id, provider_name, request_model, operation_name, started_at,
     usage_source, usage_semantics, received_at, loaded_at)
select gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'openai', 'gpt-5', 'chat', %(at)s,
    'provider', 'inclusive', %(at)s - %(lag)s * interval '1 second', %(at)s
from generate_series(1, %(count)s)
"""


def load(connection: psycopg.Connection, at: datetime, lag: float, count: int = 1) -> None:
    connection.execute(INSERT_EVENTS, {"at": at, "lag": lag, "count": count})


def ago(seconds: float) -> datetime:
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("late_count", "lag", "at", "is_passed"),
    [
        (0, 0.0, ago(1), True),
        (5, 5.1, ago(1), True),
        (6, 5.1, ago(1), False),
        (50, 5.0, ago(1), True),
        (50, 9.0, ago(301), True),
    ],
)
def test_raw_rows_may_follow_their_events_by_5_s(
    database_url: str, late_count: int, lag: float, at: datetime, is_passed: bool
) -> None:
    with psycopg.connect(database_url) as connection:
        load(connection, at, lag, late_count)
        load(connection, ago(2), 1.0, 100 - late_count)

        outcome = judge_raw(connection, NOW).outcome

    assert outcome.is_passed is is_passed


def test_raw_rows_may_wait_90_s_for_the_marts(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        assert judge_marts(connection, BEFORE_ALL, NOW).outcome.is_passed
        load(connection, ago(100), 0)
        load(connection, ago(90), 0)

        assert judge_marts(connection, ago(95), NOW).outcome.is_passed
        late = judge_marts(connection, BEFORE_ALL, NOW)

    assert (late.asset_key, late.outcome.is_passed) == (FCT_LLM_CALLS, False)
    assert (late.outcome.failed_count, late.facts["age_seconds"]) == (2, 100.0)


def test_the_newest_build_that_succeeded_tells_what_is_in_the_marts() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert newest_bound(instance) == BEFORE_ALL
        for seconds, status in (
            (300, dg.DagsterRunStatus.SUCCESS),
            (200, dg.DagsterRunStatus.SUCCESS),
            (100, dg.DagsterRunStatus.FAILURE),
            (50, dg.DagsterRunStatus.STARTED),
        ):
            tags = {LOADED_BEFORE_TAG: ago(seconds).isoformat()}
            instance.add_run(
                DagsterRun("build_marts_job", run_id=str(uuid4()), status=status, tags=tags)
            )
        assert newest_bound(instance) == ago(200)

        instance.add_run(DagsterRun("build_marts_job", status=dg.DagsterRunStatus.SUCCESS))
        assert newest_bound(instance) > ago(0), "a build by hand takes its bound when it begins"


def test_pages_that_were_never_published_are_missed_once_there_are_marts(
    database_url: str, tmp_path: Path
) -> None:
    pages = ReportPages(home=str(tmp_path), public_url="")
    with psycopg.connect(database_url) as connection:
        assert judge_pages(connection, pages).outcome.is_passed
        connection.execute("""
            create schema reports;
            create view reports.rpt_freshness as
                select now() as refreshed_at, now() as newest_loaded_at, 1 as call_count
        """)
        assert read_marts_version(connection)
        found = judge_pages(connection, pages)

    assert not found.outcome.is_passed
    assert found.facts["state"] == "nothing is published yet"
