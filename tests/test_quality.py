"""All checks together, on marts that dbt has built: clean data raises nothing, each fault one."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import dagster as dg
import psycopg
import pytest

from dbt_project.golden.ledger import build, create_project, insert_events
from orchestration.checking.data_docs import DataDocs
from orchestration.checking.quality_checks import judge
from orchestration.load_order import read_loaded_before
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from orchestration.resources import Warehouse
from quality.conftest import CLEAN_EVENT, NOW
from quality.raw_traffic import last_full_hour
from quality.test_raw_llm_events import CLEAN, FAULTS
from tests.traffic import corpus, read_call_sizes

CLEAN_CALLS = 2_000
HOURLY_CALLS = 120
TENANT_ID = UUID(int=1)
NO_USAGE = dict.fromkeys([name for name in CLEAN_EVENT if name.endswith("_tokens")])
# A project that stops to send something, and the check that is to notice.
LOST: dict[str, dict[str, Any]] = {
    "token_counts_are_reported_as_before": NO_USAGE | {"usage_source": "missing"},
    "durations_are_reported_as_before": {"duration_seconds": None, "ended_at": None},
    "users_are_reported_as_before": {"user_id": None},
}
NEW_NAMES = {
    "provider_names_were_seen_before": {"provider_name": "antropic"},
    "model_names_were_seen_before": {"request_model": "claude-sonnet-4-5-typo"},
}
# The first load; what is loaded at `NOW` is behind its watermark.
LATELY = NOW - timedelta(seconds=10)
SILENT = "calls_are_as_many_as_in_recent_weeks"


def call(project_id: UUID, at: datetime, **fields: Any) -> dict[str, Any]:
    """A clean event of two seconds, loaded a second after its end, with some fields changed."""
    times = {
        "started_at": at,
        "ended_at": at + timedelta(seconds=2),
        "received_at": at + timedelta(seconds=2),
        "loaded_at": at + timedelta(seconds=3),
    }
    own = {"event_id": uuid4(), "tenant_id": TENANT_ID, "project_id": project_id}
    return CLEAN_EVENT | times | own | fields


def calls_of_the_test_set(project_id: UUID) -> Iterator[dict[str, Any]]:
    """Calls with the token counts of production traffic, within the last hour."""
    for number, (inputs, outputs) in enumerate(read_call_sizes(corpus()).tokens[:CLEAN_CALLS]):
        at = NOW - timedelta(minutes=50) + timedelta(seconds=number)
        yield call(project_id, at, **NO_USAGE | {"input_tokens": inputs, "output_tokens": outputs})


def history(projects: Iterable[UUID]) -> Iterator[dict[str, Any]]:
    """The hour that is judged, a day ago and in each of four weeks, with as many calls."""
    hour = last_full_hour(NOW)
    for project_id in projects:
        for ago in (timedelta(days=1), *(timedelta(weeks=week) for week in range(1, 5))):
            for number in range(HOURLY_CALLS):
                yield call(project_id, hour - ago + timedelta(seconds=number))


def judged(url: str, home: Path) -> dict[str, set[str]]:
    """The checks that fail, with the ids that they name."""
    docs = DataDocs(home=str(home), public_url="", dagster_url="", kept_runs=1)
    results = judge(Warehouse(database_url=url), docs, "test", NOW + timedelta(minutes=1))
    return {str(one.check_name): ids(one) for one in results if not one.passed}


def ids(result: dg.AssetCheckResult) -> set[str]:
    value = result.metadata["sample_ids"].value
    assert isinstance(value, list)
    return set(map(str, value))


def build_all(url: str, target: Path) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        loaded_before = read_loaded_before(connection)
        refresh_prices(connection, bundled_catalog(), loaded_before)
    build(url, target, loaded_before, "--exclude-resource-type", "test")


@pytest.mark.timeout(500)  # twice dbt, on a machine that may be busy
def test_clean_data_raises_nothing_and_each_fault_exactly_its_check(
    database_url: str, tmp_path: Path
) -> None:
    steady, silent, *losing = [uuid4() for _ in range(2 + len(LOST))]
    with psycopg.connect(database_url, autocommit=True) as connection:
        for project_id in (steady, silent, *losing):
            create_project(connection, project_id)
        connection.execute(
            "insert into pricing.model_matches (provider_name, request_model, unmatched_reason, "
            "source, catalog_version, resolved_at) values (%s, %s, 'no_price', 'test', '1', %s)",
            [CLEAN_EVENT["provider_name"], CLEAN_EVENT["request_model"], NOW - timedelta(days=9)],
        )
        with connection.transaction():
            insert_events(connection, history([silent, *losing]))
            insert_events(connection, calls_of_the_test_set(steady))
            now = [call(steady, NOW - timedelta(minutes=2), **clean) for clean in CLEAN[:1]]
            hour = last_full_hour(NOW)
            now += [
                call(project_id, hour + timedelta(minutes=59), loaded_at=LATELY)
                for project_id in (silent, *losing)
                for _ in range(HOURLY_CALLS)
            ]
            insert_events(connection, now)
    build_all(database_url, tmp_path)
    assert judged(database_url, tmp_path) == {}

    own = {"tenant_id": TENANT_ID, "project_id": steady}
    faulty = {
        rule: [CLEAN_EVENT | own | fault | {"event_id": uuid4()} for fault in faults]
        for rule, faults in (FAULTS | {name: [one] for name, one in NEW_NAMES.items()}).items()
    }
    expected = {rule: {str(one["event_id"]) for one in rows} for rule, rows in faulty.items()}
    with psycopg.connect(database_url, autocommit=True) as connection, connection.transaction():
        for rows in faulty.values():
            insert_events(connection, rows)
        for project_id, (rule, lost) in zip(losing, LOST.items(), strict=True):
            rows = [
                call(project_id, NOW - timedelta(minutes=3), loaded_at=NOW, **lost)
                for _ in range(HOURLY_CALLS)
            ]
            insert_events(connection, rows)
            expected[rule] = {str(project_id)}
        connection.execute(
            "delete from raw.llm_events where project_id = %s and loaded_at = %s", [silent, LATELY]
        )
        connection.execute("delete from marts.fct_llm_calls where project_id = %s", [silent])
        connection.execute("delete from marts.fct_usage_minutely where project_id = %s", [silent])
        expected[SILENT] = {str(silent)}
    build_all(database_url, tmp_path)
    assert judged(database_url, tmp_path) == expected
