"""Pure: events -> lines of JSON -> bodies of requests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from llmscope._events import encode
from llmscope._options import Event, Redact


class Line(NamedTuple):
    """One event, encoded."""

    event_id: str
    text: bytes


class UnsendableError(ValueError):
    """An event that cannot become a line.

    Attributes:
        reason: The reason of the loss.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def line_of(event: Event, redact: Redact | None) -> Line | None:
    """The line of an event, None where the redaction wants none.

    Raises:
        UnsendableError: the redaction failed, so that nothing may leave; or it is no JSON.
    """
    if redact is not None:
        event_id = event["event_id"]
        redacted = _redacted(event, redact)
        if redacted is None:
            return None
        # Its identity is how a retry stays one row.
        event = {**redacted, "event_id": event_id}
    try:
        return Line(event["event_id"], encode(event))
    except (ValueError, RecursionError) as error:
        raise UnsendableError("unencodable", str(error)) from error


def _redacted(event: Event, redact: Redact) -> Event | None:
    try:
        return redact(event)
    except Exception as error:
        raise UnsendableError("redaction_failed", repr(error)) from error


def read_lines(data: bytes) -> tuple[list[Line], int]:
    """What a segment of the spool holds, and how many of its lines are no events.

    The last line is skipped where its end is missing: its writer died before it was on disk.
    """
    *texts, _torn = data.split(b"\n")
    found = [_read(text) for text in texts]
    lines = [line for line in found if line is not None]
    return lines, len(found) - len(lines)


def _read(text: bytes) -> Line | None:
    try:
        return Line(str(json.loads(text)["event_id"]), text)
    except (ValueError, KeyError, TypeError):
        return None


def batches(lines: Iterable[Line], max_events: int, max_bytes: int) -> Iterator[list[Line]]:
    """Cut into requests; a line that is larger than `max_bytes` goes alone."""
    batch: list[Line] = []
    size = 2
    for line in lines:
        if batch and (len(batch) == max_events or size + len(line.text) + 1 > max_bytes):
            yield batch
            batch, size = [], 2
        batch.append(line)
        size += len(line.text) + 1
    if batch:
        yield batch


def body_of(batch: Sequence[Line]) -> bytes:
    """A JSON array."""
    return b"[" + b",".join(line.text for line in batch) + b"]"
