"""The sensors that tell the operators' channels of failed checks and failed runs.

What they tell is written to the outbox and committed before the cursor passes it. A process that
dies in between reads the same events again, and the idempotency keys keep the outbox as it is:
nothing is lost, and nothing is told twice.
"""

from collections.abc import Callable, Iterable
from typing import Final

import dagster as dg
import psycopg

from ingest_api.database.channels import keep_environment_channel
from ingest_api.database.notifications import enqueue, operator_channel_ids
from orchestration.alerting.event_log import (
    newest_evaluation_id,
    newest_run_failure_id,
    read_evaluations,
    read_run_failures,
)
from orchestration.alerting.notifier import Notifier
from orchestration.alerting.operators import notification_of
from orchestration.alerting.steps import NOT_BEGUN, AlertCursor, Step, check_steps, run_steps
from orchestration.resources import Warehouse

INTERVAL_SECONDS: Final = 15
Steps = Callable[[AlertCursor], Iterable[Step]]


@dg.sensor(
    name="failed_checks_sensor",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the operators when an asset check begins to fail and when it passes again.",
)
def failed_checks_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: read the evaluations since the last one, tell what has changed."""

    def steps(cursor: AlertCursor) -> Iterable[Step]:
        evaluations = read_evaluations(context.instance, cursor.after_id)
        return check_steps(evaluations, cursor, notifier.dagster_url)

    return tick(context, warehouse, notifier, newest_evaluation_id, steps)


@dg.sensor(
    name="failed_runs_sensor",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the operators of each run that failed: of the loader, dbt, the reports.",
)
def failed_runs_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: read the failures since the last one, tell of each."""

    def steps(cursor: AlertCursor) -> Iterable[Step]:
        failures = read_run_failures(context.instance, cursor.after_id)
        return run_steps(failures, notifier.dagster_url)

    return tick(context, warehouse, notifier, newest_run_failure_id, steps)


def tick(
    context: dg.SensorEvaluationContext,
    warehouse: Warehouse,
    notifier: Notifier,
    newest_id: Callable[[dg.DagsterInstance], int],
    steps: Steps,
) -> dg.SensorResult | dg.SkipReason:
    """Write what is new to the outbox, and say in the skip reason what came of it.

    The first tick, and the first after a time without channels, only marks where the log ends, so
    that nobody is told of the past.
    """
    cursor = AlertCursor.parse(context.cursor)
    try:
        with warehouse.borrow() as connection:
            keep_environment_channel(connection, is_set=notifier.has_webhook)
            if not operator_channel_ids(connection):
                return _skip(
                    "Nobody to tell: set LLMSCOPE_ALERT_WEBHOOK_URL or add a channel "
                    "with `llmscope channels add --operators`.",
                    NOT_BEGUN,
                )
            if cursor is None:
                begun = AlertCursor(newest_id(context.instance))
                return _skip("Begins here: what happened before is not told.", str(begun))
            told_count, behind = tell(connection, steps(cursor), cursor)
    except psycopg.OperationalError as error:
        return dg.SkipReason(
            f"The database is away ({type(error).__name__}): the next tick tells of the same."
        )
    return _skip(f"Notifications written: {told_count}.", str(behind))


def tell(
    connection: psycopg.Connection, steps: Iterable[Step], cursor: AlertCursor
) -> tuple[int, AlertCursor]:
    """Write what is to be said to the outbox; how many rows that are, and the cursor behind it."""
    channel_ids = operator_channel_ids(connection)
    told_count = 0
    for step in steps:
        if step.message is not None:
            told_count += enqueue(connection, channel_ids, notification_of(step.message))
        cursor = step.cursor
    return told_count, cursor


def _skip(reason: str, cursor: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=cursor)
