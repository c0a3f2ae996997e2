"""Pure: the query behind `GET /events/recent` and its cursor."""

import base64
import binascii
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from psycopg import sql
from pydantic import BaseModel

from ingest_api.events import ServiceTier, UsageSemantics, UsageSource


class BadCursorError(ValueError):
    """The cursor is none that this API gave out."""


class Position(NamedTuple):
    """The last event of a page."""

    started_at: datetime
    event_id: UUID


class Filters(NamedTuple):
    """Which events to show; None lets all pass."""

    provider_name: str | None = None
    model: str | None = None
    user_id: str | None = None
    status: Literal["success", "error"] | None = None


CONDITIONS: dict[str, sql.SQL] = {
    "provider_name": sql.SQL("provider_name = %(provider_name)s"),
    "model": sql.SQL("coalesce(response_model, request_model) = %(model)s"),
    "user_id": sql.SQL("user_id = %(user_id)s"),
    "status": sql.SQL("(error_type is null) = (%(status)s = 'success')"),
}
AFTER = sql.SQL("(started_at, event_id) < (%(started_at)s, %(event_id)s)")
RECENT = sql.SQL("""
select {columns} from raw.llm_events
where {conditions}
order by started_at desc, event_id desc limit %(limit)s
""")


class RecentEvent(BaseModel):
    """A loaded event without prompts and completions; its fields are those of the contract."""

    event_id: UUID
    provider_name: str
    request_model: str | None
    response_model: str | None
    operation_name: str
    started_at: datetime
    ended_at: datetime | None
    duration_seconds: float | None
    time_to_first_chunk_seconds: float | None
    is_stream: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_input_tokens: int | None
    cache_write_input_tokens: int | None
    reasoning_output_tokens: int | None
    usage_details: dict[str, Any] | None
    usage_source: UsageSource
    usage_semantics: UsageSemantics
    service_tier: ServiceTier | None
    error_type: str | None
    http_status_code: int | None
    user_id: str | None
    conversation_id: str | None
    trace_id: str | None
    environment: str | None
    service_name: str | None
    tags: dict[str, str] | None
    received_at: datetime
    loaded_at: datetime


COLUMNS = tuple(RecentEvent.model_fields)
EXAMPLE_RECENT_EVENT: dict[str, Any] = {
    "event_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "provider_name": "openai",
    "request_model": "gpt-4o-mini",
    "response_model": "gpt-4o-mini-2024-07-18",
    "operation_name": "chat",
    "started_at": "2026-11-23T10:00:00Z",
    "ended_at": "2026-11-23T10:00:01.42Z",
    "duration_seconds": 1.42,
    "time_to_first_chunk_seconds": 0.31,
    "is_stream": True,
    "input_tokens": 1200,
    "output_tokens": 300,
    "cache_read_input_tokens": 1024,
    "cache_write_input_tokens": 0,
    "reasoning_output_tokens": 0,
    "usage_details": {"prompt_tokens": 1200, "completion_tokens": 300},
    "usage_source": "provider",
    "usage_semantics": "inclusive",
    "service_tier": "default",
    "error_type": "timeout",
    "http_status_code": 200,
    "user_id": "user-42",
    "conversation_id": "conversation-7",
    "trace_id": "5b8efff798038103d269b633813fc60c",
    "environment": "production",
    "service_name": "assistant",
    "tags": {"team": "search"},
    "received_at": "2026-11-23T10:00:01.5Z",
    "loaded_at": "2026-11-23T10:00:03Z",
}


def recent_query(
    project_id: UUID, filters: Filters, after: Position | None, limit: int
) -> tuple[sql.Composed, dict[str, Any]]:
    """The query and its parameters: one project, newest first, behind `after`."""
    given = {name: value for name, value in filters._asdict().items() if value is not None}
    conditions = [sql.SQL("project_id = %(project_id)s"), *(CONDITIONS[name] for name in given)]
    parameters: dict[str, Any] = {"project_id": project_id, "limit": limit, **given}
    if after is not None:
        conditions.append(AFTER)
        parameters |= after._asdict()
    query = RECENT.format(
        columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)),
        conditions=sql.SQL(" and ").join(conditions),
    )
    return query, parameters


def encode_cursor(row: dict[str, Any]) -> str:
    """The position of a row as an opaque word for a URL."""
    text = f"{row['started_at'].isoformat()} {row['event_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """The position behind a cursor.

    Raises:
        BadCursorError: it is none of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        started_at, event_id = text.split(" ")
        position = Position(datetime.fromisoformat(started_at), UUID(event_id))
    except (ValueError, binascii.Error):
        raise BadCursorError("cursor: use the `next_cursor` of the page before") from None
    if position.started_at.tzinfo is None:
        raise BadCursorError("cursor: use the `next_cursor` of the page before")
    return position
