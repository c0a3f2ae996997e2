"""Analysts on a Postgres whose user may not create roles, as managed ones often are."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest

from ingest_api.database.analysts import AnalystError, admit_role, create_analyst, list_analysts
from ingest_api.database.keys import ensure_project
from ingest_api.database.migrate import migrate
from tests.running import RunningPlatform

OWNER, ANALYST = "plain_owner", "made_by_admin"


@pytest.fixture
def admin(services: RunningPlatform) -> Iterator[psycopg.Connection]:
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def plain_url(services: RunningPlatform, admin: psycopg.Connection) -> Iterator[str]:
    """An empty database of an owner without any privilege on the server."""
    admin.execute(f"create role {OWNER} login password 'plain'")
    admin.execute(f"create database {OWNER} owner {OWNER}")
    parts = urlsplit(services.database_url)._replace(path=f"/{OWNER}")
    with psycopg.connect(parts.geturl(), autocommit=True) as connection:
        connection.execute("create extension if not exists timescaledb")
    host = parts.netloc.rpartition("@")[2]
    yield parts._replace(netloc=f"{OWNER}:plain@{host}").geturl()
    admin.execute(f"drop database {OWNER} with (force)")
    admin.execute(f"drop role {OWNER}")


@contextmanager
def without_group(admin: psycopg.Connection) -> Iterator[None]:
    """As on a server that has never seen the group: other tests may have made it."""
    found = admin.execute("select to_regrole('llmscope_bi') is not null").fetchone() == (True,)
    if found:
        admin.execute("alter role llmscope_bi rename to llmscope_bi_aside")
    try:
        yield
    finally:
        admin.execute("drop role if exists llmscope_bi")
        if found:
            admin.execute("alter role llmscope_bi_aside rename to llmscope_bi")


def test_without_the_right_to_create_roles_the_platform_runs_and_says_what_is_missing(
    plain_url: str, admin: psycopg.Connection
) -> None:
    with without_group(admin):
        migrate(plain_url)
        with psycopg.connect(plain_url, autocommit=True) as connection:
            ensure_project(connection, "main")
            shared = "select app.share_with_bi('pricing.model_prices', true)"
            assert connection.execute(shared).fetchone() == (False,)
            assert connection.execute("select app.sees_all_tenants()").fetchone() == (True,)
            with pytest.raises(AnalystError, match="let an administrator run"):
                create_analyst(connection, ANALYST, "default")
            with pytest.raises(AnalystError, match="let an administrator run"):
                admit_role(connection, ANALYST, "default")
            assert list_analysts(connection) == []


def test_a_role_that_an_administrator_made_is_let_in(
    plain_url: str, admin: psycopg.Connection
) -> None:
    with without_group(admin):
        migrate(plain_url)
        admin.execute("create role llmscope_bi nologin")
        admin.execute(f"create role {ANALYST} login password 'plain'")
        try:
            with psycopg.connect(plain_url, autocommit=True) as connection:
                ensure_project(connection, "main")
                with pytest.raises(AnalystError, match="let an administrator run"):
                    admit_role(connection, ANALYST, "default")
                admin.execute(f"grant llmscope_bi to {ANALYST}")
                admit_role(connection, ANALYST, "default")
                assert [one.name for one in list_analysts(connection)] == [ANALYST]
            with psycopg.connect(plain_url.replace(f"{OWNER}:", f"{ANALYST}:")) as connection:
                assert connection.execute("select count(*) from pricing.model_prices").fetchone()
                connection.rollback()
        finally:
            with psycopg.connect(plain_url, autocommit=True) as connection:
                connection.execute("drop owned by current_user cascade")
            admin.execute(f"drop role {ANALYST}")
