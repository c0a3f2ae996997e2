"""Runs questions on Postgres: read only, on one snapshot, with an end."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, NamedTuple, Self
from uuid import UUID

import psycopg
from psycopg import AsyncConnection, IsolationLevel, sql
from psycopg.rows import dict_row, tuple_row
from psycopg.types.string import TextLoader
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from ingest_api.analytics.statements import Statement
from ingest_api.errors import QueryTimeoutError, UnavailableError

# A question takes milliseconds; so many at once are more than the processors can do anyway.
MAX_QUESTIONS: Final = 6
# An export keeps its connection for as long as its reader reads.
MAX_EXPORTS: Final = 2
WAIT_SECONDS: Final = 2.0
# The cursor answers a fetch from what it has already computed.
EXPORT_CURSOR: Final = "export"

# Compiling a statement, or starting a worker for it, takes longer than most questions; of a table
# that lies on the disk many pages are asked for at once.
SETTINGS: Final = """
select set_config('statement_timeout', %s, false), set_config('TimeZone', 'UTC', false),
    set_config('jit', 'off', false), set_config('max_parallel_workers_per_gather', '0', false),
    set_config('effective_io_concurrency', '64', false)
"""
# Each build stamps every mart that it changes, in the transaction that changes it.
CONTEXT: Final = """
select
    rollup_tags,
    (select max(refreshed_at) from app.mart_stamps) as refreshed_at,
    (select max(started_at) from marts.fct_llm_calls as calls
        where calls.project_id = projects.project_id) as newest_started_at
from app.projects
where project_id = %s
"""


class Context(NamedTuple):
    """What a question depends on beside its parameters.

    Attributes:
        declared_tags: Keys of the tags that the project rolls up.
        refreshed_at: The newest stamp of any mart: nothing has changed while it has not.
        newest_started_at: Of the project's calls.
    """

    declared_tags: frozenset[str]
    refreshed_at: datetime | None
    newest_started_at: datetime | None


@dataclass(frozen=True)
class Warehouse:
    """The marts, for reading.

    Attributes:
        timeout_seconds: After which a statement is given up.
    """

    pool: AsyncConnectionPool[Any]
    exports: AsyncConnectionPool[Any]
    timeout_seconds: int

    @classmethod
    def at(cls, database_url: str, timeout_seconds: int) -> Self:
        """A warehouse whose pools are not open yet."""

        async def configure(connection: AsyncConnection[Any]) -> None:
            await connection.set_autocommit(True)
            await connection.execute(SETTINGS, [f"{timeout_seconds}s"])
            await connection.set_autocommit(False)
            await connection.set_read_only(True)
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            # Money as its text: nothing adds it up here, and Decimal would write 1E-7.
            connection.adapters.register_loader("numeric", TextLoader)
            # A plan for any period would be a bad one for each.
            connection.prepare_threshold = None

        def pool(least: int, most: int) -> AsyncConnectionPool[Any]:
            return AsyncConnectionPool(
                database_url, min_size=least, max_size=most, open=False, configure=configure
            )

        return cls(pool(1, MAX_QUESTIONS), pool(0, MAX_EXPORTS), timeout_seconds)

    async def open(self) -> None:
        """Let connections be made. Postgres need not answer yet."""
        await self.pool.open(wait=False)
        await self.exports.open(wait=False)

    async def close(self) -> None:
        """Close all connections."""
        await self.pool.close()
        await self.exports.close()

    @asynccontextmanager
    async def snapshot(self, *, is_export: bool = False) -> AsyncIterator["Snapshot"]:
        """One state of the marts, however many statements look at it.

        Raises:
            UnavailableError: Postgres is away, or busy, or holds no marts yet.
            QueryTimeoutError: a statement took too long.
        """
        pool = self.exports if is_export else self.pool
        try:
            async with pool.connection(timeout=WAIT_SECONDS) as connection:
                yield Snapshot(connection)
        except psycopg.errors.QueryCanceled as error:
            raise QueryTimeoutError(
                f"The question took longer than {self.timeout_seconds} s: shorten the period, "
                "or group by less."
            ) from error
        except psycopg.errors.UndefinedTable as error:
            raise UnavailableError(
                "The marts are not built yet: the first build follows the first events.", 30
            ) from error
        except (psycopg.OperationalError, PoolTimeout) as error:
            raise UnavailableError(
                "The database is away or busy with other questions; ingestion goes on."
            ) from error


@dataclass(frozen=True)
class Snapshot:
    """A transaction that reads."""

    connection: AsyncConnection[Any]

    async def context(self, project_id: UUID) -> Context:
        """What every answer of the project depends on."""
        cursor = self.connection.cursor(row_factory=dict_row)
        row = await (await cursor.execute(CONTEXT, [project_id])).fetchone()
        if row is None:
            return NOBODY
        return Context(frozenset(row["rollup_tags"]), row["refreshed_at"], row["newest_started_at"])

    async def rows(self, statement: Statement) -> list[dict[str, Any]]:
        """All rows; the statement bounds them."""
        cursor = self.connection.cursor(row_factory=dict_row)
        await cursor.execute(statement.query, statement.parameters)
        return await cursor.fetchall()

    async def count(self, statement: Statement, most: int) -> int:
        """Run a statement for `batches`; how many rows it has, up to `most`."""
        declare = sql.SQL("declare {} scroll cursor for {}").format(
            sql.Identifier(EXPORT_CURSOR), statement.query
        )
        await self.connection.execute(declare, statement.parameters)
        moved = await self.connection.execute(
            sql.SQL("move forward {} in {}").format(
                sql.Literal(most), sql.Identifier(EXPORT_CURSOR)
            )
        )
        await self.connection.execute(
            sql.SQL("move absolute 0 in {}").format(sql.Identifier(EXPORT_CURSOR))
        )
        return moved.rowcount

    async def batches(self, size: int) -> AsyncIterator[Sequence[tuple[Any, ...]]]:
        """The rows that `count` has counted, `size` at a time."""
        cursor = self.connection.cursor(row_factory=tuple_row)
        fetch = sql.SQL("fetch forward {} in {}").format(
            sql.Literal(size), sql.Identifier(EXPORT_CURSOR)
        )
        while rows := await (await cursor.execute(fetch)).fetchall():
            yield rows


NOBODY: Final = Context(frozenset(), None, None)
