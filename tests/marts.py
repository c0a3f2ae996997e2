"""Databases with built marts, for tests."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg

from dbt_project.golden.ledger import dbt
from ingest_api.analytics.sources import TABLES
from ingest_api.database.migrate import migrate
from tests.running import RunningPlatform


def build_empty_marts(database_url: str, target: Path) -> None:
    """The marts that the API reads, of a ledger without an event."""
    dbt(database_url, target, "run", "--select", *(f"+{table}" for table in TABLES))


@contextmanager
def new_database(services: RunningPlatform, name: str) -> Iterator[str]:
    """A database with all migrations, until the context ends."""
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        url = urlsplit(services.database_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as fresh:
            fresh.execute("create extension if not exists timescaledb")
        migrate(url)
        yield url
        connection.execute(f"drop database {name} with (force)")
