"""The sensors that tell the webhook of failed checks and failed runs."""

from collections.abc import Callable, Iterable
from typing import Final

import dagster as dg

from orchestration.alerting.delivery import (
    NOT_BEGUN,
    AlertCursor,
    Step,
    check_steps,
    deliver,
    run_steps,
)
from orchestration.alerting.event_log import (
    newest_evaluation_id,
    newest_run_failure_id,
    read_evaluations,
    read_run_failures,
)
from orchestration.alerting.notifier import Notifier

INTERVAL_SECONDS: Final = 15


@dg.sensor(
    name="failed_checks_sensor",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the webhook when an asset check begins to fail and when it passes again.",
)
def failed_checks_sensor(
    context: dg.SensorEvaluationContext, notifier: dg.ResourceParam[Notifier]
) -> dg.SensorResult:
    """One tick: read the evaluations since the last one, tell what has changed."""

    def steps(cursor: AlertCursor) -> Iterable[Step]:
        evaluations = read_evaluations(context.instance, cursor.after_id)
        return check_steps(evaluations, cursor, notifier.dagster_url)

    return tick(context, notifier, newest_evaluation_id, steps)


@dg.sensor(
    name="failed_runs_sensor",
    minimum_interval_seconds=INTERVAL_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Tells the webhook of each run that failed.",
)
def failed_runs_sensor(
    context: dg.SensorEvaluationContext, notifier: dg.ResourceParam[Notifier]
) -> dg.SensorResult:
    """One tick: read the failures since the last one, tell of each."""

    def steps(cursor: AlertCursor) -> Iterable[Step]:
        failures = read_run_failures(context.instance, cursor.after_id)
        return run_steps(failures, notifier.dagster_url)

    return tick(context, notifier, newest_run_failure_id, steps)


def tick(
    context: dg.SensorEvaluationContext,
    notifier: Notifier,
    newest_id: Callable[[dg.DagsterInstance], int],
    steps: Callable[[AlertCursor], Iterable[Step]],
) -> dg.SensorResult:
    """Deliver what is new, and say in the skip reason what came of it.

    The first tick, and the first after a time without webhook, only marks where the log ends, so
    that nobody is told of the past.
    """
    if not notifier.is_configured:
        return _skip("No webhook: set LLMSCOPE_ALERT_WEBHOOK_URL to be told.", NOT_BEGUN)
    cursor = AlertCursor.parse(context.cursor)
    if cursor is None:
        begun = AlertCursor(newest_id(context.instance))
        return _skip("Begins here: what happened before is not told.", str(begun))
    delivery = deliver(steps(cursor), cursor, notifier.send)
    told = f"Messages delivered: {delivery.message_count}."
    if delivery.problem is not None:
        told += f" The next one failed and is tried again next tick: {delivery.problem}."
        context.log.warning(told)
    return _skip(told, str(delivery.cursor))


def _skip(reason: str, cursor: str) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=cursor)
