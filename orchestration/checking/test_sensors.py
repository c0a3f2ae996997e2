"""When the quality checks are asked for."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster import DagsterRun

from orchestration.checking.freshness import FCT_LLM_CALLS
from orchestration.checking.sensors import (
    Checked,
    check_quality_job,
    check_quality_sensor,
    newest_build_id,
)
from orchestration.runs import is_under_way, newest_run

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def ago(**units: int) -> datetime:
    return NOW - timedelta(**units)


@pytest.mark.parametrize(
    ("checked", "build_id", "reason"),
    [
        (Checked.parse(None), 0, "not built"),
        (Checked.parse(None), 1, None),
        (Checked(5, ago(hours=9)), 5, "not built"),
        (Checked(5, ago(hours=9)), 6, None),
        (Checked(5, ago(seconds=299)), 6, "less than 300 s ago"),
        (Checked(5, ago(seconds=300)), 6, None),
    ],
)
def test_a_new_build_is_checked_at_most_every_five_minutes(
    checked: Checked, build_id: int, reason: str | None
) -> None:
    answer = checked.reason_to_wait(build_id, NOW)

    assert (answer is None) == (reason is None)
    assert (reason or "") in (answer or "")


def test_the_memory_survives_the_cursor() -> None:
    checked = Checked(7, NOW)

    assert Checked.parse(str(checked)) == checked


def test_a_build_is_asked_about_once() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        with dg.build_sensor_context(instance) as context:
            assert isinstance(check_quality_sensor(context), dg.SkipReason)

        instance.report_runless_asset_event(dg.AssetMaterialization(FCT_LLM_CALLS))
        build_id = newest_build_id(instance)
        with dg.build_sensor_context(instance) as context:
            asked = check_quality_sensor(context)

        assert isinstance(asked, dg.SensorResult)
        assert asked.run_requests is not None
        assert [request.run_key for request in asked.run_requests] == [f"build-{build_id}"]
        with dg.build_sensor_context(instance, cursor=asked.cursor) as context:
            assert isinstance(check_quality_sensor(context), dg.SkipReason)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (dg.DagsterRunStatus.STARTING, True),
        (dg.DagsterRunStatus.STARTED, True),
        (dg.DagsterRunStatus.SUCCESS, False),
        (dg.DagsterRunStatus.FAILURE, False),
    ],
)
def test_a_run_that_has_not_ended_is_waited_for(
    status: dg.DagsterRunStatus, expected: bool
) -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_run(DagsterRun(check_quality_job.name, status=status))

        assert is_under_way(newest_run(instance, check_quality_job.name)) is expected
