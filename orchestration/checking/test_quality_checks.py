"""The job that checks quality, on a real database: what it finds, stores and publishes."""

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
import pytest

from orchestration.checking.data_docs import DataDocs, publish
from orchestration.checking.freshness import FCT_LLM_CALLS
from orchestration.checking.quality_checks import (
    FCT_USAGE_MINUTELY,
    LONGEST,
    RAW_RULES,
    SHORTEST,
    ledger_quality,
    window_start,
)
from orchestration.loading.assets import LLM_EVENTS
from orchestration.resources import Warehouse
from quality.conftest import CLEAN_EVENT, CREATE_MARTS
from quality.marts_llm_calls import CALLS, COMPLETENESS
from quality.marts_usage_minutely import MINUTES

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RULES = [
    *((LLM_EVENTS, rule) for rule in RAW_RULES),
    *((FCT_LLM_CALLS, rule) for rule in CALLS + COMPLETENESS),
    *((FCT_USAGE_MINUTELY, rule) for rule in MINUTES),
]
BROKEN = "reasoning_tokens_lie_within_output_tokens"


def execute(database_url: str, home: Path) -> dg.ExecuteInProcessResult:
    docs = DataDocs(
        home=str(home), public_url="http://api", dagster_url="http://dagster", kept_runs=2
    )
    definitions = dg.Definitions(
        asset_checks=[ledger_quality],
        jobs=[dg.define_asset_job("job", dg.AssetSelection.checks(ledger_quality))],
        resources={"warehouse": Warehouse(database_url=database_url), "data_docs": docs},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def("job").execute_in_process(
            instance=instance, raise_on_error=False
        )


def insert_event(connection: psycopg.Connection, reasoning_output_tokens: int) -> str:
    row = CLEAN_EVENT | {"reasoning_output_tokens": reasoning_output_tokens}
    statement = (
        f"insert into raw.llm_events (event_id, {', '.join(row)}) "
        f"values (gen_random_uuid(), {', '.join(['%s'] * len(row))}) returning event_id::text"
    )
    found = connection.execute(statement, list(row.values())).fetchone()
    assert found is not None
    return str(found[0])


def test_every_rule_is_a_check_a_stored_result_and_part_of_a_page(
    database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(CREATE_MARTS)
        insert_event(connection, reasoning_output_tokens=200)
        broken = insert_event(connection, reasoning_output_tokens=201)

    result = execute(database_url, tmp_path)

    evaluations = {
        (one.asset_key, one.check_name): one for one in result.get_asset_check_evaluations()
    }
    assert set(evaluations) == {(key, rule.name) for key, rule in RULES}
    (failed,) = [one for one in evaluations.values() if not one.passed]
    assert (failed.check_name, failed.severity) == (BROKEN, dg.AssetCheckSeverity.ERROR)
    project = {str(CLEAN_EVENT["project_id"]): 1}
    assert failed.metadata["failed_count"].value == 1
    assert failed.metadata["failed_ratio"].value == 0.5
    assert failed.metadata["sample_ids"].value == [broken]
    assert failed.metadata["failed_by_project"].value == project
    assert failed.metadata["report"].value == "http://api/reports/data-quality/"
    link = failed.metadata["data_docs"].value
    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "select asset_key, check_name, severity, is_passed, failed_count, description <> '' "
            "from app.check_results order by check_result_id"
        ).fetchall()
        details = connection.execute(
            "select checked_count, failed_ratio, sample_ids, failed_by_project, run_id "
            "from app.check_results where not is_passed"
        ).fetchall()
    assert details == [(2, 0.5, [broken], project, result.run_id)]
    assert stored == [
        (
            key.to_user_string(), rule.name, rule.severity.value, rule.name != BROKEN,
            int(rule.name == BROKEN), True,
        )
        for key, rule in RULES
    ]  # fmt: skip
    (run,) = (tmp_path / "data-docs").glob("*/index.html")
    assert link == f"http://api/reports/data-docs/{run.parent.name}/#{BROKEN}"
    page = run.read_text()
    assert f'id="{BROKEN}"' in page
    assert broken in page
    assert f"http://dagster/runs/{result.run_id}" in page
    for secret in (CLEAN_EVENT["request_model"], CLEAN_EVENT["user_id"], "acme"):
        assert secret not in page
    assert f'href="{run.parent.name}/"' in (tmp_path / "data-docs" / "index.html").read_text()


def test_a_suite_that_cannot_be_run_fails_the_run(database_url: str, tmp_path: Path) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(CREATE_MARTS)
        connection.execute("drop table marts.fct_usage_minutely")

    result = execute(database_url, tmp_path)

    assert not result.success
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from app.check_results").fetchone() == (0,)
    assert list(tmp_path.iterdir()) == []


def test_pages_are_kept_for_as_many_runs_as_set(tmp_path: Path) -> None:
    from quality.data_docs import RunDocs

    docs = DataDocs(home=str(tmp_path), public_url="", dagster_url="", kept_runs=2)
    for hour in range(4):
        publish(docs, RunDocs(f"run-{hour}", NOW + timedelta(hours=hour), ""), [])
    publish(docs, RunDocs("run-3", NOW + timedelta(hours=3), ""), [])

    assert {path.name for path in docs.folder.iterdir()} == {"run-2", "run-3", "index.html"}
    index = (docs.folder / "index.html").read_text()
    assert index.index("run-3/") < index.index("run-2/")
    assert "run-1/" not in index


@pytest.mark.parametrize(
    ("row_beyond", "expected"),
    [
        (None, NOW - LONGEST),
        (NOW - timedelta(days=9), NOW - LONGEST),
        (NOW - timedelta(hours=3), NOW - timedelta(hours=3)),
        (NOW - timedelta(seconds=9), NOW - SHORTEST),
    ],
)
def test_a_flood_shortens_the_window_but_no_row_escapes(
    row_beyond: datetime | None, expected: datetime
) -> None:
    assert window_start(NOW, row_beyond) == expected


def test_checks_are_known_with_their_descriptions() -> None:
    assert {
        (spec.asset_key, spec.name): spec.description for spec in ledger_quality.check_specs
    } == {(key, rule.name): rule.description for key, rule in RULES}


def test_knowing_the_checks_does_not_import_great_expectations() -> None:
    code = (
        "import sys, orchestration.checking.sensors, orchestration.checking.ingest_checks;"
        "sys.exit('great_expectations' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
