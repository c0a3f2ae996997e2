"""A PostgreSQL of the user's own, named by DATABASE_URL."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from deploy.local.environment import without_driver
from deploy.local.errors import SetupError

CONNECT_SECONDS = 5


def prepare_databases(environment: Mapping[str, str]) -> None:
    """Make sure of TimescaleDB in DATABASE_URL and of the database in DAGSTER_DATABASE_URL.

    Raises:
        SetupError: the server cannot be reached, lacks TimescaleDB, or refuses the new database.
    """
    database_url = environment["DATABASE_URL"]
    dagster_url = without_driver(environment["DAGSTER_DATABASE_URL"])
    with _connect(database_url) as connection:
        _create_extension(connection)
        if not _exists(dagster_url):
            _create_database(connection, urlsplit(dagster_url).path.removeprefix("/"))


def _connect(url: str) -> psycopg.Connection:
    try:
        return psycopg.connect(url, connect_timeout=CONNECT_SECONDS, autocommit=True)
    except psycopg.OperationalError as error:
        reason = str(error).splitlines()[0]
        raise SetupError(f"DATABASE_URL cannot be reached ({reason}): correct it.") from error


def _create_extension(connection: psycopg.Connection) -> None:
    try:
        connection.execute("create extension if not exists timescaledb")
    except psycopg.Error as error:
        raise SetupError(
            "The PostgreSQL at DATABASE_URL has no TimescaleDB: install the extension, or leave "
            "DATABASE_URL out to use the one that LLMScope brings."
        ) from error


def _exists(url: str) -> bool:
    try:
        psycopg.connect(url, connect_timeout=CONNECT_SECONDS).close()
    except psycopg.OperationalError:
        return False
    return True


def _create_database(connection: psycopg.Connection, name: str) -> None:
    try:
        connection.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
    except psycopg.Error as error:
        raise SetupError(
            f"The database {name!r} of DAGSTER_DATABASE_URL is missing and could not be made: "
            "create it, or name another one."
        ) from error
