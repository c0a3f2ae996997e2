"""Builds the marts when there is something to build."""

from datetime import UTC, datetime
from itertools import takewhile

import dagster as dg

from orchestration.load_order import read_loaded_before
from orchestration.resources import Warehouse
from orchestration.runs import newest_runs
from orchestration.transforming.assets import build_marts_job
from orchestration.transforming.triggers import (
    LOADED_BEFORE_TAG,
    MAX_COUNTED_FAILURES,
    LastBuild,
    has_work_since,
    skip_reason,
)


@dg.sensor(
    name="build_marts_sensor",
    job=build_marts_job,
    # More often than builds may start, so that rows which arrive after a pause wait for seconds.
    minimum_interval_seconds=5,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Builds the marts when rows were loaded or a restatement was requested since the "
    "last build, at most once a minute and never two at a time.",
)
def build_marts_sensor(
    context: dg.SensorEvaluationContext, warehouse: dg.ResourceParam[Warehouse]
) -> dg.SensorResult | dg.SkipReason:
    """One tick: start a build, or say why not."""
    with warehouse.borrow() as connection:
        has_work = has_work_since(connection, context.cursor)
        reason = skip_reason(_last_build(context.instance), has_work, datetime.now(UTC))
        if reason:
            return dg.SkipReason(reason)
        loaded_before = read_loaded_before(connection).isoformat()
    request = dg.RunRequest(tags={LOADED_BEFORE_TAG: loaded_before})
    return dg.SensorResult(run_requests=[request], cursor=loaded_before)


def _last_build(instance: dg.DagsterInstance) -> LastBuild | None:
    records = newest_runs(instance, build_marts_job.name, MAX_COUNTED_FAILURES)
    if not records:
        return None
    newest = records[0]
    failures = takewhile(lambda r: r.dagster_run.status == dg.DagsterRunStatus.FAILURE, records)
    ended_at = datetime.fromtimestamp(newest.end_time, UTC) if newest.end_time else None
    return LastBuild(
        newest.create_timestamp,
        ended_at if newest.dagster_run.is_finished else None,
        sum(1 for _ in failures),
    )
