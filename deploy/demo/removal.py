"""Taking the demo out again: its door is closed, what is under way is awaited, then rows go.

The rows of every table that has a `project_id` go in one transaction that holds all those tables
alone. So no build of the marts that has read demo rows is still unfinished at that moment, and none
can write them back. The report models are views over those tables; the report site notices that
the marts have changed at its next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import psycopg
from psycopg import sql
from psycopg.errors import LockNotAvailable

from deploy.demo.errors import DemoError
from deploy.demo.project import DemoProject
from ingest_api.auth import REFRESH_SECONDS
from ingest_api.stream import StreamStats

# An API process learns of a revoked key at its next refresh, which may itself wait 2 s.
DOOR_SECONDS: Final = REFRESH_SECONDS + 2
LOADING_SECONDS: Final = 60.0
# A build of the marts holds its tables for seconds.
LOCKING_SECONDS: Final = 120.0
POLL_SECONDS: Final = 0.2

REVOKE: Final = """
update app.api_keys set revoked_at = now() where project_id = %s and revoked_at is null
"""
SECONDS_SINCE_REVOKED: Final = """
select extract(epoch from clock_timestamp() - max(revoked_at))::float8
from app.api_keys where project_id = %s
"""
# From the catalog, so that a new table cannot be forgotten. The project itself goes last.
TABLES: Final = """
select c.table_schema, c.table_name
from information_schema.columns as c
join information_schema.tables as t using (table_schema, table_name)
where c.column_name = 'project_id' and t.table_type = 'BASE TABLE'
  and c.table_schema in ('app', 'raw', 'pricing', 'staging', 'intermediate', 'marts', 'reports')
order by (c.table_schema, c.table_name) = ('app', 'projects'), c.table_schema, c.table_name
"""


def close_door(connection: psycopg.Connection, project: DemoProject) -> float:
    """Revoke the demo's keys; seconds after which no process of the API takes them any more."""
    with connection.transaction():
        connection.execute(REVOKE, [project.project_id])
    row = connection.execute(SECONDS_SINCE_REVOKED, [project.project_id]).fetchone()
    return 0.0 if row is None or row[0] is None else max(0.0, DOOR_SECONDS - row[0])


def wait_until_loaded(
    read_stats: Callable[[], StreamStats],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Wait until every event that was accepted before now is loaded.

    Raises:
        DemoError: no loader is at work, or it needs longer than `LOADING_SECONDS`.
    """
    started = clock()
    while (stats := read_stats()).oldest_unloaded_seconds > clock() - started:
        if not stats.is_loader_alive or clock() - started > LOADING_SECONDS:
            raise DemoError(
                f"{stats.lag_event_count} events still wait to be loaded and may be the demo's: "
                "start LLMScope with `make up` and repeat this once they are."
            )
        sleep(POLL_SECONDS)


def delete_rows(
    connection: psycopg.Connection,
    project: DemoProject,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, int]:
    """Delete the project everywhere; gives the rows deleted per table that had any.

    Raises:
        DemoError: a table was in use for longer than `LOCKING_SECONDS`; nothing was deleted.
    """
    deadline = clock() + LOCKING_SECONDS
    while clock() < deadline:
        with suppress(LockNotAvailable), connection.transaction():
            return _delete_rows(connection, project)
        sleep(POLL_SECONDS)
    raise DemoError("A table of the marts is in use for minutes: repeat this when it is not.")


def _delete_rows(connection: psycopg.Connection, project: DemoProject) -> dict[str, int]:
    names = connection.execute(TABLES).fetchall()
    tables = [sql.Identifier(schema, table) for schema, table in names]
    # All or none: waiting for one with others in hand could block a build, and it us.
    connection.execute(
        sql.SQL("lock table {} in access exclusive mode nowait").format(sql.SQL(", ").join(tables))
    )
    counts = {
        table.as_string(connection).replace('"', ""): connection.execute(
            sql.SQL("delete from {} where project_id = %s").format(table), [project.project_id]
        ).rowcount
        for table in tables
    }
    return {table: count for table, count in counts.items() if count}
