"""Builds a history, slice by slice: raw rows by SQL, prices, then dbt as the platform runs it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psycopg

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
# A build of a million calls sorts and groups within a few hundred megabytes.
SLICE_CALLS: Final = 1_000_000
BUILD_SECONDS: Final = 3_600
CREATE_SLICES: Final = """
create schema if not exists benchmark;
create table if not exists benchmark.history_slices (
    first_call bigint primary key, last_call bigint not null, is_built boolean not null
)
"""


@contextmanager
def open_history(home: Path = HOME) -> Iterator[RunningPlatform]:
    """PostgreSQL and Redis with the history that was built in `home`; empty at first."""
    with run_platform(home, only=["postgres", "redis"]) as services:
        with psycopg.connect(services.database_url, autocommit=True) as connection:
            connection.execute("create extension if not exists timescaledb")
        migrate(services.database_url)
        with psycopg.connect(services.database_url) as connection:
            connection.execute(CREATE_SLICES)
            create_projects(connection)
        yield services


def extend(services: RunningPlatform, call_count: int) -> Iterator[int]:
    """Make the history `call_count` calls long; gives the calls there are after each slice.

    A history that was interrupted goes on where it was.
    """
    while (built := built_calls(services)) < call_count:
        last = min(built + SLICE_CALLS, call_count)
        _insert_slice(services, built, last)
        build(services)
        services.query(
            "update benchmark.history_slices set is_built = true where first_call = %s returning 1",
            built,
        )
        yield last


def built_calls(services: RunningPlatform) -> int:
    """Calls of the history in the marts."""
    rows = services.query(
        "select coalesce(max(last_call), 0)::bigint from benchmark.history_slices where is_built"
    )
    return int(rows[0][0])


def _insert_slice(services: RunningPlatform, first: int, last: int) -> None:
    with psycopg.connect(services.database_url) as connection:
        inserted = connection.execute(
            "insert into benchmark.history_slices values (%s, %s, false) on conflict do nothing",
            [first, last],
        )
        if inserted.rowcount:
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
