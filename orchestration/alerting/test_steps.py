"""Which evaluations are told, in which order, and how far a tick has come."""

import pytest

from orchestration.alerting.messages import Evaluation, RunFailure
from orchestration.alerting.steps import NOT_BEGUN, AlertCursor, Step, check_steps, run_steps

START = AlertCursor(0)


def evaluations(*outcomes: str, first_id: int = 1) -> list[Evaluation]:
    """`-a`: check a failed; `+a`: it passed."""
    return [
        Evaluation(storage_id, "raw/llm_events", outcome[1:], outcome[0] == "+", "error", 0.0)
        for storage_id, outcome in enumerate(outcomes, first_id)
    ]


def said(steps: list[Step]) -> list[str]:
    messages = [step.message for step in steps if step.message is not None]
    return [f"{message.kind} {message.check}" for message in messages]


@pytest.mark.parametrize(
    ("outcomes", "expected"),
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
def test_only_changes_are_told(outcomes: list[str], expected: list[str]) -> None:
    steps = list(check_steps(evaluations(*outcomes), START, ""))

    assert said(steps) == expected
    assert [step.cursor.after_id for step in steps] == list(range(1, len(outcomes) + 1))


def test_a_check_that_failed_in_an_earlier_tick_is_resolved_in_a_later_one() -> None:
    *_, last = check_steps(evaluations("-a"), START, "")
    stored = AlertCursor.parse(str(last.cursor))
    assert stored is not None

    later = list(check_steps(evaluations("-a", "+a", first_id=2), stored, ""))

    assert said(later) == ["check_resolved a"]


def test_the_key_of_a_message_is_the_same_in_every_reading() -> None:
    (first,), (second,) = (check_steps(evaluations("-a"), START, "") for _ in range(2))

    assert first.message is not None
    assert first.message == second.message


def test_every_failed_run_is_told() -> None:
    failures = [RunFailure(3, "job", "r1", 0.0, ""), RunFailure(8, "job", "r2", 0.0, "")]

    steps = list(run_steps(failures, ""))

    assert [step.message.run_id for step in steps if step.message] == ["r1", "r2"]
    assert [step.cursor.after_id for step in steps] == [3, 8]


@pytest.mark.parametrize("text", [None, "", NOT_BEGUN])
def test_a_sensor_that_has_not_begun_has_no_cursor(text: str | None) -> None:
    assert AlertCursor.parse(text) is None
