"""Repeats the first block of a history at an earlier time, with what was built of it.

Pricing and rolling up the same calls again would give the same rows. So those whose grain lies
within a block are copied: calls, minutes, hours, conversations. The next build makes days and
months of them.
"""

from collections.abc import Sequence
from typing import Any, Final

import psycopg
from psycopg import sql

from benchmarks.history.rows import CALLS_PER_DAY, PROJECTS

# Relation, and the column by which its rows belong to a block.
REPEATED: Final = (
    ("raw", "llm_events", "started_at"),
    ("marts", "fct_llm_calls", "started_at"),
    ("marts", "fct_usage_minutely", "usage_minute"),
    ("marts", "fct_usage_hourly", "usage_hour"),
    ("marts", "fct_model_usage_hourly", "usage_hour"),
    ("marts", "fct_model_usage_quarter_hourly", "usage_quarter_hour"),
    ("marts", "fct_attributed_usage_hourly", "usage_hour"),
    ("marts", "fct_latency_minutely", "usage_minute"),
    ("marts", "fct_latency_hourly", "usage_hour"),
    ("marts", "fct_project_latency_hourly", "usage_hour"),
    ("marts", "fct_cost_by_price_hourly", "usage_hour"),
    ("marts", "fct_conversations", "last_called_at"),
    ("intermediate", "int_call_evidence_hourly", "usage_hour"),
)
STAMPS: Final = frozenset({"loaded_at", "cost_computed_at", "refreshed_at"})
# A block of calls is sorted in memory.
SETTINGS: Final = "set local work_mem = '1GB'; set local synchronous_commit = off"
COLUMNS: Final = """
select column_name, data_type from information_schema.columns
where table_schema = %s and table_name = %s and is_generated = 'NEVER'
order by ordinal_position
"""
REPEAT: Final = """
insert into {relation} ({names})
select {values} from {relation}
where project_id in (select project_id from app.projects where name = any(%(projects)s))
    and {time} < (select ended_at from benchmark.history_ends)
    and {time} >= (
        select ended_at - %(length)s * interval '1 day' from benchmark.history_ends
    )
order by {time}
"""


def repeat_block(connection: psycopg.Connection[Any], number: int, block_calls: int) -> None:
    """Insert the first block again, `number` blocks earlier; blocks are whole days."""
    connection.execute(SETTINGS)
    length = block_calls // CALLS_PER_DAY
    values = {"projects": list(PROJECTS), "length": length, "number": str(number),
              "shift": number * length}  # fmt: skip
    for schema, name, time in REPEATED:
        columns = connection.execute(COLUMNS, [schema, name]).fetchall()
        connection.execute(_repeat(sql.Identifier(schema, name), time, columns), values)


def _repeat(
    relation: sql.Identifier, time: str, columns: Sequence[tuple[str, str]]
) -> sql.Composed:
    return sql.SQL(REPEAT).format(
        relation=relation,
        time=sql.Identifier(time),
        names=sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
        values=sql.SQL(", ").join(_value(name, kind) for name, kind in columns),
    )


def _value(name: str, kind: str) -> sql.Composable:
    """A column of the earlier row: another time, another call, and otherwise the same."""
    column = sql.Identifier(name)
    if name in STAMPS:
        return sql.SQL("now()")
    if kind == "timestamp with time zone":
        return sql.SQL("{} - %(shift)s * interval '1 day'").format(column)
    if name == "event_id":
        return sql.SQL("md5(event_id::text || %(number)s)::uuid")
    if name == "conversation_id":
        return sql.SQL("md5(conversation_id || %(number)s)")
    return column
