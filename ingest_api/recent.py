"""Pure: the query behind `GET /events/recent` and its cursor."""

import base64
import binascii
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import UUID

from psycopg import sql


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
COLUMNS = (
    "event_id", "provider_name", "request_model", "response_model", "operation_name",
    "started_at", "ended_at", "duration_seconds", "time_to_first_chunk_seconds", "is_stream",
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_write_input_tokens",
    "reasoning_output_tokens", "usage_details", "usage_source", "usage_semantics",
    "service_tier", "error_type", "http_status_code", "user_id", "conversation_id", "trace_id",
    "environment", "service_name", "tags", "received_at", "loaded_at",
)  # fmt: skip


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
