"""A request body -> batches of accepted events, and why the rest was rejected."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import msgspec

from ingest_api.accept import Batch, accept_batch
from ingest_api.errors import MalformedBodyError
from ingest_api.otlp.aliases import is_known, keep_all
from ingest_api.otlp.decoding import decode
from ingest_api.otlp.duplicates import Call
from ingest_api.otlp.mapping import map_spans
from ingest_api.otlp.spans import SpanRejection

_ENCODER = msgspec.json.Encoder()


class Traces(NamedTuple):
    """What a request yields. Spans that are no call are in neither."""

    batches: list[Batch]
    rejected: list[SpanRejection]


def read_traces(
    body: bytes,
    media: str,
    project_id: UUID,
    now: datetime,
    max_batch_events: int,
    *,
    with_content: bool = False,
) -> Traces:
    """The calls of an ExportTraceServiceRequest as batches of at most `max_batch_events`.

    Exporters send what they have, so a request is never refused for the number of its spans.

    Args:
        media: `decoding.PROTOBUF` or `decoding.JSON`.
        now: Aware, UTC.
        with_content: Whether prompts and completions go into the events.

    Raises:
        MalformedBodyError: the body as a whole is no such request.
    """
    decoded = decode(body, media, keep_all if with_content else is_known)
    calls = map_spans(decoded.spans, project_id, with_content=with_content)
    batches: list[Batch] = []
    rejected = decoded.rejected
    for part in _parts(calls, max_batch_events):
        batch = _accept(part, now)
        for rejection in batch.rejected:
            place = f"span {part[rejection.index].span.span_id}"
            rejected.append(SpanRejection(place, f"{rejection.field}: {rejection.reason}"))
        batches.append(batch)
    return Traces(batches, rejected)


def _accept(calls: Sequence[Call], now: datetime) -> Batch:
    """The same checks that every event passes."""
    try:
        return accept_batch(_ENCODER.encode([call.event for call in calls]), now, len(calls))
    except RecursionError:
        raise MalformedBodyError("The body is nested too deeply.") from None


def _parts(calls: Sequence[Call], size: int) -> Iterator[Sequence[Call]]:
    return (calls[start : start + size] for start in range(0, len(calls), size))
