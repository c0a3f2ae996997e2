from datetime import UTC, datetime

import dagster as dg
import psycopg
import pytest

from orchestration.resources import Warehouse
from orchestration.transforming.restating import RestatementConfig, restate_costs_job
from orchestration.transforming.triggers import has_work_since

NOVEMBER = {"period_start": "2026-11-01T00:00:00Z", "period_end": "2026-12-01T00:00:00Z"}
WHY = {"reason": "new contract", "requested_by": "finance"}


def run_job(database_url: str, **config: str) -> dg.ExecuteInProcessResult:
    return restate_costs_job.execute_in_process(
        run_config=dg.RunConfig(ops={"restate_costs": RestatementConfig(**config)}),
        resources={"warehouse": Warehouse(database_url=database_url)},
        raise_on_error=False,
    )


def test_a_job_stores_the_request_and_the_sensor_sees_work(database_url: str) -> None:
    before = datetime.now(UTC).isoformat()
    with psycopg.connect(database_url, autocommit=True) as connection:
        assert not has_work_since(connection, before)
        assert run_job(database_url, **NOVEMBER, **WHY, model="gpt-4o").success
        stored = connection.execute(
            "select model, provider_name, reason, requested_by from app.cost_restatements"
        ).fetchall()
        assert stored == [("gpt-4o", None, "new contract", "finance")]
        assert has_work_since(connection, before)


@pytest.mark.parametrize(
    "config",
    [
        {**WHY, "period_start": "yesterday", "period_end": "2026-12-01T00:00:00Z"},
        {**WHY, "period_start": "2026-11-01", "period_end": "2026-12-01"},
        {**WHY, **NOVEMBER, "project": "nobody"},
        {**NOVEMBER, "reason": " ", "requested_by": "finance"},
    ],
)
def test_a_request_that_means_nothing_fails_and_stores_nothing(
    database_url: str, config: dict[str, str]
) -> None:
    assert not run_job(database_url, **config).success
    with psycopg.connect(database_url) as connection:
        assert connection.execute("select 1 from app.cost_restatements").fetchall() == []
