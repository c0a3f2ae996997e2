"""The sensors on a Dagster instance and an outbox of their own, and a webhook that listens."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import dagster as dg
import pytest

from ingest_api.database.channels import enable_channel
from ingest_api.database.outbox import STUCK_AFTER
from ingest_api.notifying.secrets import OPERATORS_WEBHOOK
from orchestration.alerting.notifier import Notifier
from orchestration.alerting.sending_sensor import (
    notification_delivery,
    send_notifications_sensor,
)
from orchestration.alerting.sensors import failed_checks_sensor, failed_runs_sensor
from orchestration.resources import Warehouse
from tests.outbox import OutboxCase, firing
from tests.webhook import WebhookServer

ASSET = dg.AssetKey(["raw", "llm_events"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Ticks:
    """Runs a sensor tick after tick, keeping its cursor as the daemon does."""

    def __init__(
        self,
        sensor: dg.SensorDefinition,
        instance: dg.DagsterInstance,
        outbox: OutboxCase,
        url: str = "",
    ) -> None:
        self.sensor = sensor
        self.instance = instance
        self.outbox = outbox
        self.cursor: str | None = None
        self.url = url
        self.database_url = outbox.database_url
        outbox.ensure_tenant()

    def evaluate(self) -> Any:
        """Run once."""
        self.outbox.environment = {OPERATORS_WEBHOOK: self.url}
        notifier = Notifier(self.outbox.sender, bool(self.url), "http://127.0.0.1:8401")
        resources = {
            "notifier": notifier,
            "warehouse": Warehouse(database_url=self.database_url),
        }
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources=resources
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data

    def tick(self) -> str:
        """Run once; gives the skip reason."""
        return self.evaluate().skip_message or ""


def evaluate(instance: dg.DagsterInstance, *, passed: bool, check: str = "a_check") -> None:
    instance.report_runless_asset_event(
        dg.AssetCheckEvaluation(
            asset_key=ASSET,
            check_name=check,
            passed=passed,
            severity=dg.AssetCheckSeverity.WARN,
            description="A truth.",
            metadata={"failed_count": 2, "failed_ratio": 0.5, "sample_ids": ["x", "y"]},
        )
    )


@dg.job
def failing_job() -> None:
    @dg.op
    def fail() -> None:
        raise RuntimeError("of no interest")

    fail()


def test_a_failed_check_is_told_once_and_so_is_its_recovery(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, outbox, webhook.url)
    ticks.tick()
    for passed in (True, False, False):
        evaluate(instance, passed=passed)
        ticks.tick()
    evaluate(instance, passed=True)

    assert ticks.tick() == "Notifications written: 1."
    assert ticks.tick() == "Notifications written: 0."

    outbox.send()
    assert [body["kind"] for body in webhook.bodies] == ["check_failed", "check_resolved"]
    told = webhook.bodies[0]
    assert (told["asset"], told["check"], told["severity"]) == ("raw/llm_events", "a_check", "warn")
    assert told["counts"] == {"failed_count": 2, "failed_ratio": 0.5}
    assert told["sample_ids"] == ["x", "y"]
    assert (told["run_id"], told["description"]) == (None, "A truth.")


def test_the_first_tick_tells_nothing_of_the_past(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    evaluate(instance, passed=False)
    failing_job.execute_in_process(instance=instance, raise_on_error=False)

    for sensor in (failed_checks_sensor, failed_runs_sensor):
        ticks = Ticks(sensor, instance, outbox, webhook.url)
        assert "before is not told" in ticks.tick()
        assert ticks.tick() == "Notifications written: 0."

    assert outbox.rows() == []


def test_without_a_webhook_the_reason_is_said_and_a_later_one_is_not_flooded(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, outbox, webhook.url)
    ticks.tick()
    ticks.url = ""
    assert "LLMSCOPE_ALERT_WEBHOOK_URL" in ticks.tick()
    evaluate(instance, passed=False, check="failed_before")
    ticks.tick()
    ticks.url = webhook.url
    ticks.tick()
    evaluate(instance, passed=False, check="failed_after")
    ticks.tick()
    outbox.send()

    assert [body["check"] for body in webhook.bodies] == ["failed_after"]


def test_a_process_that_dies_before_its_cursor_is_stored_tells_nothing_twice(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, outbox, webhook.url)
    ticks.tick()
    stored = ticks.cursor
    evaluate(instance, passed=False)
    evaluate(instance, passed=True)
    assert ticks.tick() == "Notifications written: 2."
    ticks.cursor = stored

    assert ticks.tick() == "Notifications written: 0."
    outbox.send()
    assert [body["kind"] for body in webhook.bodies] == ["check_failed", "check_resolved"]


def test_a_failed_run_is_told_once_to_each_channel_of_the_operators(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.add_channel("slack", "a team's", url=webhook.url)
    outbox.add_channel("slack", "operators", url=webhook.url, tells_operators=True)
    ticks = Ticks(failed_runs_sensor, instance, outbox, webhook.url)
    ticks.tick()
    failing_job.execute_in_process(instance=instance, raise_on_error=False)

    assert ticks.tick() == "Notifications written: 2."
    assert ticks.tick() == "Notifications written: 0."
    outbox.send()

    by_kind = {"blocks" in body: body for body in webhook.bodies}
    told = by_kind[False]
    assert len(webhook.bodies) == 2
    assert (told["kind"], told["job"]) == ("run_failed", "failing_job")
    assert told["run_id"] in told["url"]
    assert "Run failed: failing_job" in str(by_kind[True])
    assert "of no interest" not in str(webhook.bodies)


@pytest.mark.parametrize(
    "sensor", [failed_checks_sensor, failed_runs_sensor, send_notifications_sensor]
)
def test_a_tick_skips_and_keeps_its_cursor_while_the_database_is_away(
    sensor: dg.SensorDefinition, instance: dg.DagsterInstance, outbox: OutboxCase
) -> None:
    ticks = Ticks(sensor, instance, outbox, "http://127.0.0.1:1/")
    ticks.tick()
    cursor = ticks.cursor
    ticks.database_url = "postgresql://nobody@127.0.0.1:1/nothing"

    assert "The database is away" in ticks.tick()
    assert ticks.cursor == cursor


def sensor_of_sending(instance: dg.DagsterInstance, outbox: OutboxCase, channel: UUID) -> Ticks:
    ticks = Ticks(send_notifications_sensor, instance, outbox)
    outbox.write(firing(), channel)
    return ticks


def test_the_sending_sensor_delivers_and_reports_the_check_when_it_changes(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    webhook.status = 500
    ticks = sensor_of_sending(instance, outbox, outbox.add_channel("webhook", url=webhook.url))

    assert [one.passed for one in ticks.evaluate().asset_events] == [True]
    outbox.clock.now += STUCK_AFTER
    (failed,) = ticks.evaluate().asset_events
    assert ticks.evaluate().asset_events == []
    webhook.status = 200
    outbox.clock.advance(minutes=1)
    (resolved,) = ticks.evaluate().asset_events

    assert (failed.check_name, failed.passed) == ("notifications_are_delivered", False)
    assert failed.severity == dg.AssetCheckSeverity.ERROR
    assert failed.metadata["channels"].value == {
        "ops": {"stuck_count": 1, "last_error": "the receiver answered 500"}
    }
    assert "secret-token" not in str(failed.metadata)
    assert resolved.passed


def test_what_was_given_up_fails_the_check_for_a_day(
    instance: dg.DagsterInstance, outbox: OutboxCase, webhook: WebhookServer
) -> None:
    webhook.status = 400
    ticks = sensor_of_sending(instance, outbox, outbox.add_channel("webhook", url=webhook.url))

    assert [one.passed for one in ticks.evaluate().asset_events] == [False]
    outbox.clock.advance(hours=23)
    assert [one.passed for one in ticks.evaluate().asset_events] == [False]
    outbox.clock.advance(hours=2)
    assert [one.passed for one in ticks.evaluate().asset_events] == [True]


def test_what_a_disabled_channel_has_kept_for_a_day_is_given_up(
    instance: dg.DagsterInstance, outbox: OutboxCase
) -> None:
    channel = outbox.add_channel("webhook", url="http://127.0.0.1:1/")
    ticks = sensor_of_sending(instance, outbox, channel)
    enable_channel(outbox.connection, channel, False)
    outbox.clock.advance(hours=25)

    ticks.tick()

    assert outbox.row()["is_given_up"]


def test_the_check_can_be_asked_by_hand(outbox: OutboxCase) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url="http://127.0.0.1:1/"))
    outbox.clock.now += STUCK_AFTER
    definitions = dg.Definitions(
        asset_checks=[notification_delivery],
        jobs=[dg.define_asset_job("job", dg.AssetSelection.checks(notification_delivery))],
        resources={
            "warehouse": Warehouse(database_url=outbox.database_url),
            "notifier": Notifier(outbox.sender, False, ""),
        },
    )

    result = definitions.resolve_job_def("job").execute_in_process()

    (found,) = result.get_asset_check_evaluations()
    assert not found.passed
    assert found.metadata["failed_count"].value == 1
