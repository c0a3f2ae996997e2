"""Pure: conversations by their last call, a page at a time."""

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

from psycopg import sql

from ingest_api.analytics.measures import Column
from ingest_api.analytics.parameters import ConversationsParameters
from ingest_api.analytics.periods import check_length
from ingest_api.analytics.plans import Asked, Plan, Results
from ingest_api.analytics.problems import bad
from ingest_api.analytics.shapes import Row
from ingest_api.analytics.statements import Statement

COLUMNS: Final = [
    Column("conversation_id", "text"),
    Column("user_id", "text"),
    Column("service_name", "text"),
    Column("models", "texts"),
    Column("first_called_at", "time"),
    Column("last_called_at", "time"),
    Column("length_seconds", "seconds"),
    Column("call_count", "count"),
    Column("error_count", "count"),
    Column("input_tokens", "count"),
    Column("cache_read_input_tokens", "count"),
    Column("output_tokens", "count"),
    Column("total_cost_usd", "usd"),
    Column("unpriced_call_count", "count"),
]
LISTED: Final = sql.SQL("""select {columns}
from marts.fct_conversations
where {conditions}
order by last_called_at desc, conversation_id desc""")
BASE_CONDITIONS: Final = (
    sql.SQL("project_id = %(project_id)s"),
    sql.SQL("last_called_at >= %(start)s"),
    sql.SQL("last_called_at < %(end)s"),
)
AFTER: Final = sql.SQL("(last_called_at, conversation_id) < (%(after_time)s, %(after_id)s)")


class Position(NamedTuple):
    """The last conversation of a page."""

    last_called_at: datetime
    conversation_id: str


def encode_cursor(row: Row) -> str:
    """The position of a row as an opaque word for a URL."""
    text = f"{row['last_called_at'].isoformat()} {row['conversation_id']}"
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> Position:
    """The position behind a cursor.

    Raises:
        BadParameterError: it is none of ours.
    """
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        moment, _, conversation_id = text.partition(" ")
        position = Position(datetime.fromisoformat(moment), conversation_id)
    except (ValueError, binascii.Error):
        position = None
    if position is None or position.last_called_at.tzinfo is None or "\0" in text:
        raise bad("cursor", "use the `next_cursor` of the page before")
    return position


def plan_conversations(asked: Asked, wanted: ConversationsParameters, *, is_page: bool) -> Plan:
    """Conversations whose last call lies in the period, the newest first.

    Args:
        is_page: Whether a cursor and a limit apply; an export has all.
    """
    check_length(asked.period)
    after = decode_cursor(wanted.cursor) if is_page and wanted.cursor else None
    limit = wanted.limit if is_page else None

    def table(results: Results) -> list[Row]:
        return results[0][:limit]

    def body(results: Results) -> dict[str, Any]:
        rows = table(results)
        has_more = limit is not None and len(results[0]) > limit
        return {"rows": rows, "next_cursor": encode_cursor(rows[-1]) if has_more else None}

    statement = _statement(asked, wanted, after, limit)
    return Plan((statement,), COLUMNS, table, body, is_streamed=True)


def _statement(
    asked: Asked, wanted: ConversationsParameters, after: Position | None, limit: int | None
) -> Statement:
    filters = {"user_id": wanted.user_id, "service_name": wanted.service_name}
    conditions: list[sql.Composable] = list(BASE_CONDITIONS)
    parameters: dict[str, Any] = {
        "project_id": asked.project_id, "start": asked.period.start, "end": asked.period.end,
    }  # fmt: skip
    for name, values in filters.items():
        if values:
            condition = sql.SQL("{} = any({})").format(sql.Identifier(name), sql.Placeholder(name))
            conditions.append(condition)
            parameters[name] = values
    if after:
        conditions.append(AFTER)
        parameters |= {"after_time": after.last_called_at, "after_id": after.conversation_id}
    query: sql.Composed = LISTED.format(
        columns=_columns(COLUMNS), conditions=sql.SQL("\n    and ").join(conditions)
    )
    if limit is not None:
        query += sql.SQL("\nlimit %(limit)s")
        # One more than the page tells whether there is another.
        parameters["limit"] = limit + 1
    return Statement(query, parameters, ())


def _columns(columns: Sequence[Column]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
