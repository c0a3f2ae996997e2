"""What the alerts read from Dagster's event log."""

from collections.abc import Mapping
from typing import Final

import dagster as dg

from ingest_api.alerts.messages import CHECKS
from orchestration.alerting.messages import Evaluation, RunFailure

MAX_EVENTS_PER_TICK: Final = 500
COUNT_TYPES: Final = (dg.IntMetadataValue, dg.FloatMetadataValue)


def read_evaluations(instance: dg.DagsterInstance, after_id: int) -> list[Evaluation]:
    """Evaluations of checks behind `after_id`, oldest first.

    Without those that stand for alert rules: rules tell channels of their own.
    """
    behind = dg.EventRecordsFilter(
        dg.DagsterEventType.ASSET_CHECK_EVALUATION, after_cursor=after_id
    )
    records = instance.get_event_records(behind, limit=MAX_EVENTS_PER_TICK, ascending=True)
    found = [_evaluation(record) for record in records]
    return [one for one in found if one.check not in CHECKS.values()]


def newest_evaluation_id(instance: dg.DagsterInstance) -> int:
    """Storage id of the newest evaluation; 0 where there is none."""
    any_evaluation = dg.EventRecordsFilter(dg.DagsterEventType.ASSET_CHECK_EVALUATION)
    records = instance.get_event_records(any_evaluation, limit=1)
    return records[0].storage_id if records else 0


def read_run_failures(instance: dg.DagsterInstance, after_id: int) -> list[RunFailure]:
    """Runs that failed behind `after_id`, oldest first."""
    behind = dg.RunStatusChangeRecordsFilter(
        dg.DagsterEventType.RUN_FAILURE, after_storage_id=after_id
    )
    found = instance.fetch_run_status_changes(behind, limit=MAX_EVENTS_PER_TICK, ascending=True)
    return [_run_failure(record) for record in found.records]


def newest_run_failure_id(instance: dg.DagsterInstance) -> int:
    """Storage id of the newest failure of a run; 0 where there is none."""
    found = instance.fetch_run_status_changes(dg.DagsterEventType.RUN_FAILURE, limit=1)
    return found.records[0].storage_id if found.records else 0


def _evaluation(record: dg.EventLogRecord) -> Evaluation:
    entry = record.event_log_entry
    assert entry.dagster_event is not None  # noqa: S101 - the filter asked for Dagster's events
    found = entry.dagster_event.asset_check_evaluation_data
    return Evaluation(
        storage_id=record.storage_id,
        asset=found.asset_key.to_user_string(),
        check=found.check_name,
        is_passed=found.passed,
        severity=found.severity.value.lower(),
        timestamp=entry.timestamp,
        run_id=entry.run_id or None,
        description=found.description or "",
        counts=_counts(found.metadata),
        sample_ids=_sample_ids(found.metadata),
    )


def _counts(metadata: Mapping[str, dg.MetadataValue]) -> dict[str, float]:
    return {
        name: value.value
        for name, value in metadata.items()
        if isinstance(value, COUNT_TYPES) and value.value is not None
    }


def _sample_ids(metadata: Mapping[str, dg.MetadataValue]) -> tuple[str, ...]:
    value = metadata.get("sample_ids")
    if not isinstance(value, dg.JsonMetadataValue) or not isinstance(value.data, list):
        return ()
    return tuple(map(str, value.data))


def _run_failure(record: dg.EventLogRecord) -> RunFailure:
    entry = record.event_log_entry
    return RunFailure(
        storage_id=record.storage_id,
        job=entry.job_name or "",
        run_id=entry.run_id,
        timestamp=entry.timestamp,
        description=(entry.dagster_event and entry.dagster_event.message) or "",
    )
