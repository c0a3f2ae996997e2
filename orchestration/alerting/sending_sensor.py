"""The sensor that sends what waits in the outbox, and the check that all of it arrives."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

import dagster as dg
import psycopg

from ingest_api.database.outbox import (
    StuckChannel,
    count_recent,
    due_channels,
    find_stuck,
    give_up_old,
    prune,
)
from orchestration.alerting.assets import NOTIFICATIONS
from orchestration.alerting.notifier import Notifier
from orchestration.alerting.sending import Delivery, send_due
from orchestration.checking.ingest_checks import Reported, is_news
from orchestration.checking.results import AssetOutcome, check_specs, store_results
from orchestration.resources import Warehouse
from quality.suites import Outcome, Rule

MAX_SAMPLE_IDS: Final = 20

NOTIFICATIONS_ARE_DELIVERED: Final = Rule(
    "notifications_are_delivered",
    "No notification waits for more than 5 minutes, and none was given up in the last day. "
    "`channels` says which channels are stuck and what their receivers answered: mend the channel "
    "with `llmscope channels`, then `llmscope channels test`. The sample lists notification_id.",
    "delivered_at is not null",
)


def judge_deliveries(stuck: list[StuckChannel], recent_count: int) -> AssetOutcome:
    """Pure: whether all channels deliver; names those that do not, and why."""
    failed_count = sum(one.stuck_count for one in stuck)
    sample = [one_id for one in stuck for one_id in one.sample_ids]
    outcome = Outcome(
        NOTIFICATIONS_ARE_DELIVERED,
        is_passed=not stuck,
        failed_count=failed_count,
        failed_ratio=min(1.0, failed_count / max(recent_count, 1)),
        sample_ids=tuple(sample[:MAX_SAMPLE_IDS]),
    )
    channels = {
        one.name: {"stuck_count": one.stuck_count, "last_error": one.last_error} for one in stuck
    }
    return AssetOutcome(NOTIFICATIONS, outcome, {"channels": channels})


def look(connection: psycopg.Connection, now: datetime) -> AssetOutcome:
    """The outcome of the check now."""
    return judge_deliveries(find_stuck(connection, now), count_recent(connection, now))


@dg.multi_asset_check(
    name="notification_delivery",
    specs=check_specs(NOTIFICATIONS, [NOTIFICATIONS_ARE_DELIVERED]),
)
def notification_delivery(
    warehouse: dg.ResourceParam[Warehouse], notifier: dg.ResourceParam[Notifier]
) -> Iterator[dg.AssetCheckResult]:
    """Look at the outbox now. The sensor does so at each tick; this serves those who ask."""
    with warehouse.borrow() as connection:
        found = look(connection, notifier.sender.clock())
        store_results(connection, [found])
    yield found.check_result()


@dg.sensor(
    name="send_notifications_sensor",
    # Every pass of the daemon, which begins one every 5 s.
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Sends what waits in the outbox, with retries; reports whether all of it arrives.",
)
def send_notifications_sensor(
    context: dg.SensorEvaluationContext,
    warehouse: dg.ResourceParam[Warehouse],
    notifier: dg.ResourceParam[Notifier],
) -> dg.SensorResult | dg.SkipReason:
    """One tick: send what is due, and report the check where it is news."""
    try:
        delivery = send(warehouse, notifier)
        return report(warehouse, notifier.sender.clock(), Reported.parse(context.cursor), delivery)
    except psycopg.OperationalError as error:
        return dg.SkipReason(
            f"The database is away ({type(error).__name__}): notifications wait in the outbox."
        )


def send(warehouse: Warehouse, notifier: Notifier) -> Delivery:
    """Send what is due. The pool lends its connections for moments, so sending has its own."""
    now = notifier.sender.clock()
    with warehouse.borrow() as connection:
        if not due_channels(connection, now):
            return Delivery(given_up_count=give_up_old(connection, now))
    with warehouse.connect() as connection:
        connection.autocommit = True
        return send_due(connection, notifier.sender)


def report(
    warehouse: Warehouse, now: datetime, reported: Reported, delivery: Delivery
) -> dg.SensorResult | dg.SkipReason:
    """The end of a tick: what was sent, and the check where it has changed or is an hour old."""
    with warehouse.borrow() as connection:
        found = look(connection, now)
        if not is_news([found], reported, now):
            return dg.SkipReason(in_words(delivery))
        store_results(connection, [found])
        prune(connection, now)
    is_passed = {found.outcome.rule.name: found.outcome.is_passed}
    return dg.SensorResult(asset_events=[found.evaluation()], cursor=str(Reported(now, is_passed)))


def in_words(delivery: Delivery) -> str:
    """Pure: what a tick says of itself."""
    if not any(delivery):
        return "Nothing is due."
    return (
        f"Delivered {delivery.delivered_count}, failed {delivery.failed_count}, "
        f"given up {delivery.given_up_count}."
    )
