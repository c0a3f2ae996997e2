"""The job that checks quality, on a real database: what it evaluates and what it stores."""

import subprocess
import sys

import dagster as dg
import psycopg
import pytest

from orchestration.checking.quality_checks import marts_llm_calls_quality, raw_llm_events_quality
from orchestration.checking.sensors import check_quality_job
from orchestration.resources import Warehouse
from quality.marts_llm_calls import CALLS, COMPLETENESS
from quality.raw_llm_events import RULES
from quality.suites import Rule

INSERT_EVENT = """
insert into raw.llm_events
    (event_id, tenant_id, project_id, provider_name, request_model, operation_name, started_at,
     output_tokens, reasoning_output_tokens, usage_source, usage_semantics, received_at, loaded_at)
values
    (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'openai', 'gpt-5', 'chat', now(),
     10, %s, 'provider', 'inclusive', now(), now())
returning event_id::text
"""


def execute(checks: dg.AssetChecksDefinition, database_url: str) -> dg.ExecuteInProcessResult:
    definitions = dg.Definitions(
        asset_checks=[checks],
        jobs=[dg.define_asset_job("job", dg.AssetSelection.checks(checks))],
        resources={"warehouse": Warehouse(database_url=database_url)},
    )
    with dg.DagsterInstance.ephemeral() as instance:
        return definitions.resolve_job_def("job").execute_in_process(
            instance=instance, raise_on_error=False
        )


def insert_event(database_url: str, reasoning_output_tokens: int) -> str:
    with psycopg.connect(database_url) as connection:
        row = connection.execute(INSERT_EVENT, [reasoning_output_tokens]).fetchone()
    assert row is not None
    return str(row[0])


def test_every_rule_is_a_check_and_a_stored_result(database_url: str) -> None:
    insert_event(database_url, reasoning_output_tokens=10)
    broken = insert_event(database_url, reasoning_output_tokens=11)

    result = execute(raw_llm_events_quality, database_url)

    evaluations = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert set(evaluations) == {rule.name for rule in RULES}
    failed = [one for one in evaluations.values() if not one.passed]
    assert [one.check_name for one in failed] == ["reasoning_tokens_lie_within_output_tokens"]
    assert failed[0].severity == dg.AssetCheckSeverity.ERROR
    assert failed[0].metadata["failed_count"].value == 1
    assert failed[0].metadata["failed_ratio"].value == 0.5
    assert failed[0].metadata["sample_ids"].value == [broken]
    with psycopg.connect(database_url) as connection:
        stored = connection.execute(
            "select asset_key, check_name, severity, is_passed, failed_count, description <> '' "
            "from app.check_results order by check_result_id"
        ).fetchall()
    assert stored == [
        (
            "raw/llm_events",
            rule.name,
            rule.severity.value,
            rule.name != failed[0].check_name,
            int(rule.name == failed[0].check_name),
            True,
        )
        for rule in RULES
    ]


def test_a_suite_that_cannot_be_run_fails_the_run(database_url: str) -> None:
    result = execute(marts_llm_calls_quality, database_url)

    assert not result.success
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select count(*) from app.check_results").fetchone() == (0,)


@pytest.mark.parametrize(
    ("checks", "rules"),
    [(raw_llm_events_quality, RULES), (marts_llm_calls_quality, CALLS + COMPLETENESS)],
)
def test_checks_are_known_with_their_descriptions(
    checks: dg.AssetChecksDefinition, rules: tuple[Rule, ...]
) -> None:
    assert {spec.name: spec.description for spec in checks.check_specs} == {
        rule.name: rule.description for rule in rules
    }


def test_the_job_runs_all_quality_checks() -> None:
    definitions = dg.Definitions(
        asset_checks=[raw_llm_events_quality, marts_llm_calls_quality],
        jobs=[check_quality_job],
        resources={"warehouse": Warehouse(database_url="postgresql://nowhere/nothing")},
    )

    assert {node.name for node in definitions.resolve_job_def("check_quality_job").nodes} == {
        "raw_llm_events_quality",
        "marts_llm_calls_quality",
    }


def test_knowing_the_checks_does_not_import_great_expectations() -> None:
    code = (
        "import sys, orchestration.checking.sensors, orchestration.checking.ingest_checks;"
        "sys.exit('great_expectations' in sys.modules)"
    )

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
