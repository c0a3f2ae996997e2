"""The sensors on a Dagster instance of their own, against a webhook that really listens."""

from collections.abc import Iterator

import dagster as dg
import pytest

from orchestration.alerting.notifier import Notifier
from orchestration.alerting.sensors import failed_checks_sensor, failed_runs_sensor
from tests.webhook import WebhookServer

ASSET = dg.AssetKey(["raw", "llm_events"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


class Ticks:
    """Runs a sensor tick after tick, keeping its cursor as the daemon does."""

    def __init__(self, sensor: dg.SensorDefinition, instance: dg.DagsterInstance, url: str) -> None:
        self.sensor = sensor
        self.instance = instance
        self.cursor: str | None = None
        self.url = url

    def tick(self) -> str:
        """Run once; gives the skip reason."""
        notifier = Notifier(self.url, "http://127.0.0.1:8401")
        with dg.build_sensor_context(
            self.instance, cursor=self.cursor, resources={"notifier": notifier}
        ) as context:
            data = self.sensor.evaluate_tick(context)
        self.cursor = data.cursor or self.cursor
        return data.skip_message or ""


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
    instance: dg.DagsterInstance, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, webhook.url)
    ticks.tick()
    for passed in (True, False, False):
        evaluate(instance, passed=passed)
        ticks.tick()
    evaluate(instance, passed=True)

    assert ticks.tick() == "Messages delivered: 1."
    assert ticks.tick() == "Messages delivered: 0."

    assert [body["kind"] for body in webhook.bodies] == ["check_failed", "check_resolved"]
    told = webhook.bodies[0]
    assert (told["asset"], told["check"], told["severity"]) == ("raw/llm_events", "a_check", "warn")
    assert told["counts"] == {"failed_count": 2, "failed_ratio": 0.5}
    assert told["sample_ids"] == ["x", "y"]
    assert (told["run_id"], told["description"]) == (None, "A truth.")


def test_the_first_tick_tells_nothing_of_the_past(
    instance: dg.DagsterInstance, webhook: WebhookServer
) -> None:
    evaluate(instance, passed=False)
    failing_job.execute_in_process(instance=instance, raise_on_error=False)

    for sensor in (failed_checks_sensor, failed_runs_sensor):
        ticks = Ticks(sensor, instance, webhook.url)
        assert "before is not told" in ticks.tick()
        assert ticks.tick() == "Messages delivered: 0."

    assert webhook.bodies == []


def test_without_a_webhook_the_reason_is_said_and_a_later_one_is_not_flooded(
    instance: dg.DagsterInstance, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, url=webhook.url)
    ticks.tick()
    ticks.url = ""
    assert "LLMSCOPE_ALERT_WEBHOOK_URL" in ticks.tick()
    evaluate(instance, passed=False, check="failed_before")
    ticks.tick()
    ticks.url = webhook.url
    ticks.tick()
    evaluate(instance, passed=False, check="failed_after")
    ticks.tick()

    assert [body["check"] for body in webhook.bodies] == ["failed_after"]


def test_a_webhook_that_was_down_gets_each_message_once_when_it_is_up(
    instance: dg.DagsterInstance, webhook: WebhookServer
) -> None:
    ticks = Ticks(failed_checks_sensor, instance, webhook.url)
    ticks.tick()
    evaluate(instance, passed=False, check="told_before")
    ticks.tick()
    webhook.stop()
    evaluate(instance, passed=False, check="told_after")
    evaluate(instance, passed=True, check="told_before")
    for _ in range(3):
        assert "The next one failed and is tried again" in ticks.tick()
    webhook.start()

    assert ticks.tick() == "Messages delivered: 2."
    ticks.tick()

    assert [(body["kind"], body["check"]) for body in webhook.bodies] == [
        ("check_failed", "told_before"),
        ("check_failed", "told_after"),
        ("check_resolved", "told_before"),
    ]


def test_a_failed_run_is_told_once(instance: dg.DagsterInstance, webhook: WebhookServer) -> None:
    ticks = Ticks(failed_runs_sensor, instance, webhook.url)
    ticks.tick()
    webhook.status = 500
    failing_job.execute_in_process(instance=instance, raise_on_error=False)
    ticks.tick()
    webhook.status = 200
    ticks.tick()
    ticks.tick()

    (told,) = webhook.bodies
    assert (told["kind"], told["job"]) == ("run_failed", "failing_job")
    assert told["run_id"] in told["url"]
    assert "of no interest" not in str(told)
