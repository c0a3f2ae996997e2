"""Builds a history: a block by SQL, prices and dbt as the platform runs it, then blocks like it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import psycopg

from benchmarks.history.repeating import repeat_block
from benchmarks.history.rows import create_projects, insert_calls
from deploy.local.environment import ROOT
from ingest_api.database.migrate import migrate
from orchestration.load_order import read_loaded_before
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from orchestration.transforming import run_dbt
from orchestration.transforming.dbt_args import build_args
from tests.running import RunningPlatform, run_platform

HOME: Final = ROOT / ".llmscope" / "history"
# Five days. A build of a million calls sorts and groups within a few hundred megabytes.
BLOCK_CALLS: Final = 1_000_000
BUILD_SECONDS: Final = 3_600
# The history ends with a whole hour, so that the hours of a block of whole days are its own, and
# some days ago: each length of `make bench-marts` puts its new calls on a day of their own.
FREE_DAYS: Final = 4
CREATE_BLOCKS: Final = f"""
create schema if not exists benchmark;
create table if not exists benchmark.history_ends as
    select date_trunc('hour', now()) - interval '{FREE_DAYS} days' as ended_at;
create table if not exists benchmark.history_blocks (
    first_call bigint primary key, last_call bigint not null
)
"""


@contextmanager
def open_history(home: Path, call_count: int) -> Iterator[RunningPlatform]:
    """PostgreSQL and Redis with the history of that length in `home`; empty at first."""
    with run_platform(home / str(call_count), only=["postgres", "redis"]) as services:
        with psycopg.connect(services.database_url, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
        migrate(services.database_url)
        with psycopg.connect(services.database_url) as connection:
            connection.execute(CREATE_BLOCKS)
            create_projects(connection)
        yield services


def extend(services: RunningPlatform, call_count: int) -> Iterator[int]:
    """Make the history `call_count` calls long; gives the calls there are after each step.

    A history that was interrupted goes on where it was.
    """
    if first := inserted_calls(services):
        build(services)
    while first < call_count:
        last = min(first + BLOCK_CALLS, call_count)
        is_copied = first > 0 and first % BLOCK_CALLS == 0 and last - first == BLOCK_CALLS
        _insert(services, first, last, is_copied=is_copied)
        # Days and months are made of the hours of all copied blocks at once.
        if not is_copied or last == call_count:
            build(services)
        yield last
        first = last


def inserted_calls(services: RunningPlatform) -> int:
    """Calls of the history."""
    query = "select coalesce(max(last_call), 0)::bigint from benchmark.history_blocks"
    return int(services.query(query)[0][0])


def first_free_day(services: RunningPlatform) -> datetime:
    """The UTC day after the newest call.

    Raises:
        LookupError: it is not over yet.
    """
    query = (
        "select date_trunc('day', max(started_at), 'UTC') + interval '1 day' from raw.llm_events"
    )
    day: datetime = services.query(query)[0][0].astimezone(UTC)
    if day + timedelta(days=1) > datetime.now(UTC):
        raise LookupError(f"no day is free in {services.home}: wait, or delete it to build it anew")
    return day


def _insert(services: RunningPlatform, first: int, last: int, *, is_copied: bool) -> None:
    """A block as long as the first one is copied of it with its roll-ups, others come raw."""
    with psycopg.connect(services.database_url) as connection:
        connection.execute("insert into benchmark.history_blocks values (%s, %s)", [first, last])
        if is_copied:
            repeat_block(connection, first // BLOCK_CALLS, BLOCK_CALLS)
        else:
            insert_calls(connection, first, last)


def build(services: RunningPlatform, *, is_tested: bool = False) -> None:
    """Prices and `dbt build` over what is new, as in `build_marts_job`; without tests unless asked.

    Raises:
        AssertionError: a model or a test failed.
    """
    with psycopg.connect(services.database_url) as connection:
        loaded_before = read_loaded_before(connection)
        refresh_prices(connection, bundled_catalog(), loaded_before)
    skipped = [] if is_tested else ["--exclude-resource-type", "test"]
    dbt = [sys.executable, str(run_dbt.__file__), *build_args(loaded_before), *skipped]
    services.run_command(*dbt, timeout=BUILD_SECONDS)
