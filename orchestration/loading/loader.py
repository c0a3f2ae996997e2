"""The loader: read from the stream, commit, and only then acknowledge.

A crash at any point leads to a re-read of what was not acknowledged. The unique key makes the
second insert of an event a no-op, so that an event is exactly one row.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import psycopg

from ingest_api.stream import REDIS_ERRORS, EventStreamReader, RawEntry
from orchestration.loading.backoff import backoff_seconds
from orchestration.loading.commits import Ahead, Commit, prepare
from orchestration.loading.raw_tables import write_commit

# A commit holds up to 8 MiB of events, 20,000 of them: 0.3 s here. With what is made of them, and
# the next commit that is read meanwhile, that is 50 MB of memory.
MAX_COMMIT_BYTES: Final = 8 * 1024 * 1024
# Acknowledging so many takes Redis 2 ms, in which it does nothing else.
MAX_COMMIT_ENTRIES: Final = 2_000
# Entries may have 5 MiB each, so that the first read of a commit must not ask for many.
FIRST_READ_ENTRIES: Final = 8
# A commit costs 5 ms of processor time however small it is. So a trickle is committed so often at
# most; what has piled up is committed at once.
COMMIT_INTERVAL_SECONDS: Final = 0.2
# With `COMMIT_INTERVAL_SECONDS` between commits a quarter of the most is 25,000 events/s.
BUSY_COMMIT_RATIO: Final = 0.25
# A drain that fails waits for the read that is under way; a tick of the sensor is shorter.
MAX_BLOCK_SECONDS: Final = 5.0
# A live consumer acknowledges within seconds; ten times that is dead.
ABANDONED_SECONDS: Final = 60.0
# What passes when a server comes back. A database that was made read-only is about to go away.
AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,
    *REDIS_ERRORS,
)


@dataclass
class LoadReport:
    """What a drain did.

    Attributes:
        event_count: Well-formed events that were read.
        row_count: Those that became a new row.
        refused_event_count: Those that the database refused.
        dead_letter_count: Events or entries that became dead letters, refused ones included.
        commit_count: Transactions.
        seconds: Time spent on loading, waiting excluded.
        failure: Why Postgres or Redis was away at the end; None where they were there.
        failed_attempts: How often in a row it was.
        is_caught_up: Whether the stream held no full commit any more at the end.
    """

    event_count: int = 0
    row_count: int = 0
    refused_event_count: int = 0
    dead_letter_count: int = 0
    commit_count: int = 0
    seconds: float = 0.0
    failure: str | None = None
    failed_attempts: int = 0
    is_caught_up: bool = False

    @property
    def repeated_event_count(self) -> int:
        """Events that were rows already: sent again, or read again after a crash."""
        return self.event_count - self.row_count - self.refused_event_count

    @property
    def events_per_second(self) -> float:
        """Loading speed, waiting excluded."""
        return self.event_count / self.seconds if self.seconds else 0.0


def add_up(reports: Sequence[LoadReport]) -> LoadReport:
    """One report of loaders that worked side by side; of failures the one that lasts longest."""
    worst = max(reports, key=lambda report: (report.failure is not None, report.failed_attempts))
    return LoadReport(
        event_count=sum(report.event_count for report in reports),
        row_count=sum(report.row_count for report in reports),
        refused_event_count=sum(report.refused_event_count for report in reports),
        dead_letter_count=sum(report.dead_letter_count for report in reports),
        commit_count=sum(report.commit_count for report in reports),
        seconds=max(report.seconds for report in reports),
        failure=worst.failure,
        failed_attempts=worst.failed_attempts,
        is_caught_up=all(report.is_caught_up for report in reports),
    )


class Deadlines(NamedTuple):
    """When to stop, on the loader's clock: after a small commit, and after a large one."""

    idle: float
    busy: float


@dataclass
class Loader:
    """Drains one shard of the stream into the raw tables.

    Loaders may work side by side, in threads or processes, if their readers have different names.

    Attributes:
        connect: Lends a connection for one transaction. It is asked only when there is something
            to load, so that an idle platform leaves Postgres alone.
    """

    stream: EventStreamReader
    connect: Callable[[], AbstractContextManager[psycopg.Connection]]
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    _read_at: float = field(default=float("-inf"), init=False)

    def drain(
        self,
        seconds: float,
        *,
        busy_seconds: float = 0.0,
        until_caught_up: bool = False,
        failed_attempts: int = 0,
    ) -> LoadReport:
        """Load until `seconds` have passed, or the backlog is gone.

        First what this consumer or a dead one left unfinished, then what is new. While Postgres or
        Redis is away it waits and tries again, as long as there is time; nothing is acknowledged.

        Args:
            busy_seconds: While commits are large it goes on until so much time has passed.
            until_caught_up: Stop as soon as the stream holds no full commit any more.
            failed_attempts: How often in a row the drains before this one failed.
        """
        report = LoadReport(failed_attempts=failed_attempts)
        started = self.clock()
        deadline, busy_deadline = started + seconds, started + max(seconds, busy_seconds)
        while True:
            try:
                self._load_all(Deadlines(deadline, busy_deadline), until_caught_up, report)
            except AWAY as error:
                report.failure = in_words(error)
                report.failed_attempts += 1
                pause = backoff_seconds(report.failed_attempts)
                if self.clock() + pause >= deadline:
                    return report
                self.sleep(pause)
            else:
                return report

    def _load_all(self, deadlines: Deadlines, until_caught_up: bool, report: LoadReport) -> None:
        self.stream.open()
        batches = self._batches(deadlines, until_caught_up, report)
        with Ahead(map(prepare, batches)) as commits:
            while (commit := commits.take()) is not None:
                self._load(commit, commits.start, report)
        report.failure, report.failed_attempts = None, 0

    def _load(self, commit: Commit, on_sent: Callable[[], None], report: LoadReport) -> None:
        started = self.clock()
        with self.connect() as connection:
            written = write_commit(connection, commit, self.stream.key, on_sent)
        self.stream.acknowledge(commit.entries)
        report.seconds += self.clock() - started
        report.commit_count += 1
        report.event_count += written.event_count
        report.row_count += written.row_count
        report.refused_event_count += written.refused_event_count
        report.dead_letter_count += written.dead_letter_count
        report.failure, report.failed_attempts = None, 0

    def _batches(
        self, deadlines: Deadlines, until_caught_up: bool, report: LoadReport
    ) -> Iterator[Sequence[RawEntry]]:
        """Entries for one commit after the other; reads one ahead of what is acknowledged."""
        last = "0"
        while entries := self.stream.read_unfinished(FIRST_READ_ENTRIES, last):
            last = entries[-1].entry_id
            yield entries
        while entries := self.stream.claim_abandoned(FIRST_READ_ENTRIES, ABANDONED_SECONDS):
            yield entries
        deadline = deadlines.idle
        while (left := deadline - self.clock()) > 0:
            self._await_interval(left)
            block = min(deadlines.idle - self.clock(), MAX_BLOCK_SECONDS)
            entries = self._read_new(0 if until_caught_up else block)
            report.is_caught_up = not _is_full(entries)
            deadline = deadlines.busy if _is_full(entries, BUSY_COMMIT_RATIO) else deadlines.idle
            if entries:
                yield entries
            if until_caught_up and report.is_caught_up:
                return

    def _await_interval(self, most_seconds: float) -> None:
        pause = self._read_at + COMMIT_INTERVAL_SECONDS - self.clock()
        if pause > 0:
            self.sleep(min(pause, most_seconds))

    def _read_new(self, block_seconds: float) -> list[RawEntry]:
        """As much as one commit may hold; waits for the first entry only."""
        wanted = FIRST_READ_ENTRIES
        entries = self.stream.read_new(wanted, max(block_seconds, 0))
        found = len(entries)
        while found == wanted and not _is_full(entries):
            wanted = _how_many_more(entries)
            more = self.stream.read_new(wanted, 0)
            found = len(more)
            entries += more
        self._read_at = float("-inf") if _is_full(entries) else self.clock()
        return entries


def _is_full(entries: list[RawEntry], ratio: float = 1.0) -> bool:
    return (
        len(entries) >= MAX_COMMIT_ENTRIES * ratio
        or sum(entry.byte_count for entry in entries) >= MAX_COMMIT_BYTES * ratio
    )


def _how_many_more(entries: list[RawEntry]) -> int:
    """How many entries would fill the commit if they are like those at hand."""
    size = sum(entry.byte_count for entry in entries)
    fitting = (MAX_COMMIT_BYTES - size) * len(entries) // max(size, 1) + 1
    return min(fitting, MAX_COMMIT_ENTRIES - len(entries))


def in_words(error: Exception) -> str:
    """What the server or the driver says, which holds neither an event nor a password."""
    if isinstance(error, REDIS_ERRORS):
        return f"Redis is away: {type(error).__name__}: {str(error)[:200]}"
    return f"Postgres is away: {type(error).__name__}: {str(error).strip()[:200]}"
