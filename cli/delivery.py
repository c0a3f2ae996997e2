"""Batches of lines through the API's door, until each is answered."""

import gzip
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum, auto
from typing import Final, NamedTuple

import httpx

from cli.connection import problem_detail, unreachable
from cli.errors import CliError
from cli.lines import Batch, Line

PATH: Final = "/api/v1/events/ingest/batch"
HEADERS: Final = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
# Fastest: it halves the bytes of a batch many times over, and the CPU is shared with the platform.
GZIP_LEVEL: Final = 1
FIRST_DELAY_SECONDS: Final = 0.5
MAX_DELAY_SECONDS: Final = 30.0
RETRYABLE_STATUS: Final = frozenset({408, 429, 500, 502, 503, 504})


class Rejection(NamedTuple):
    """Why the event of a line was not accepted; `field` is empty for the event as a whole."""

    line: int
    field: str
    reason: str


class Verdict(Enum):
    """What an answer means for its batch."""

    DONE = auto()
    RETRY = auto()
    SPLIT = auto()
    GIVE_UP = auto()


class Answer(NamedTuple):
    """What one attempt came to.

    Attributes:
        accepted_count: Events that are durable now.
        problem: Why the batch was not taken, in a sentence.
        retry_after_seconds: How long the API asks to wait, None where it does not say.
    """

    verdict: Verdict
    accepted_count: int = 0
    rejected: tuple[Rejection, ...] = ()
    problem: str = ""
    retry_after_seconds: float | None = None


class Delivered(NamedTuple):
    """What became of a batch: each of its events was accepted or rejected."""

    accepted_count: int
    rejected: tuple[Rejection, ...]


@dataclass
class Sender:
    """Sends as the key of `client`.

    Attributes:
        give_up_seconds: How long one batch is tried before the command ends.
        on_wait: Told of each wait: its seconds, and why.
    """

    client: httpx.Client
    give_up_seconds: float
    on_wait: Callable[[float, str], None] = lambda _seconds, _problem: None
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic
    jitter: Callable[[], float] = field(default=random.random)

    def send(self, batch: Batch) -> Delivered:
        """Try until the batch is answered.

        Raises:
            CliError: the API refuses the batch as a whole, or takes none for too long.
        """
        deadline = self.clock() + self.give_up_seconds
        attempt = 0
        while (answer := self._attempt(batch)).verdict is Verdict.RETRY:
            wait = delay_seconds(attempt, answer.retry_after_seconds, self.jitter())
            if self.clock() + wait > deadline:
                raise CliError(
                    f"{answer.problem} (given up: the next try would be in {wait:.0f} s)"
                )
            self.on_wait(wait, answer.problem)
            self.sleep(wait)
            attempt += 1
        match answer.verdict:
            case Verdict.DONE:
                return Delivered(answer.accepted_count, answer.rejected)
            case Verdict.SPLIT if len(batch.lines) > 1:
                first, second = (self.send(half) for half in batch.halves())
                return Delivered(
                    first.accepted_count + second.accepted_count, first.rejected + second.rejected
                )
            case Verdict.SPLIT:
                return Delivered(0, (Rejection(batch.lines[0].number, "", answer.problem),))
        raise CliError(answer.problem)

    def _attempt(self, batch: Batch) -> Answer:
        content = gzip.compress(batch.body, compresslevel=GZIP_LEVEL)
        try:
            response = self.client.post(PATH, content=content, headers=HEADERS)
        except httpx.TransportError:
            return Answer(Verdict.RETRY, problem=unreachable(self.client))
        return read_answer(response, batch.lines, datetime.now(UTC))


def delay_seconds(attempt: int, retry_after_seconds: float | None, jitter: float) -> float:
    """Pure: how long to wait behind a failed attempt, counted from 0.

    Exponential with jitter from a half to the whole, so that senders that failed together do not
    come back together; never sooner than the API asks for.
    """
    # The exponent is bounded: 2 to the power of an hour of tries is no float.
    delay: float = min(MAX_DELAY_SECONDS, FIRST_DELAY_SECONDS * 2 ** min(attempt, 10))
    delay *= 0.5 + jitter / 2
    return (
        delay
        if retry_after_seconds is None
        else max(delay, retry_after_seconds * (1 + jitter / 10))
    )


def read_answer(response: httpx.Response, lines: Sequence[Line], now: datetime) -> Answer:
    """Pure: an answer of the batch route, without raising."""
    status = response.status_code
    rejected = _rejections(response, lines)
    if status == 202 and rejected is not None:
        return Answer(Verdict.DONE, len(lines) - len(rejected), rejected)
    if status == 422 and rejected:
        return Answer(Verdict.DONE, 0, rejected)
    problem = f"The API answered {status}: {problem_detail(response)}"
    if status == 413:
        return Answer(Verdict.SPLIT, problem=problem)
    if status in RETRYABLE_STATUS:
        wait = _retry_after(response.headers.get("retry-after", ""), now)
        return Answer(Verdict.RETRY, problem=problem, retry_after_seconds=wait)
    return Answer(Verdict.GIVE_UP, problem=problem)


def _rejections(response: httpx.Response, lines: Sequence[Line]) -> tuple[Rejection, ...] | None:
    """The rejected lines; None where this is no answer of LLMScope."""
    try:
        return tuple(
            Rejection(lines[one["index"]].number, one["field"], one["reason"])
            for one in response.json()["rejected"]
        )
    except (ValueError, KeyError, TypeError, IndexError):
        return None


def _retry_after(value: str, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date."""
    if value.strip().isdecimal():
        return float(value)
    try:
        return max(0.0, (parsedate_to_datetime(value) - now).total_seconds())
    except (ValueError, TypeError):
        return None
