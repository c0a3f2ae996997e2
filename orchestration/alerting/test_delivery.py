"""Which evaluations are told, in which order, and what a failing webhook changes."""

import pytest

from orchestration.alerting.delivery import NOT_BEGUN, AlertCursor, check_steps, deliver, run_steps
from orchestration.alerting.messages import Evaluation, Message, RunFailure
from orchestration.alerting.notifier import DeliveryError

START = AlertCursor(0)


class Webhook:
    """Takes messages, except in the attempts that it is told to refuse (counted from 1)."""

    def __init__(self, *refused: int) -> None:
        self.refused = refused
        self.attempts = 0
        self.taken: list[Message] = []

    def send(self, message: Message) -> None:
        self.attempts += 1
        if self.attempts in self.refused:
            raise DeliveryError("the webhook answered 503")
        self.taken.append(message)

    def said(self) -> list[str]:
        return [f"{message.kind} {message.check}" for message in self.taken]


def evaluations(*outcomes: str, first_id: int = 1) -> list[Evaluation]:
    """`-a`: check a failed; `+a`: it passed."""
    return [
        Evaluation(storage_id, "raw/llm_events", outcome[1:], outcome[0] == "+", "error", 0.0)
        for storage_id, outcome in enumerate(outcomes, first_id)
    ]


@pytest.mark.parametrize(
    ("outcomes", "said"),
    [
        ([], []),
        (["+a", "+b"], []),
        (["-a"], ["check_failed a"]),
        (["-a", "-a", "-a"], ["check_failed a"]),
        (["-a", "-a", "+a"], ["check_failed a", "check_resolved a"]),
        (["-a", "+a", "+a"], ["check_failed a", "check_resolved a"]),
        (["-a", "+a", "-a"], ["check_failed a", "check_resolved a", "check_failed a"]),
        (["-a", "-b", "+a", "-b"], ["check_failed a", "check_failed b", "check_resolved a"]),
    ],
)
def test_only_changes_are_told(outcomes: list[str], said: list[str]) -> None:
    webhook = Webhook()

    delivery = deliver(check_steps(evaluations(*outcomes), START, ""), START, webhook.send)

    assert webhook.said() == said
    assert (delivery.message_count, delivery.problem) == (len(said), None)
    assert delivery.cursor.after_id == len(outcomes)


def test_a_check_that_failed_in_an_earlier_tick_is_resolved_in_a_later_one() -> None:
    webhook = Webhook()
    first = deliver(check_steps(evaluations("-a"), START, ""), START, webhook.send)
    stored = AlertCursor.parse(str(first.cursor))
    assert stored is not None

    deliver(check_steps(evaluations("-a", "+a", first_id=2), stored, ""), stored, webhook.send)

    assert webhook.said() == ["check_failed a", "check_resolved a"]


@pytest.mark.parametrize("refused", [(1,), (2,), (3,), (1, 2, 3), (2, 3), (2, 4)])
def test_a_webhook_that_refuses_gets_every_message_once_in_the_end(
    refused: tuple[int, ...],
) -> None:
    log = evaluations("-a", "+z", "-b", "-a", "+a", "+z")
    webhook = Webhook(*refused)
    cursor, problems = START, 0

    for _ in range(len(refused) + 1):
        behind = [one for one in log if one.storage_id > cursor.after_id]
        cursor, _, problem = deliver(check_steps(behind, cursor, ""), cursor, webhook.send)
        problems += problem is not None

    assert webhook.said() == ["check_failed a", "check_failed b", "check_resolved a"]
    assert problems == len(refused)
    assert cursor == AlertCursor(6, frozenset({"raw/llm_events:b"}))


def test_the_key_of_a_message_is_the_same_in_every_attempt() -> None:
    keys = []

    def refuse(message: Message) -> None:
        keys.append(message.idempotency_key)
        raise DeliveryError("ConnectError")

    for _ in range(2):
        deliver(check_steps(evaluations("-a"), START, ""), START, refuse)

    assert len(set(keys)) == 1


def test_a_tick_sends_a_bounded_number_and_the_next_goes_on() -> None:
    log = evaluations("-a", "-b", "-c")
    webhook = Webhook()

    first = deliver(check_steps(log, START, ""), START, webhook.send, max_messages=2)
    assert first.message_count == 2
    rest = [one for one in log if one.storage_id > first.cursor.after_id]
    deliver(check_steps(rest, first.cursor, ""), first.cursor, webhook.send, max_messages=2)

    assert webhook.said() == ["check_failed a", "check_failed b", "check_failed c"]


def test_every_failed_run_is_told() -> None:
    failures = [RunFailure(3, "job", "r1", 0.0, ""), RunFailure(8, "job", "r2", 0.0, "")]
    webhook = Webhook(2)

    first = deliver(run_steps(failures, ""), START, webhook.send)
    deliver(run_steps(failures[1:], ""), first.cursor, webhook.send)

    assert first.cursor.after_id == 3
    assert [message.run_id for message in webhook.taken] == ["r1", "r2"]


@pytest.mark.parametrize("text", [None, "", NOT_BEGUN])
def test_a_sensor_that_has_not_begun_has_no_cursor(text: str | None) -> None:
    assert AlertCursor.parse(text) is None
