"""Pure: what the server answered -> what becomes of each event of the batch.

`sdk/contract/cases/retries.json` is this table for every SDK.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from typing import Any, NamedTuple

# The server is away or wants a pause, or the key is to be mended: no fault of the batch.
WAIT_STATUSES = frozenset({401, 403, 408, 425, 429, 502, 503, 504})
# May lie in this batch, so that the others must not wait behind it for ever.
LIMITED_STATUSES = frozenset({404, 500})
SPLIT_STATUSES = frozenset({400, 413, 422})
# A quota ends with the day.
MAX_RETRY_AFTER_SECONDS = 24 * 3600.0


class Answer(NamedTuple):
    """What one attempt came to.

    Attributes:
        status: None where no whole answer came.
        failure: What went wrong on the way, in words.
    """

    status: int | None
    body: bytes = b""
    retry_after: str | None = None
    failure: str = ""


class Verdict(NamedTuple):
    """What to do now.

    Attributes:
        again: Indexes of the events to send again, later.
        dropped: Reason in words of each event that the server will never take, by index.
        is_split: Send each half by itself, now.
        is_limited: Whether sending again counts against `max_retries`.
        retry_after_seconds: The pause that the server asked for.
        detail: The answer in words.
    """

    again: Sequence[int] = ()
    dropped: Mapping[int, str] = MappingProxyType({})
    is_split: bool = False
    is_limited: bool = False
    retry_after_seconds: float | None = None
    detail: str = ""


def judge(answer: Answer, event_ids: Sequence[str], now: float) -> Verdict:
    """The verdict on a batch. `now` is in seconds since 1970, for a `Retry-After` with a date."""
    everything = range(len(event_ids))
    status, detail = answer.status, _words(answer)
    if status is None or status in WAIT_STATUSES or status in LIMITED_STATUSES:
        pause = _seconds(answer.retry_after, now)
        return Verdict(
            everything,
            is_limited=status in LIMITED_STATUSES,
            retry_after_seconds=pause,
            detail=detail,
        )
    document = _document(answer.body)
    if status == 202 or (status == 422 and "rejected" in document):
        return _each(document, event_ids, detail)
    if 200 <= status < 300:
        return Verdict(everything, is_limited=True, detail=f"{detail}: no answer of LLMScope")
    if status in SPLIT_STATUSES and len(event_ids) > 1:
        return Verdict(is_split=True, detail=detail)
    return Verdict(dropped=dict.fromkeys(everything, detail), detail=detail)


def _each(document: dict[str, Any], event_ids: Sequence[str], detail: str) -> Verdict:
    """Who is named neither as accepted nor as rejected is sent again."""
    accepted = set(_list(document.get("accepted")))
    dropped = {
        line["index"]: f"{line.get('field')}: {line.get('reason')}"
        for line in _list(document.get("rejected"))
        if isinstance(line, dict) and isinstance(line.get("index"), int)
    }
    again = [
        index
        for index, event_id in enumerate(event_ids)
        if event_id not in accepted and index not in dropped
    ]
    return Verdict(again, dropped, is_limited=True, detail=detail)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}


def _words(answer: Answer) -> str:
    if answer.status is None:
        return answer.failure
    document = _document(answer.body)
    words = document.get("detail") or document.get("title") or ""
    return f"HTTP {answer.status} {words}".strip()


def _seconds(retry_after: str | None, now: float) -> float | None:
    if not retry_after:
        return None
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now
        except (TypeError, ValueError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER_SECONDS) if seconds == seconds else None
