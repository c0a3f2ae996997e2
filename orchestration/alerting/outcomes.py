"""Pure: what an attempt came to, and when the next one is."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from ingest_api.database.outbox import GIVE_UP_AFTER, Failure
from orchestration.loading.backoff import backoff_seconds

FIRST_RETRY_SECONDS: Final = 5.0
MAX_RETRY_SECONDS: Final = 1800.0
# A receiver that asks for more gets a call within the hour all the same.
MAX_PAUSE: Final = timedelta(hours=1)
# With the pauses above, 24 hours are over first; this bounds a receiver that asks for short ones.
MAX_ATTEMPTS: Final = 100
# They refuse these very bytes, so sending them again cannot help.
FINAL_STATUSES: Final = frozenset({400, 410, 413, 414, 422})
PAUSING_STATUSES: Final = frozenset({429, 503})
# Receivers answer with such words (`no_service`); anything else may quote what we sent.
CODE: Final = re.compile(r"[a-z]{2,20}(_[a-z]{2,20}){1,4}")


@dataclass(frozen=True)
class Outcome:
    """What an attempt came to.

    Attributes:
        error: For people; empty where it was delivered. No address and no secret.
        may_have_arrived: Whether the connection was lost before the receiver had answered.
        is_final: Whether another attempt would fail the same way.
        retry_after: How long the receiver asked not to be called; None: it did not ask.
    """

    error: str = ""
    may_have_arrived: bool = False
    is_final: bool = False
    retry_after: timedelta | None = None

    @property
    def is_delivered(self) -> bool:
        """Whether the receiver has taken it."""
        return not self.error


DELIVERED: Final = Outcome()


def http_outcome(status: int, headers: Mapping[str, str], body: bytes, now: datetime) -> Outcome:
    """What an HTTP answer means.

    Args:
        status: Of the answer.
        headers: With names in lower case.
        body: As much of it as was read.
        now: For a `Retry-After` that is a date.
    """
    if 200 <= status < 300:
        return DELIVERED
    retry_after = None
    if status in PAUSING_STATUSES:
        retry_after = read_retry_after(headers.get("retry-after", ""), now)
    return Outcome(
        f"the receiver answered {status}{_code(body)}",
        is_final=status in FINAL_STATUSES,
        retry_after=retry_after,
    )


def smtp_outcome(code: int) -> Outcome:
    """What a mail server's reply means: 4xx is for now, 5xx for ever."""
    if 200 <= code < 400:
        return DELIVERED
    return Outcome(f"the mail server answered {code}", is_final=code >= 500)


def read_retry_after(text: str, now: datetime) -> timedelta | None:
    """The pause that a `Retry-After` asks for, at most `MAX_PAUSE`; None where it is none."""
    if text.strip().isdecimal():
        return min(timedelta(seconds=min(int(text), 10**6)), MAX_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    pause = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
    return min(max(pause, timedelta(0)), MAX_PAUSE)


def failure_after(
    outcome: Outcome,
    attempt_count: int,
    written_at: datetime,
    now: datetime,
    jitter: float | None = None,
) -> Failure:
    """What follows from a failed attempt: the next one, a pause of the channel, or the end.

    Args:
        outcome: Of the attempt.
        attempt_count: Attempts so far, this one among them.
        written_at: When the notification was.
        now: When the attempt ended.
        jitter: As in `backoff_seconds`.
    """
    seconds = backoff_seconds(
        attempt_count,
        jitter,
        first_seconds=FIRST_RETRY_SECONDS,
        max_seconds=MAX_RETRY_SECONDS,
    )
    pause = outcome.retry_after or timedelta(0)
    next_attempt_at = now + max(timedelta(seconds=seconds), pause)
    is_too_late = next_attempt_at - written_at >= GIVE_UP_AFTER
    return Failure(
        error=outcome.error,
        next_attempt_at=next_attempt_at,
        may_have_arrived=outcome.may_have_arrived,
        gives_up=outcome.is_final or is_too_late or attempt_count >= MAX_ATTEMPTS,
        paused_until=now + pause if pause else None,
    )


def _code(body: bytes) -> str:
    text = body[:100].decode("ascii", "replace").strip()
    return f" {text}" if CODE.fullmatch(text) else ""
