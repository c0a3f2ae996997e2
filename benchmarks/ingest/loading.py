"""The loader against a bare COPY of the same rows into the same table, in turns."""

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Final
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import redis
import redis.asyncio

from benchmarks.ingest.bodies import make_bodies, stamped
from benchmarks.ingest.figures import Figure, at_least, ratio
from deploy.local.environment import ROOT
from ingest_api.database.migrate import migrate
from ingest_api.stream import EventStreamWriter, Source, read_stats_blocking
from tests.running import RunningPlatform, run_platform

ROUNDS: Final = 5
BATCH_EVENTS: Final = 100
BATCHES: Final = 2_000
LEAST_RATIO: Final = 0.40
BLOCK_BYTES: Final = 1024 * 1024
POLL_SECONDS: Final = 0.005
ROWS: Final = "copy (select * from raw.llm_events) to stdout"
EMPTY: Final = "truncate raw.llm_events, raw.llm_event_contents, raw.dead_letters"


def run(rounds: int = ROUNDS) -> Iterator[Figure]:
    """Loader and COPY in turns, each into empty tables of a database of its own."""
    with (
        tempfile.TemporaryDirectory() as folder,
        run_platform(Path(folder) / "home", ["postgres", "redis"]) as services,
    ):
        ledger, copied = (make_database(services, name) for name in ("ledger", "copied"))
        bodies = make_bodies(BATCHES, BATCH_EVENTS)
        loader_rates, copy_rates = [], []
        for number in range(rounds):
            loader_rates.append(measure_loader(services, ledger, bodies, number))
            copy_rates.append(measure_copy(read_rows(ledger), copied))
    yield Figure("loader: events/s", f"{median(loader_rates):,.0f}")
    yield Figure("bare COPY of the same rows: rows/s", f"{median(copy_rates):,.0f}")
    found = ratio(loader_rates, copy_rates)
    yield at_least("loader: share of the bare COPY's rate", found, LEAST_RATIO, ".2f")


def make_database(services: RunningPlatform, name: str) -> str:
    """The URL of a new database with all tables."""
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
    url = urlsplit(services.database_url)._replace(path=f"/{name}").geturl()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("create extension if not exists timescaledb")
    migrate(url)
    return url


def measure_loader(
    services: RunningPlatform, database_url: str, bodies: list[bytes], number: int
) -> float:
    """Events per second from the first read of a filled stream to the last acknowledgement.

    Raises:
        AssertionError: not every event is a row.
    """
    empty(database_url)
    asyncio.run(fill_stream(services.redis_url, bodies, number))
    environment = {**services.environment, "DATABASE_URL": database_url}
    with loader_process(environment) as loader:
        started = perf_counter()
        assert loader.stdin is not None  # noqa: S101 - it is a pipe
        print("go", file=loader.stdin, flush=True)
        wait_until_settled(services.redis_url)
        seconds = perf_counter() - started
    count = BATCHES * BATCH_EVENTS
    with psycopg.connect(database_url) as connection:
        found = connection.execute("select count(*) from raw.llm_events").fetchone()
    assert found == (count,), f"{found} of {count} events are rows"  # noqa: S101
    return count / seconds


@contextmanager
def loader_process(environment: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    """The loader, ready to start."""
    command = [sys.executable, "-m", "benchmarks.ingest.drain"]
    loader = subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert loader.stdout is not None  # noqa: S101 - it is a pipe
        assert loader.stdout.readline() == "ready\n", "the loader did not start"  # noqa: S101
        yield loader
    finally:
        loader.kill()
        loader.wait()


async def fill_stream(redis_url: str, bodies: list[bytes], number: int) -> None:
    """One entry per batch, into an empty Redis."""
    async with redis.asyncio.Redis.from_url(redis_url) as client:
        await client.flushdb()
        writer = EventStreamWriter(client=client, max_entries=len(bodies) + 1)
        source = Source(uuid4(), uuid4(), uuid4())
        for body in bodies:
            await writer.append(source, stamped(body, number), BATCH_EVENTS)


def wait_until_settled(redis_url: str) -> None:
    """Until nothing waits in the stream."""
    with redis.Redis.from_url(redis_url) as client:
        while read_stats_blocking(client).lag_event_count:
            sleep(POLL_SECONDS)


def empty(database_url: str) -> None:
    """Remove all rows and their chunks."""
    with psycopg.connect(database_url) as connection:
        connection.execute(EMPTY)


def read_rows(database_url: str) -> list[bytes]:
    """All rows as COPY's text, in blocks."""
    with (
        psycopg.connect(database_url) as connection,
        connection.cursor() as cursor,
        cursor.copy(ROWS) as copy,
    ):
        text = b"".join(bytes(row) for row in copy)
    return [text[at : at + BLOCK_BYTES] for at in range(0, len(text), BLOCK_BYTES)]


def measure_copy(blocks: list[bytes], database_url: str) -> float:
    """Rows per second of one COPY in one transaction, commit included."""
    empty(database_url)
    with psycopg.connect(database_url) as connection, connection.cursor() as cursor:
        started = perf_counter()
        with cursor.copy("copy raw.llm_events from stdin") as copy:
            for block in blocks:
                copy.write(block)
        connection.commit()
        return cursor.rowcount / (perf_counter() - started)
