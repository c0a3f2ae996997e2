"""One attempt against a webhook that really listens."""

import logging

import pytest

from orchestration.alerting.messages import Message, RunFailure, run_message
from orchestration.alerting.notifier import DeliveryError, Notifier
from tests.webhook import WebhookServer

MESSAGE: Message = run_message(
    RunFailure(1, "build_marts_job", "r1", 0.0, "It failed."), "http://d"
)


def test_a_message_arrives_with_its_key(webhook: WebhookServer) -> None:
    Notifier(webhook.url, "").send(MESSAGE)

    assert webhook.bodies[0]["description"] == "It failed."
    assert webhook.keys == [MESSAGE.idempotency_key]


@pytest.mark.parametrize("status", [301, 400, 404, 500, 503])
def test_an_answer_other_than_2xx_is_no_delivery(webhook: WebhookServer, status: int) -> None:
    webhook.status = status

    with pytest.raises(DeliveryError, match=f"the webhook answered {status}"):
        Notifier(webhook.url, "").send(MESSAGE)


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/secret-token", "nonsense", "http://[secret"])
def test_a_webhook_that_cannot_be_reached_is_no_delivery(url: str) -> None:
    with pytest.raises(DeliveryError):
        Notifier(url, "").send(MESSAGE)


def test_the_url_is_never_logged_nor_shown(
    webhook: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    notifier = Notifier(webhook.url, "")

    notifier.send(MESSAGE)
    webhook.status = 500
    with pytest.raises(DeliveryError) as refused:
        notifier.send(MESSAGE)

    assert "secret-token" not in caplog.text + repr(notifier) + str(refused.value)
