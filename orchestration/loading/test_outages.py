"""While Postgres or Redis is away nothing is acknowledged, and loading goes on when it is back."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime

import psycopg
import pytest

from ingest_api import stream
from ingest_api.stream import EventStreamReader
from orchestration.loading.backoff import backoff_seconds
from orchestration.loading.conftest import PROJECT, TENANT, Bench, make_event
from orchestration.loading.loader import ABANDONED_SECONDS, Loader

EMPTY = {
    "tenant_id": str(TENANT), "project_id": str(PROJECT), "api_key_id": "", "events": "[]",
    "received_at": datetime.now(UTC).isoformat(), "event_count": "0",
}  # fmt: skip
NOBODY = "redis://127.0.0.1:1/0"
REPLAY = stream.Entry(stream.Source(TENANT, PROJECT, None), datetime.now(UTC), b"[]", 0)


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


class Postgres:
    """Lends connections, but for the first `failures` times."""

    def __init__(self, bench: Bench, failures: int) -> None:
        self.bench = bench
        self.failures = failures

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        self.failures -= 1
        if self.failures >= 0:
            psycopg.connect("postgresql://127.0.0.1:1/none")
        with self.bench.connect() as connection:
            yield connection


@pytest.mark.parametrize(
    ("failed_attempts", "least", "most"),
    [(1, 0.75, 1.25), (2, 1.5, 2.5), (3, 3, 5), (5, 12, 20), (6, 22.5, 37.5), (9999, 22.5, 37.5)],
)
def test_pauses_double_up_to_half_a_minute(failed_attempts: int, least: float, most: float) -> None:
    assert backoff_seconds(failed_attempts, -1) == least
    assert backoff_seconds(failed_attempts, 1) == most
    assert least <= backoff_seconds(failed_attempts) <= most


def test_a_database_that_is_away_leaves_the_events_in_the_stream(bench: Bench) -> None:
    bench.put(make_event())
    clock = Clock()
    away = Postgres(bench, failures=9999)
    report = Loader(bench.reader, away.connect, clock, clock.sleep).drain(10)
    assert (report.commit_count, report.failed_attempts) == (0, len(clock.pauses) + 1)
    assert [round(p / 2**n) for n, p in enumerate(clock.pauses)] == [1] * len(clock.pauses)
    assert len(clock.pauses) >= 2
    assert str(report.failure).startswith("Postgres is away: OperationalError")
    stats = bench.reader.stats()
    assert (stats.entry_count, stats.in_flight_entry_count) == (1, 1)
    assert bench.drain().row_count == 1
    assert bench.reader.stats().entry_count == 0


def test_a_database_that_comes_back_is_found_within_the_drain(bench: Bench) -> None:
    bench.put(make_event())
    clock = Clock()
    loader = Loader(bench.reader, Postgres(bench, failures=2).connect, clock, clock.sleep)
    report = loader.drain(60, until_caught_up=True, failed_attempts=3)
    assert (report.row_count, report.failure, report.failed_attempts) == (1, None, 0)
    assert [round(pause / 8) for pause in clock.pauses[:2]] == [1, 2]


def test_a_database_that_became_read_only_is_away(bench: Bench) -> None:
    bench.put(make_event())
    name = bench.database_url.rsplit("/", 1)[1]
    bench.execute(f"alter database {name} set default_transaction_read_only = on")
    report = bench.drain()
    assert (report.commit_count, report.dead_letter_count) == (0, 0)
    assert str(report.failure).startswith("Postgres is away: ReadOnlySqlTransaction")
    with psycopg.connect(bench.database_url) as connection:
        connection.read_only = False
        connection.execute(f"alter database {name} reset default_transaction_read_only")
    assert bench.drain().row_count == 1


def test_a_redis_that_is_away_is_a_failure_and_no_exception(bench: Bench) -> None:
    clock = Clock()
    reader = EventStreamReader(stream.connect(NOBODY), "test")
    report = Loader(reader, bench.connect, clock, clock.sleep).drain(2)
    assert report.failed_attempts == 2
    assert str(report.failure).startswith("Redis is away: ConnectionError")


def test_a_redis_that_lost_its_data_is_set_up_anew(bench: Bench) -> None:
    bench.reader.open()
    bench.client.flushall()
    bench.put(make_event())
    assert bench.drain().row_count == 1


def test_a_redis_without_memory_takes_nothing_but_is_drained(bench: Bench) -> None:
    bench.put(make_event())
    bench.client.config_set("maxmemory", "1")
    try:
        with pytest.raises(stream.StreamError, match="maxmemory"):
            stream.append_replays(bench.client, [REPLAY], shards=1)
        report = bench.drain()
    finally:
        bench.client.config_set("maxmemory", "0")
    assert (report.row_count, report.failure) == (1, None)
    assert bench.reader.stats().entry_count == 0


def test_what_a_dead_loader_held_is_taken_over(bench: Bench) -> None:
    bench.put(make_event())
    dead = EventStreamReader(bench.client, "dead")
    dead.open()
    (entry,) = dead.read_new(10, 0)
    assert bench.drain().commit_count == 0
    idle = int(ABANDONED_SECONDS * 1000) + 1
    bench.client.xclaim(stream.STREAM, stream.GROUP, "dead", 0, [entry.entry_id], idle=idle)
    assert bench.drain().row_count == 1
    assert bench.reader.stats().entry_count == 0


def test_loaders_side_by_side_load_each_event_once(bench: Bench) -> None:
    events = [make_event() for _ in range(60)]
    for start in range(0, 60, 2):
        bench.put(*events[start : start + 2], events[0])
    loaders = [
        Loader(EventStreamReader(bench.client, f"loader-{n}"), bench.connect) for n in range(3)
    ]
    loaders[0].stream.open()
    with ThreadPoolExecutor(3) as threads:
        reports = list(threads.map(lambda loader: loader.drain(30, until_caught_up=True), loaders))
    assert [report.failure for report in reports] == [None] * 3
    assert sum(report.event_count for report in reports) == 90
    assert sum(report.row_count for report in reports) == 60
    assert bench.row_count() == 60
    assert bench.reader.stats().entry_count == 0


def test_a_commit_is_bounded_in_bytes_and_entries(bench: Bench) -> None:
    big = make_event(input_messages=["x" * 1_000_000])
    for _ in range(12):
        bench.put(big)
    report = bench.loader.drain(60, until_caught_up=True)
    assert (report.event_count, report.row_count, report.commit_count) == (12, 1, 2)
    with bench.client.pipeline(transaction=False) as pipe:
        for _ in range(2500):
            pipe.xadd(stream.STREAM, EMPTY)
        pipe.execute()
    report = bench.loader.drain(60, until_caught_up=True)
    assert report.commit_count == 2
    assert bench.reader.stats().entry_count == 0
