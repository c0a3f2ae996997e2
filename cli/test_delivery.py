"""What an answer means for its batch, and how long is waited behind a failed attempt."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime

import httpx
import pytest

from cli.delivery import Answer, Rejection, Sender, Verdict, delay_seconds, read_answer
from cli.errors import CliError
from cli.lines import Batch, Line

NOW = datetime(2026, 11, 23, 10, tzinfo=UTC)
LINES = [Line(number, b"{}") for number in (3, 5, 9)]
BAD_LINE = {"index": 1, "field": "input_tokens", "reason": "is wrong"}
REJECTION = Rejection(5, "input_tokens", "is wrong")
PROBLEM: dict[str, object] = {"detail": "because"}


@pytest.mark.parametrize(
    ("status", "content", "headers", "expected"),
    [
        (202, {"accepted": ["a"] * 3, "rejected": []}, {}, Answer(Verdict.DONE, 3)),
        (202, {"accepted": ["a"] * 2, "rejected": [BAD_LINE]}, {},
         Answer(Verdict.DONE, 2, (REJECTION,))),
        (422, PROBLEM | {"rejected": [BAD_LINE]}, {}, Answer(Verdict.DONE, 0, (REJECTION,))),
        (413, PROBLEM, {}, Answer(Verdict.SPLIT, problem="The API answered 413: because")),
        (503, PROBLEM, {"Retry-After": "7"},
         Answer(Verdict.RETRY, problem="The API answered 503: because", retry_after_seconds=7.0)),
        (429, PROBLEM, {"Retry-After": "Mon, 23 Nov 2026 10:01:30 GMT"},
         Answer(Verdict.RETRY, problem="The API answered 429: because", retry_after_seconds=90.0)),
        (500, PROBLEM, {"Retry-After": "soon"},
         Answer(Verdict.RETRY, problem="The API answered 500: because")),
        (401, PROBLEM, {}, Answer(Verdict.GIVE_UP, problem="The API answered 401: because")),
        (202, {"ok": True}, {}, Answer(Verdict.GIVE_UP, problem="The API answered 202: Accepted")),
        (422, PROBLEM, {}, Answer(Verdict.GIVE_UP, problem="The API answered 422: because")),
        (404, None, {}, Answer(Verdict.GIVE_UP, problem="The API answered 404: Not Found")),
    ],
)  # fmt: skip
def test_every_answer_has_a_meaning(
    status: int, content: object, headers: dict[str, str], expected: Answer
) -> None:
    response = httpx.Response(status, json=content, headers=headers)
    assert read_answer(response, LINES, NOW) == expected


@pytest.mark.parametrize(
    ("attempt", "retry_after", "jitter", "expected"),
    [
        (0, None, 1.0, 0.5),
        (0, None, 0.0, 0.25),
        (3, None, 1.0, 4.0),
        (99_999, None, 1.0, 30.0),
        (0, 7.0, 0.0, 7.0),
        (0, 10.0, 1.0, 11.0),
        (9, 1.0, 1.0, 30.0),
    ],
)
def test_waits_grow_and_are_never_shorter_than_asked_for(
    attempt: int, retry_after: float | None, jitter: float, expected: float
) -> None:
    assert delay_seconds(attempt, retry_after, jitter) == expected


class Clock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.waits.append(seconds)


def make_sender(answer: Callable[[httpx.Request], httpx.Response]) -> tuple[Sender, Clock]:
    clock = Clock()
    client = httpx.Client(base_url="http://api", transport=httpx.MockTransport(answer))
    return Sender(
        client, 100.0, sleep=clock.sleep, clock=lambda: clock.now, jitter=lambda: 1.0
    ), clock


def test_a_batch_is_tried_until_it_is_taken() -> None:
    answers = iter([None, 503, 429, 202])

    def answer(_request: httpx.Request) -> httpx.Response:
        status = next(answers)
        if status is None:
            raise httpx.ConnectError("refused")
        headers = {"Retry-After": "20"} if status == 429 else {}
        return httpx.Response(status, json={"accepted": [], "rejected": []}, headers=headers)

    sender, clock = make_sender(answer)
    assert sender.send(Batch(LINES, 9)).accepted_count == 3
    assert clock.waits == [0.5, 1.0, 22.0]


def test_a_batch_that_is_never_taken_ends_the_command_in_time() -> None:
    sender, clock = make_sender(lambda _: httpx.Response(503, json=PROBLEM))
    with pytest.raises(CliError, match=r"because.*given up"):
        sender.send(Batch(LINES, 9))
    assert sum(clock.waits) <= 100.0
    assert len(clock.waits) > 5


def test_a_quota_of_a_day_is_not_waited_for() -> None:
    headers = {"Retry-After": "40000"}
    sender, clock = make_sender(lambda _: httpx.Response(429, json=PROBLEM, headers=headers))
    with pytest.raises(CliError, match="given up"):
        sender.send(Batch(LINES, 9))
    assert clock.waits == []


def test_a_batch_that_is_too_large_is_sent_in_parts() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        count = len(gzip.decompress(request.content).splitlines())
        if count > 1 or b"large" in gzip.decompress(request.content):
            return httpx.Response(413, json=PROBLEM)
        return httpx.Response(202, json={"accepted": ["a"], "rejected": []})

    sender, _ = make_sender(answer)
    delivered = sender.send(Batch([*LINES, Line(11, b"large")], 12))
    assert delivered.accepted_count == 3
    assert delivered.rejected == (Rejection(11, "", "The API answered 413: because"),)
