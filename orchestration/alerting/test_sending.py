"""From the outbox to receivers that really listen: retries, order, leases, separate channels."""

from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from ingest_api.database.channels import enable_channel
from ingest_api.database.outbox import LEASE, claim_next, mark_delivered
from ingest_api.notifying.networks import TargetPolicy
from ingest_api.notifying.secrets import new_key
from tests.outbox import OutboxCase, firing
from tests.webhook import WebhookServer

RESOLVED = replace(firing(), kind="alert_resolved", idempotency_key="spend/1/resolved")


def test_what_is_written_is_delivered_once(outbox: OutboxCase, webhook: WebhookServer) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))

    assert outbox.send() == (1, 0, 0)
    assert outbox.send() == (0, 0, 0)

    assert webhook.keys == ["spend/1/firing"]
    assert outbox.row() == {
        "idempotency_key": "spend/1/firing", "attempt_count": 1, "is_delivered": True,
        "is_given_up": False, "last_error": None, "may_have_arrived": False,
    }  # fmt: skip


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_a_receiver_that_fails_for_a_time_gets_the_same_message_later(
    outbox: OutboxCase, webhook: WebhookServer, status: int
) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))
    webhook.status = status

    assert outbox.send() == (0, 1, 0)
    assert outbox.row()["last_error"] == f"the receiver answered {status}"
    assert outbox.send() == (0, 0, 0)
    webhook.status = 200
    outbox.clock.advance(seconds=7)
    assert outbox.send() == (1, 0, 0)

    first, second = webhook.received
    assert (first.key, first.body) == (second.key, second.body)


def test_attempts_grow_rarer_and_end_after_a_day(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))
    webhook.status = 500
    # An hour more: the last attempt of the day lies anywhere in its last hour.
    for _ in range(25 * 12):
        outbox.send()
        outbox.clock.advance(minutes=5)

    row = outbox.row()
    assert row["is_given_up"]
    assert row["last_error"] == "the receiver answered 500"
    assert 40 < row["attempt_count"] == len(webhook.received) < 80


def test_what_a_receiver_refuses_for_its_content_is_given_up_and_the_next_goes_on(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    channel = outbox.add_channel("webhook", url=webhook.url)
    outbox.write(firing(), channel)
    outbox.write(RESOLVED, channel)
    webhook.status = 400

    assert outbox.send() == (0, 2, 2)


def test_a_pause_that_the_receiver_asks_for_is_kept_by_the_whole_channel(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    channel = outbox.add_channel("webhook", url=webhook.url)
    outbox.write(firing(1), channel)
    outbox.write(firing(2), channel)
    webhook.status, webhook.headers = 429, {"Retry-After": "120"}
    outbox.send()
    webhook.status = 200

    outbox.clock.advance(seconds=119)
    assert outbox.send() == (0, 0, 0)
    outbox.clock.advance(seconds=2)
    assert outbox.send() == (2, 0, 0)


def test_of_one_alert_the_firing_arrives_before_the_resolving(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    channel = outbox.add_channel("webhook", url=webhook.url)
    outbox.write(firing(), channel)
    webhook.status = 500
    outbox.send()
    webhook.status = 200
    outbox.write(RESOLVED, channel)
    outbox.write(firing(alert="other"), channel)

    assert outbox.send() == (1, 0, 0)
    outbox.clock.advance(minutes=1)
    assert outbox.send() == (2, 0, 0)
    assert webhook.keys == ["other/1/firing", "spend/1/firing", "spend/1/resolved"]


def test_dead_channels_keep_no_other_from_delivering(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    dead = WebhookServer(behaviour="hang")
    outbox.attempt_seconds = 0.3
    try:
        channels = [outbox.add_channel("webhook", f"dead {n}", url=dead.url) for n in range(10)]
        channels.append(outbox.add_channel("webhook", "sound", url=webhook.url))
        for number in range(3):
            outbox.write(firing(number), *channels)

        assert outbox.send() == (3, 10, 0)
    finally:
        dead.stop()

    assert webhook.keys == [f"spend/{number}/firing" for number in range(3)]


@pytest.mark.parametrize("behaviour", ["hang", "cut", "drip"])
def test_a_receiver_that_never_ends_its_answer_is_left_in_time_and_may_get_a_repeat(
    outbox: OutboxCase, webhook: WebhookServer, behaviour: str
) -> None:
    outbox.write(firing(), outbox.add_channel("slack", url=webhook.url))
    outbox.attempt_seconds = 0.5
    webhook.behaviour = behaviour

    assert outbox.send() == (0, 1, 0)
    assert outbox.row()["may_have_arrived"]
    webhook.behaviour = "answer"
    outbox.clock.advance(seconds=7)
    assert outbox.send() == (1, 0, 0)

    first, second = webhook.received
    assert "repeat" not in str(first.content)
    assert "may be a repeat" in str(second.content)


def test_a_claim_is_ours_alone_until_its_lease_ends(outbox: OutboxCase) -> None:
    channel = outbox.add_channel("webhook", url="http://127.0.0.1:1/")
    outbox.write(firing(), channel)
    clock = outbox.clock

    first = claim_next(outbox.connection, channel, clock())
    assert first is not None
    assert claim_next(outbox.connection, channel, clock()) is None
    clock.advance(seconds=LEASE.total_seconds() + 1)
    second = claim_next(outbox.connection, channel, clock())

    assert second is not None
    assert (second.attempt_count, second.may_have_arrived) == (2, True)


def test_two_senders_share_the_work_without_sending_anything_twice(
    outbox: OutboxCase, database_url: str
) -> None:
    channel = outbox.add_channel("webhook", url="http://127.0.0.1:1/")
    for number in range(20):
        outbox.write(firing(number), channel)
    claimed = []
    with psycopg.connect(database_url) as other:
        for _ in range(10):
            ours = claim_next(outbox.connection, channel, outbox.clock())
            theirs = claim_next(other, channel, outbox.clock())
            claimed += [ours, theirs]
        assert claim_next(outbox.connection, channel, outbox.clock()) is None

    assert len({one.notification_id for one in claimed if one is not None}) == 20


def test_an_answer_that_comes_after_the_lease_still_counts(outbox: OutboxCase) -> None:
    channel = outbox.add_channel("webhook", url="http://127.0.0.1:1/")
    outbox.write(firing(), channel)
    late = claim_next(outbox.connection, channel, outbox.clock())
    assert late is not None
    outbox.clock.advance(seconds=LEASE.total_seconds() + 1)
    claim_next(outbox.connection, channel, outbox.clock())

    mark_delivered(outbox.connection, late, outbox.clock())

    assert outbox.row()["is_delivered"]


def test_a_disabled_channel_sends_what_waits_once_it_is_enabled(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    channel = outbox.add_channel("webhook", url=webhook.url)
    outbox.write(firing(1), channel)
    enable_channel(outbox.connection, channel, False)
    outbox.write(firing(2), channel)

    assert outbox.send() == (0, 0, 0)
    enable_channel(outbox.connection, channel, True)
    assert outbox.send() == (1, 0, 0)


def test_a_private_address_is_refused_at_each_attempt(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))
    outbox.policy = TargetPolicy()

    assert outbox.send() == (0, 1, 0)
    assert "private network" in outbox.row()["last_error"]
    assert webhook.received == []


def test_a_name_that_turns_to_a_private_address_is_never_connected_to(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    answers = iter(["203.0.113.9", "127.0.0.1"])
    judged: list[str] = []

    def rebind(_host: str, _port: int) -> list[str]:
        judged.append(next(answers))
        return judged[-1:]

    url = webhook.url.replace("http://127.0.0.1", "https://rebinding.example")
    outbox.write(firing(), outbox.add_channel("webhook", url=url))
    outbox.policy = TargetPolicy(resolver=rebind)

    for _ in range(2):
        assert outbox.send() == (0, 1, 0)
        outbox.clock.advance(minutes=1)

    assert judged == ["203.0.113.9", "127.0.0.1"]
    assert webhook.received == []


def test_a_redirect_is_not_followed(outbox: OutboxCase, webhook: WebhookServer) -> None:
    elsewhere = WebhookServer()
    try:
        webhook.status, webhook.headers = 307, {"Location": elsewhere.url}
        outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))

        assert outbox.send() == (0, 1, 0)
        assert elsewhere.received == []
    finally:
        elsewhere.stop()


def test_a_secret_of_the_environment_is_read_when_it_is_needed(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    reference = {"url": "LLMSCOPE_CHANNEL_OPS"}
    outbox.write(firing(), outbox.add_channel("webhook", secret_env=reference))

    outbox.send()
    assert outbox.row()["last_error"] == "LLMSCOPE_CHANNEL_OPS is not set"
    outbox.environment = {"LLMSCOPE_CHANNEL_OPS": webhook.url}
    outbox.clock.advance(seconds=7)

    assert outbox.send() == (1, 0, 0)


def test_a_lost_key_is_a_failed_delivery_that_names_the_variable(outbox: OutboxCase) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url="https://hooks.example.com/hidden"))
    outbox.key = new_key()

    outbox.send()

    assert "LLMSCOPE_SECRET_KEY" in outbox.row()["last_error"]


def test_no_error_quotes_an_address_or_a_secret(outbox: OutboxCase) -> None:
    urls = ("http://127.0.0.1:1/hidden", "https://hidden.invalid/x", "http://10.0.0.1/hidden")
    for number, url in enumerate(urls):
        channel = outbox.add_channel("webhook", f"ops {number}", url=url)
        outbox.write(firing(), channel)

    assert outbox.send() == (0, 3, 0)

    for row in outbox.rows():
        assert row["last_error"]
        assert "hidden" not in row["last_error"]


def test_a_channel_with_much_to_send_stops_when_the_tick_is_over(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    channel = outbox.add_channel("webhook", url=webhook.url)
    for number in range(5):
        outbox.write(firing(number), channel)

    assert outbox.send(seconds=0) == (0, 0, 0)
    assert outbox.send() == (5, 0, 0)


def test_what_has_waited_for_a_day_is_given_up_unsent(
    outbox: OutboxCase, webhook: WebhookServer
) -> None:
    outbox.write(firing(), outbox.add_channel("webhook", url=webhook.url))
    outbox.clock.now += timedelta(hours=25)

    assert outbox.send() == (0, 0, 1)
    assert outbox.row()["last_error"] == "no attempt was made in time"
