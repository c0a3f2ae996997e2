"""Events in, and a look at what has arrived."""

from datetime import UTC, datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import psycopg
from fastapi import APIRouter, Query, Request
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout
from pydantic import BaseModel
from starlette.responses import Response

from ingest_api import accept, errors, events
from ingest_api.auth import ApiKey
from ingest_api.body import read_body
from ingest_api.dependencies import IngestKeyDep, ReadKeyDep, Services, ServicesDep
from ingest_api.openapi import batch_body, problem_responses, single_event_body
from ingest_api.recent import BadCursorError, Filters, decode_cursor, encode_cursor, recent_query
from ingest_api.stream import Source, StreamError, read_stats

router = APIRouter(prefix="/api/v1/events", tags=["events"])

INGEST_PROBLEMS = (
    errors.MalformedBodyError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
    errors.RejectedEventsError,
    errors.UnavailableError,
)
READ_PROBLEMS = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)


class RejectedEvent(BaseModel):
    """Why one event was not accepted."""

    index: int
    field: str
    reason: str


class IngestAnswer(BaseModel):
    """Ids of the accepted events in the order they came, and a line per rejected one."""

    accepted: list[UUID]
    rejected: list[RejectedEvent]


class RecentAnswer(BaseModel):
    """A page of events, newest first. `next_cursor` is null on the last one."""

    events: list[dict[str, Any]]
    next_cursor: str | None


class StatsAnswer(BaseModel):
    """State of the way from the API to the raw table. See `StreamStats` for the units."""

    entry_count: int
    accepted_event_count: int
    lag_event_count: int
    in_flight_entry_count: int
    oldest_unloaded_seconds: float
    is_loader_alive: bool
    dead_letter_count: int | None


@router.post(
    "/ingest",
    status_code=202,
    response_model=IngestAnswer,
    responses=problem_responses(*INGEST_PROBLEMS),
    openapi_extra=single_event_body(),
)
async def ingest(request: Request, key: IngestKeyDep, services: ServicesDep) -> Response:
    """Take one event. 202 means: it is on disk and will be exactly one row."""
    body = await read_body(request, services.settings.max_body_bytes)
    return await _store(accept.accept_event(body, datetime.now(UTC)), key, services)


@router.post(
    "/ingest/batch",
    status_code=202,
    response_model=IngestAnswer,
    responses=problem_responses(*INGEST_PROBLEMS),
    openapi_extra=batch_body(1000),
)
async def ingest_batch(request: Request, key: IngestKeyDep, services: ServicesDep) -> Response:
    """Take many events: a JSON array, or NDJSON. A bad event costs its neighbours nothing."""
    body = await read_body(request, services.settings.max_body_bytes)
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    decode = accept.accept_lines if content_type in NDJSON else accept.accept_batch
    batch = decode(body, datetime.now(UTC), services.settings.max_batch_events)
    return await _store(batch, key, services)


NDJSON = {"application/x-ndjson", "application/ndjson", "application/jsonl"}


async def _store(batch: accept.Batch, key: ApiKey, services: Services) -> Response:
    if batch.rejected and not batch.ids:
        raise errors.RejectedEventsError(
            "No event was accepted: mend each as `rejected` says.",
            extra={"rejected": batch.rejected},
        )
    if batch.ids:
        source = Source(key.tenant_id, key.project_id, key.api_key_id)
        try:
            await services.writer.append(source, batch.payload, len(batch.ids))
        except StreamError as error:
            raise errors.UnavailableError(f"The event buffer: {error}") from error
    answer = msgspec.json.encode({"accepted": batch.ids, "rejected": batch.rejected})
    return Response(answer, status_code=202, media_type="application/json")


@router.get("/recent", responses=problem_responses(*READ_PROBLEMS))
async def recent(
    key: ReadKeyDep,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200)] = None,
    provider_name: Annotated[str | None, Query(max_length=128)] = None,
    model: Annotated[str | None, Query(max_length=256)] = None,
    user_id: Annotated[str | None, Query(max_length=256)] = None,
    status: Literal["success", "error"] | None = None,
) -> RecentAnswer:
    """Loaded events of the key's project, newest first. Prompts and completions are left out."""
    try:
        after = decode_cursor(cursor) if cursor else None
    except BadCursorError as error:
        raise errors.BadParameterError(str(error)) from None
    filters = Filters(provider_name, model, user_id, status)
    query, parameters = recent_query(key.project_id, filters, after, limit + 1)
    rows = await _fetch(services, query, parameters)
    page = rows[:limit]
    return RecentAnswer(
        events=page, next_cursor=encode_cursor(page[-1]) if len(rows) > limit else None
    )


@router.get("/stats", responses=problem_responses(*READ_PROBLEMS))
async def stats(key: ReadKeyDep, services: ServicesDep) -> StatsAnswer:  # noqa: ARG001 - the scope
    """How much waits between the API and the raw table."""
    try:
        stream = await read_stats(services.client)
    except StreamError as error:
        raise errors.UnavailableError(f"The event buffer: {error}") from error
    return StatsAnswer(
        entry_count=stream.entry_count,
        accepted_event_count=stream.accepted_event_count,
        lag_event_count=stream.lag_event_count,
        in_flight_entry_count=stream.in_flight_entry_count,
        oldest_unloaded_seconds=stream.oldest_unloaded_seconds,
        is_loader_alive=stream.is_loader_alive,
        dead_letter_count=await _dead_letter_count(services),
    )


@router.get("/schema", response_model=None)
async def schema() -> dict[str, Any]:
    """The event contract as JSON Schema 2020-12. Needs no key."""
    return events.json_schema()


async def _fetch(services: Services, query: Any, parameters: dict[str, Any]) -> list[Any]:
    try:
        async with services.pool.connection(timeout=2) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            rows: list[Any] = await (await cursor.execute(query, parameters)).fetchall()
            return rows
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise errors.UnavailableError("The database is away; ingestion goes on.") from error


async def _dead_letter_count(services: Services) -> int | None:
    """Letters that wait for an operator, None while the database is away."""
    try:
        rows = await _fetch(services, OPEN_DEAD_LETTERS, {})
    except errors.UnavailableError:
        return None
    count: int = rows[0]["dead_letter_count"]
    return count


OPEN_DEAD_LETTERS = """
select count(*) as dead_letter_count from raw.dead_letters
where replayed_at is null and discarded_at is null
"""
