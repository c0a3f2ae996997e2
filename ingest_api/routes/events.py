"""A look at the events that have arrived; `ingest.py` takes them in."""

from typing import Annotated, Any, Literal

import psycopg
from fastapi import APIRouter, Query
from psycopg.rows import dict_row
from psycopg_pool import PoolTimeout
from pydantic import BaseModel

from ingest_api import errors, events
from ingest_api.database.dead_letters import COUNT_OPEN
from ingest_api.dependencies import ReadKeyDep, Services, ServicesDep
from ingest_api.openapi import json_answer, problem_responses
from ingest_api.recent import (
    EXAMPLE_RECENT_EVENT,
    BadCursorError,
    Filters,
    RecentEvent,
    decode_cursor,
    encode_cursor,
    recent_query,
)
from ingest_api.stream import StreamError, read_stats

router = APIRouter(prefix="/api/v1/events", tags=["events"])

# Postgres stores no U+0000, so nothing can equal it.
NO_NUL = "^[^\\x00]*$"

READ_PROBLEMS = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.UnavailableError,
)


EXAMPLE_CURSOR = "MjAyNi0xMS0yM1QxMDowMDowMCswMDowMCAwMTkzOWIyZS03YzlhLTdkMGU"
EXAMPLE_STATS = {
    "entry_count": 12,
    "accepted_event_count": 184_000,
    "lag_event_count": 340,
    "lag_entry_count": 12,
    "lag_seconds": 0.8,
    "in_flight_entry_count": 12,
    "oldest_unloaded_seconds": 0.8,
    "accepted_events_per_second": 420.0,
    "loaded_events_per_second": 415.5,
    "used_memory_bytes": 4_200_000,
    "is_loader_alive": True,
    "dead_letter_count": 0,
}


class RecentAnswer(BaseModel):
    """A page of events, newest first. `next_cursor` is null on the last one."""

    events: list[RecentEvent]
    next_cursor: str | None


class StatsAnswer(BaseModel):
    """State of the way from the API to the raw table, over all shards.

    Attributes:
        entry_count: Entries in the stream, with those that are loaded and kept for a while.
        accepted_event_count: Events accepted since the stream was created.
        lag_event_count: Events accepted and not yet settled: loaded or dead-lettered.
        lag_entry_count: Entries not yet settled.
        lag_seconds: How far loading is behind accepting.
        in_flight_entry_count: Entries that a loader has read and not yet settled.
        oldest_unloaded_seconds: Age of the oldest event that is not settled, 0 where all are.
        accepted_events_per_second: Mean of the last 10 s.
        loaded_events_per_second: Mean of the last 10 s.
        used_memory_bytes: Memory that Redis uses, for everything.
        is_loader_alive: Whether a loader has looked at every shard within the last minute.
        dead_letter_count: Events that wait for an operator, null while the database is away.
    """

    entry_count: int
    accepted_event_count: int
    lag_event_count: int
    lag_entry_count: int
    lag_seconds: float
    in_flight_entry_count: int
    oldest_unloaded_seconds: float
    accepted_events_per_second: float
    loaded_events_per_second: float
    used_memory_bytes: int
    is_loader_alive: bool
    dead_letter_count: int | None


@router.get(
    "/recent",
    summary="Loaded events of the key's project, newest first",
    responses={
        **json_answer({"events": [EXAMPLE_RECENT_EVENT], "next_cursor": EXAMPLE_CURSOR}),
        **problem_responses(*READ_PROBLEMS),
    },
)
async def recent(
    key: ReadKeyDep,
    services: ServicesDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: Annotated[str | None, Query(max_length=200, pattern=NO_NUL)] = None,
    provider_name: Annotated[str | None, Query(max_length=128, pattern=NO_NUL)] = None,
    model: Annotated[str | None, Query(max_length=256, pattern=NO_NUL)] = None,
    user_id: Annotated[str | None, Query(max_length=256, pattern=NO_NUL)] = None,
    status: Literal["success", "error"] | None = None,
) -> RecentAnswer:
    """Prompts and completions are left out. `next_cursor` of a page gets the next one."""
    try:
        after = decode_cursor(cursor) if cursor else None
    except BadCursorError as error:
        raise errors.BadParameterError(str(error)) from None
    filters = Filters(provider_name, model, user_id, status)
    query, parameters = recent_query(key.project_id, filters, after, limit + 1)
    rows = await _fetch(services, query, parameters)
    page = rows[:limit]
    return RecentAnswer(
        events=[RecentEvent(**row) for row in page],
        next_cursor=encode_cursor(page[-1]) if len(rows) > limit else None,
    )


@router.get(
    "/stats",
    summary="How much waits between the API and the raw table",
    responses={**json_answer(EXAMPLE_STATS), **problem_responses(*READ_PROBLEMS)},
)
async def stats(key: ReadKeyDep, services: ServicesDep) -> StatsAnswer:  # noqa: ARG001 - the scope
    """Of all projects together: they share the stream."""
    try:
        stream = await read_stats(services.client, services.settings.stream_shards)
    except StreamError as error:
        services.metrics.count_redis_error()
        raise errors.UnavailableError(f"The event buffer: {error}") from error
    return StatsAnswer(
        entry_count=stream.entry_count,
        accepted_event_count=stream.accepted_event_count,
        lag_event_count=stream.lag_event_count,
        lag_entry_count=stream.lag_entry_count,
        lag_seconds=stream.lag_seconds,
        in_flight_entry_count=stream.in_flight_entry_count,
        oldest_unloaded_seconds=stream.oldest_unloaded_seconds,
        accepted_events_per_second=stream.accepted_events_per_second,
        loaded_events_per_second=stream.loaded_events_per_second,
        used_memory_bytes=stream.used_memory_bytes,
        is_loader_alive=stream.is_loader_alive,
        dead_letter_count=await _dead_letter_count_if_known(services),
    )


@router.get(
    "/schema",
    summary="The event contract as JSON Schema 2020-12",
    responses=json_answer({"title": "Event", "type": "object", "properties": {}}),
)
async def schema() -> dict[str, Any]:
    """Needs no key."""
    return events.json_schema()


async def count_dead_letters(services: Services) -> int:
    """Letters that wait for an operator.

    Raises:
        UnavailableError: the database is away.
    """
    rows = await _fetch(services, COUNT_OPEN, {})
    count: int = rows[0]["dead_letter_count"]
    return count


async def _dead_letter_count_if_known(services: Services) -> int | None:
    try:
        return await count_dead_letters(services)
    except errors.UnavailableError:
        return None


async def _fetch(services: Services, query: Any, parameters: dict[str, Any]) -> list[Any]:
    try:
        async with services.pool.connection(timeout=2) as connection:
            cursor = connection.cursor(row_factory=dict_row)
            rows: list[Any] = await (await cursor.execute(query, parameters)).fetchall()
            return rows
    except (psycopg.OperationalError, PoolTimeout) as error:
        raise errors.UnavailableError("The database is away; ingestion goes on.") from error
