"""The raw tables: what one transaction of the loader writes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import psycopg
from psycopg import sql

from ingest_api.database.load_lock import stamp
from ingest_api.stream import RawEntry
from orchestration.loading.commits import Commit
from orchestration.loading.copy_text import (
    CONTENT_COLUMNS,
    EVENT_COLUMNS,
    content_lines,
    event_lines,
)
from orchestration.loading.event_rows import EventBatch, Letter, read_entries

# Made once per connection and left empty by each commit.
CREATE_STAGING: Final = """
create temp table if not exists staged_events on commit delete rows as
    select * from raw.llm_events with no data;
create temp table if not exists staged_contents on commit delete rows as
    select * from raw.llm_event_contents with no data
"""
INSERT: Final = """
insert into {target} ({columns}, loaded_at)
select {columns}, %s from {staging}
on conflict do nothing
"""
INSERT_LETTER: Final = """
insert into raw.dead_letters
    (stream, entry_id, event_index, tenant_id, project_id, api_key_id, received_at, payload,
     rejected_reason)
values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""
# What Postgres cannot take however often it is asked: bad data, broken constraints, and limits of
# its own, such as JSON that is nested too deep (class 54).
LIMIT_EXCEEDED: Final = "54"


@dataclass(frozen=True)
class StagedTable:
    """A raw table and the temporary table that its rows go through."""

    target: str
    staging: str
    columns: tuple[str, ...]

    def copy_statement(self) -> sql.Composed:
        """Lines to the temporary table."""
        return self._fill("copy {staging} ({columns}) from stdin")

    def insert_statement(self) -> sql.Composed:
        """What is new to the raw table; its parameter is `loaded_at`."""
        return self._fill(INSERT)

    def empty_statement(self) -> sql.Composed:
        """Ready for the next rows of the same transaction."""
        return self._fill("truncate {staging}")

    def _fill(self, statement: str) -> sql.Composed:
        return sql.SQL(statement).format(
            target=sql.Identifier("raw", self.target),
            staging=sql.Identifier(self.staging),
            columns=sql.SQL(", ").join(map(sql.Identifier, self.columns)),
        )


EVENTS: Final = StagedTable("llm_events", "staged_events", EVENT_COLUMNS)
CONTENTS: Final = StagedTable("llm_event_contents", "staged_contents", CONTENT_COLUMNS)


@dataclass
class Written:
    """What a transaction wrote.

    Attributes:
        event_count: Well-formed events.
        row_count: Those that became a new row.
        refused_event_count: Those that the database refused.
        dead_letter_count: Events or entries that became dead letters, refused ones included.
    """

    event_count: int = 0
    row_count: int = 0
    refused_event_count: int = 0
    dead_letter_count: int = 0


def write_commit(
    connection: psycopg.Connection, commit: Commit, stream: str, on_sent: Callable[[], None]
) -> Written:
    """Commit events as rows, and what cannot be a row as dead letters.

    Args:
        stream: Key of the stream that the entries lay in: their ids are unique only within it.
        on_sent: Called when all lines are sent and what is left is to wait for Postgres.

    Raises:
        psycopg.Error: the database is away or not as it should be; nothing was committed.
    """
    with connection.transaction():
        connection.execute(CREATE_STAGING)
        tables = RawTables(connection)
        written, letters = tables.insert_all(commit, on_sent) or tables.insert_each(commit.entries)
        tables.insert_letters(letters, stream)
    written.dead_letter_count = len(letters)
    return written


def is_data_error(error: Exception) -> bool:
    """Whether a row is at fault, and not the database."""
    if isinstance(error, psycopg.DataError | psycopg.IntegrityError | UnicodeError):
        return True
    sqlstate = error.sqlstate if isinstance(error, psycopg.Error) else None
    return sqlstate is not None and sqlstate.startswith(LIMIT_EXCEEDED)


@dataclass(frozen=True)
class RawTables:
    """The raw tables within one transaction."""

    connection: psycopg.Connection

    def insert_all(
        self, commit: Commit, on_sent: Callable[[], None]
    ) -> tuple[Written, Sequence[Letter]] | None:
        """The usual case; None where the database, or the encoding, refuses some of it."""
        if not commit.is_text_valid:
            return None
        try:
            with self.connection.transaction():
                row_count = self._copy(commit.events, commit.contents, on_sent)
        except psycopg.Error as error:
            if not is_data_error(error):
                raise
            return None
        return Written(commit.event_count, row_count), commit.letters

    def insert_each(self, entries: Sequence[RawEntry]) -> tuple[Written, Sequence[Letter]]:
        """The rare case: bisect, so that only the guilty events are left out."""
        batch, letters = read_entries(entries)
        unreadable_count = len(letters)
        row_count = self._bisect(batch, letters)
        return Written(len(batch), row_count, len(letters) - unreadable_count), letters

    def _bisect(self, batch: EventBatch, letters: list[Letter]) -> int:
        if not batch:
            return 0
        try:
            with self.connection.transaction():
                return self._copy([event_lines(batch)], [content_lines(batch)], _nothing)
        except (psycopg.Error, UnicodeError) as error:
            if not is_data_error(error):
                raise
            reason = _words(error)
        if len(batch) == 1:
            letters.append(batch.letter(0, reason))
            return 0
        middle = len(batch) // 2
        return self._bisect(batch.part(0, middle), letters) + self._bisect(
            batch.part(middle, len(batch)), letters
        )

    def _copy(
        self, events: Sequence[bytes], contents: Sequence[bytes], on_sent: Callable[[], None]
    ) -> int:
        """Rows that were new."""
        if not events:
            return 0
        loaded_at = stamp(self.connection)
        self._stage(EVENTS, events)
        if any(contents):
            self._stage(CONTENTS, contents)
        on_sent()
        row_count = self._insert(EVENTS, loaded_at)
        if any(contents):
            self._insert(CONTENTS, loaded_at)
        return row_count

    def _stage(self, table: StagedTable, lines: Sequence[bytes]) -> None:
        with self.connection.cursor() as cursor, cursor.copy(table.copy_statement()) as copy:
            for some in lines:
                copy.write(some)

    def _insert(self, table: StagedTable, loaded_at: object) -> int:
        inserted = self.connection.execute(table.insert_statement(), [loaded_at]).rowcount
        self.connection.execute(table.empty_statement())
        return inserted

    def insert_letters(self, letters: Sequence[Letter], stream: str) -> None:
        """Letters that are there already, from before a crash, stay as they are."""
        for letter in letters:
            head = letter.head or (None,) * 4
            place = (stream, letter.entry_id, letter.event_index)
            values = [*place, *head, letter.payload, letter.rejected_reason]
            self.connection.execute(INSERT_LETTER, values)


def _nothing() -> None:
    pass


def _words(error: Exception) -> str:
    """The database's own words without its DETAIL, which quotes the row."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.sqlstate}: {error.diag.message_primary}"
    return type(error).__name__
