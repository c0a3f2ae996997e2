"""The loader: read from the stream, commit, and only then acknowledge.

A crash at any point leads to a re-read of what was not acknowledged. The unique key makes the
second insert of an event a no-op, so that an event is exactly one row.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from time import monotonic
from typing import Final

import psycopg
from psycopg import sql

from ingest_api.stream import EventStreamReader, RawEntry
from orchestration.load_order import LOAD_LOCK
from orchestration.loading.event_rows import (
    CONTENT_COLUMNS,
    EVENT_COLUMNS,
    Letter,
    LoadableEvent,
    Row,
    read_entries,
)

# One commit per up to 200 entries: at 1,000 events a request that is 200,000 rows, or 2 s here.
MAX_ENTRIES_PER_COMMIT: Final = 200
# A live consumer acknowledges within seconds; ten times that is dead.
ABANDONED_SECONDS: Final = 60.0

# Made once per connection and left empty by each commit.
CREATE_STAGING: Final = """
create temp table if not exists staged_events on commit delete rows as
    select * from raw.llm_events with no data;
create temp table if not exists staged_contents on commit delete rows as
    select * from raw.llm_event_contents with no data
"""
# Shared, so that loaders do not wait for each other; a build takes it alone for an instant to learn
# a time before which every row is committed. So loaded_at must be taken behind the lock.
STAMP: Final = "select pg_advisory_xact_lock_shared(%s), clock_timestamp()"
INSERT: Final = sql.SQL("""
insert into {target} ({columns}, loaded_at)
select {columns}, %s from {staging}
on conflict do nothing
""")
INSERT_LETTER: Final = """
insert into raw.dead_letters
    (stream, entry_id, event_index, tenant_id, project_id, api_key_id, received_at, payload,
     rejected_reason)
values ('llm_events', %s, %s, %s, %s, %s, %s, %s, %s)
on conflict do nothing
"""


@dataclass
class LoadReport:
    """What one drain did.

    Attributes:
        event_count: Well-formed events that were read.
        row_count: Those that became a new row.
        refused_event_count: Those that the database refused.
        dead_letter_count: Events or entries that became dead letters, refused ones included.
        commit_count: Transactions.
        seconds: Time spent on loading, waiting excluded.
    """

    event_count: int = 0
    row_count: int = 0
    refused_event_count: int = 0
    dead_letter_count: int = 0
    commit_count: int = 0
    seconds: float = 0.0

    @property
    def repeated_event_count(self) -> int:
        """Events that were rows already: sent again, or read again after a crash."""
        return self.event_count - self.row_count - self.refused_event_count

    @property
    def events_per_second(self) -> float:
        """Loading speed, waiting excluded."""
        return self.event_count / self.seconds if self.seconds else 0.0


@dataclass
class Loader:
    """Drains the stream into the raw tables.

    Attributes:
        connect: Lends a connection for one transaction. It is asked only when there is something
            to load, so that an idle platform leaves Postgres alone.
    """

    stream: EventStreamReader
    connect: Callable[[], AbstractContextManager[psycopg.Connection]]
    clock: Callable[[], float] = monotonic

    def drain(self, seconds: float) -> LoadReport:
        """Load until `seconds` have passed.

        First what this consumer or a dead one left unfinished, then what is new.

        Raises:
            psycopg.OperationalError: the database is away; nothing was acknowledged.
            redis.RedisError: Redis is away; what was committed is re-read and found to be there.
        """
        report = LoadReport()
        self.stream.open()
        self.stream.heartbeat()
        for entries in self._batches(self.clock() + seconds):
            started = self.clock()
            with self.connect() as connection:
                self._load(entries, connection, report)
            report.seconds += self.clock() - started
        return report

    def _batches(self, deadline: float) -> Iterator[list[RawEntry]]:
        while entries := self.stream.read_unfinished(MAX_ENTRIES_PER_COMMIT):
            yield entries
        while entries := self.stream.claim_abandoned(MAX_ENTRIES_PER_COMMIT, ABANDONED_SECONDS):
            yield entries
        while (left := deadline - self.clock()) > 0:
            if entries := self.stream.read_new(MAX_ENTRIES_PER_COMMIT, left):
                yield entries

    def _load(
        self, entries: list[RawEntry], connection: psycopg.Connection, report: LoadReport
    ) -> None:
        events, letters = read_entries(entries)
        unreadable_count = len(letters)
        with connection.transaction():
            connection.execute(CREATE_STAGING)
            batch = RawTables(connection)
            row_count = batch.insert_events(events, letters)
            batch.insert_letters(letters)
        report.commit_count += 1
        report.row_count += row_count
        report.event_count += len(events)
        report.refused_event_count += len(letters) - unreadable_count
        report.dead_letter_count += len(letters)
        self.stream.acknowledge(entries, len(events) + unreadable_count)


@dataclass(frozen=True)
class RawTables:
    """The raw tables within one transaction."""

    connection: psycopg.Connection

    def insert_events(self, events: Sequence[LoadableEvent], letters: list[Letter]) -> int:
        """Rows that were new. Bisects where the data is at fault, so that only it is left out."""
        if not events:
            return 0
        try:
            with self.connection.transaction():
                return self._copy(events)
        except (psycopg.DataError, psycopg.IntegrityError, UnicodeError) as error:
            if len(events) == 1:
                letters.append(events[0].letter(_words(error)))
                return 0
            middle = len(events) // 2
            return self.insert_events(events[:middle], letters) + self.insert_events(
                events[middle:], letters
            )

    def _copy(self, events: Sequence[LoadableEvent]) -> int:
        loaded_at = self.connection.execute(STAMP, [LOAD_LOCK]).fetchone()[1]  # type: ignore[index]
        rows = [event.row() for event in events]
        contents = [row for event in events if (row := event.content_row()) is not None]
        inserted = self._copy_into("llm_events", "staged_events", EVENT_COLUMNS, rows, loaded_at)
        if contents:
            self._copy_into(
                "llm_event_contents", "staged_contents", CONTENT_COLUMNS, contents, loaded_at
            )
        return inserted

    def _copy_into(
        self,
        target: str,
        staging: str,
        columns: Sequence[str],
        rows: Sequence[Row],
        loaded_at: object,
    ) -> int:
        names = sql.SQL(", ").join(map(sql.Identifier, columns))
        staged = sql.Identifier(staging)
        with self.connection.cursor() as cursor:
            with cursor.copy(sql.SQL("copy {} ({}) from stdin").format(staged, names)) as copy:
                for row in rows:
                    copy.write_row(row)
            cursor.execute(
                INSERT.format(target=sql.Identifier("raw", target), columns=names, staging=staged),
                [loaded_at],
            )
            inserted = cursor.rowcount
            cursor.execute(sql.SQL("truncate {}").format(staged))
        return inserted

    def insert_letters(self, letters: Sequence[Letter]) -> None:
        for letter in letters:
            tenant_id, project_id, api_key_id, received_at = letter.head or (None,) * 4
            self.connection.execute(
                INSERT_LETTER,
                [letter.entry_id, letter.event_index, tenant_id, project_id, api_key_id,
                 received_at, letter.payload, letter.rejected_reason],
            )  # fmt: skip


def _words(error: Exception) -> str:
    """The database's own words without its DETAIL, which quotes the row."""
    if isinstance(error, psycopg.Error) and error.diag.message_primary:
        return f"{error.diag.sqlstate}: {error.diag.message_primary}"
    return type(error).__name__
