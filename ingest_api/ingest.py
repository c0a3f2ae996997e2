"""The two routes that take events.

`IngestDoor` answers them as plain ASGI, before FastAPI is entered: a FastAPI handler that only
reads the body takes more processor time than the whole way of an event into the stream
(`make bench-ingest`). `http_protocol.py` answers plain requests before even ASGI is entered, with
`begin_to_store` and `outcome`. `openapi.py` documents the routes.
"""

import asyncio
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
from ingest_api.live.tokens import INGESTION
from ingest_api.middleware import request_id
from ingest_api.stream import StreamError, StreamFullError

INGEST_PATH: Final = "/api/v1/events/ingest"
INGEST_BATCH_PATH: Final = "/api/v1/events/ingest/batch"
NDJSON: Final = frozenset({b"application/x-ndjson", b"application/ndjson", b"application/jsonl"})

Headers = dict[bytes, bytes]
RawHeaders = list[tuple[bytes, bytes]]
Decode = Callable[[bytes, Headers, int, bool], Batch]


class Route(NamedTuple):
    """A path and how its bodies are read."""

    path: str
    decode: Decode


class Storing(msgspec.Struct, frozen=True):
    """Events on their way to the disk.

    Attributes:
        standing: How the key stands, None where it has no limit.
        written: Done when they are there, or when it is known that they may not be.
    """

    key: ApiKey
    batch: Batch
    standing: Standing | None
    written: asyncio.Future[None]


class IngestAnswer(msgspec.Struct):
    """Ids of the accepted events in the order they came, and a line per rejected one."""

    accepted: list[UUID]
    rejected: list[Rejection]


def _decode_event(body: bytes, _headers: Headers, _max_events: int, keeps_content: bool) -> Batch:
    return accept.accept_event(body, datetime.now(UTC), keeps_content=keeps_content)


def _decode_batch(body: bytes, headers: Headers, max_events: int, keeps_content: bool) -> Batch:
    content_type = headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    decode = accept.accept_lines if content_type in NDJSON else accept.accept_batch
    return decode(body, datetime.now(UTC), max_events, keeps_content=keeps_content)


ROUTES: Final = {
    INGEST_PATH: Route(INGEST_PATH, _decode_event),
    INGEST_BATCH_PATH: Route(INGEST_BATCH_PATH, _decode_batch),
}
_ENCODER: Final = msgspec.json.Encoder()
_HEADER_LINES: Final = b"content-type: application/json\r\ncontent-length: %d\r\n%b"


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
            body, lines = await take(self.state.services, route, scope, receive)
        except errors.Problem as problem:
            await problem.response(request_id(scope))(scope, receive, send)
        except ClientGoneError:
            return
        else:
            headers = _raw_headers(lines)
            await send({"type": "http.response.start", "status": 202, "headers": headers})
            await send({"type": "http.response.body", "body": body})


def _raw_headers(lines: bytes) -> RawHeaders:
    """Header lines as ASGI takes them."""
    parted = (line.partition(b": ") for line in lines.splitlines())
    return [(name, value) for name, _, value in parted]


async def take(
    services: Services, route: Route, scope: Scope, receive: Receive
) -> tuple[bytes, bytes]:
    """Store the events of a request; body and header lines of the answer 202.

    Raises:
        Problem: nothing was stored, or it is unknown whether it was.
        ClientGoneError: nobody waits for an answer.
    """
    settings, headers = services.settings, dict(scope["headers"])
    key = await _find_key(services, presented_key(headers))
    body = await read_body(receive, headers, settings.max_body_bytes)
    batch = route.decode(body, headers, settings.max_batch_events, key.keeps_content)
    if batch.rejected:
        _note_rejected(services, batch)
    standing = await store(services, key, batch) if batch.ids else None
    return _accepted(batch, standing)


async def _find_key(services: Services, presented: str | None) -> ApiKey:
    """The key that was presented, or that is behind a token, which browsers send.

    Raises:
        Problem: there is none, or one that may not send events.
    """
    if presented and presented.startswith(INGESTION.prefix):
        api_key_id = await services.ingest_tokens.read(presented)
        return await services.keys.find_by_id(api_key_id, "ingest")
    return await services.keys.find(presented, "ingest")


def _accepted(batch: Batch, standing: Standing | None) -> tuple[bytes, bytes]:
    """Body and header lines: made at once, they take half of what a pair for each header does."""
    body = _ENCODER.encode(IngestAnswer(batch.ids, batch.rejected))
    return body, _HEADER_LINES % (len(body), b"" if standing is None else standing.lines())


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
    event_count = len(batch.ids)
    try:
        standing = await services.limiter.take(key, event_count) if key.is_limited else None
        await _append(services, key, batch)
    except StreamError as error:
        raise _not_stored(services, error, event_count) from error
    except errors.Problem as problem:
        services.metrics.count_rejected(problem.type, event_count)
        raise
    services.metrics.count_accepted(event_count)
    return standing


def _not_stored(services: Services, error: BaseException, event_count: int) -> errors.Problem:
    if not isinstance(error, StreamFullError):
        services.metrics.count_redis_error()
    services.metrics.count_rejected(errors.UnavailableError.type, event_count)
    return errors.UnavailableError(f"The event buffer: {error}")


async def _append(services: Services, key: ApiKey, batch: Batch) -> None:
    try:
        await services.writer.append(key.source, batch.payload, len(batch.ids))
    except StreamError:
        services.limiter.give_back(key, len(batch.ids))
        raise


def begin_to_store(
    services: Services, route: Route, key: ApiKey, headers: Headers, body: bytes
) -> Storing | None:
    """Begin to store events that nothing speaks against, without waiting for anything.

    `outcome` is the end of it. None: nothing happened, and `take` is to be asked.
    """
    try:
        batch = route.decode(body, headers, services.settings.max_batch_events, key.keeps_content)
    except errors.Problem:
        return None
    event_count = len(batch.ids)
    if batch.rejected or not event_count:
        return None
    standing = services.limiter.take_leased(key, event_count) if key.is_limited else None
    if key.is_limited and standing is None:
        return None
    written = services.writer.submit(key.source, batch.payload, event_count)
    if written is None:
        services.limiter.give_back(key, event_count)
        return None
    return Storing(key, batch, standing, written)


def outcome(services: Services, storing: Storing) -> tuple[bytes, bytes]:
    """Body and header lines of the answer 202 to events whose writing has ended.

    The caller counts them.

    Raises:
        UnavailableError: it is unknown whether they were stored.
    """
    if error := storing.written.exception():
        event_count = len(storing.batch.ids)
        services.limiter.give_back(storing.key, event_count)
        raise _not_stored(services, error, event_count) from error
    return _accepted(storing.batch, storing.standing)
