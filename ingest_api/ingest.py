"""The two routes that take events, as plain ASGI.

They are answered before FastAPI is entered: a FastAPI handler that only reads the body takes 111 us
of processor time, and the whole way of an event into the stream 80 (`make bench-ingest`).
`openapi.py` documents the routes.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
from starlette.datastructures import State
from starlette.types import ASGIApp, Receive, Scope, Send

from ingest_api import accept, errors
from ingest_api.accept import Batch, Rejection
from ingest_api.auth import ApiKey, presented_key
from ingest_api.body import ClientGoneError, read_body
from ingest_api.dependencies import Services
from ingest_api.limits import Standing
from ingest_api.middleware import request_id
from ingest_api.stream import Source, StreamError, StreamFullError

INGEST_PATH: Final = "/api/v1/events/ingest"
INGEST_BATCH_PATH: Final = "/api/v1/events/ingest/batch"
NDJSON: Final = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl"})

Headers = dict[bytes, bytes]
Decode = Callable[[bytes, Headers, int], Batch]


class Route(NamedTuple):
    """A path and how its bodies are read."""

    path: str
    decode: Decode


class IngestAnswer(msgspec.Struct):
    """Ids of the accepted events in the order they came, and a line per rejected one."""

    accepted: list[UUID]
    rejected: list[Rejection]


def _decode_event(body: bytes, _headers: Headers, _max_events: int) -> Batch:
    return accept.accept_event(body, datetime.now(UTC))


def _decode_batch(body: bytes, headers: Headers, max_events: int) -> Batch:
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    decode = accept.accept_lines if content_type in NDJSON else accept.accept_batch
    return decode(body, datetime.now(UTC), max_events)


ROUTES: Final = {
    INGEST_PATH: Route(INGEST_PATH, _decode_event),
    INGEST_BATCH_PATH: Route(INGEST_BATCH_PATH, _decode_batch),
}
_ENCODER: Final = msgspec.json.Encoder()
_JSON: Final = (b"content-type", b"application/json")


class IngestDoor:
    """ASGI middleware that answers `ROUTES` and passes everything else on.

    Args:
        state: Where the lifespan of the application puts `services`.
    """

    def __init__(self, app: ASGIApp, state: State) -> None:
        self.app = app
        self.state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request for events, or pass it on."""
        route = ROUTES.get(scope["path"]) if scope["type"] == "http" else None
        if route is None:
            await self.app(scope, receive, send)
            return
        scope["route"] = route
        try:
            if scope["method"] != "POST":
                raise errors.MethodNotAllowedError(
                    "This path answers to POST.", headers={"Allow": "POST"}
                )
            body, headers = await take(self.state.services, route, scope, receive)
        except errors.Problem as problem:
            await problem.response(request_id(scope))(scope, receive, send)
        except ClientGoneError:
            return
        else:
            await send({"type": "http.response.start", "status": 202, "headers": headers})
            await send({"type": "http.response.body", "body": body})


async def take(
    services: Services, route: Route, scope: Scope, receive: Receive
) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """Store the events of a request; body and headers of the answer 202.

    Raises:
        Problem: nothing was stored, or it is unknown whether it was.
        ClientGoneError: nobody waits for an answer.
    """
    settings, headers = services.settings, dict(scope["headers"])
    key = await services.keys.find(presented_key(headers), "ingest")
    body = await read_body(receive, headers, settings.max_body_bytes)
    batch = route.decode(body, headers, settings.max_batch_events)
    if batch.rejected:
        _note_rejected(services, batch)
    standing = await store(services, key, batch) if batch.ids else None
    answer = _ENCODER.encode(IngestAnswer(batch.ids, batch.rejected))
    answer_headers = [_JSON, (b"content-length", b"%d" % len(answer))]
    if standing is not None:
        answer_headers += standing.raw_headers()
    return answer, answer_headers


def _note_rejected(services: Services, batch: Batch) -> None:
    services.metrics.count_rejected(errors.RejectedEventsError.type, len(batch.rejected))
    if not batch.ids:
        raise errors.RejectedEventsError(
            "No event was accepted: mend each as `rejected` says.",
            extra={"rejected": batch.rejected},
        )


async def store(services: Services, key: ApiKey, batch: Batch) -> Standing | None:
    """Store the events of `batch`, which has some; how the key stands, None where it has no limit.

    Raises:
        Problem: nothing was stored, or it is unknown whether it was.
    """
    event_count, metrics = len(batch.ids), services.metrics
    try:
        standing = await services.limiter.take(key, event_count) if key.is_limited else None
        await _append(services, key, batch)
    except StreamError as error:
        if not isinstance(error, StreamFullError):
            metrics.count_redis_error()
        metrics.count_rejected(errors.UnavailableError.type, event_count)
        raise errors.UnavailableError(f"The event buffer: {error}") from error
    except errors.Problem as problem:
        metrics.count_rejected(problem.type, event_count)
        raise
    metrics.count_accepted(event_count)
    return standing


async def _append(services: Services, key: ApiKey, batch: Batch) -> None:
    source = Source(key.tenant_id, key.project_id, key.api_key_id)
    try:
        await services.writer.append(source, batch.payload, len(batch.ids))
    except StreamError:
        services.limiter.give_back(key, len(batch.ids))
        raise
