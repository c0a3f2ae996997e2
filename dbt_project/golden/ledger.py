"""Fills the ledger and builds the marts, for tests."""

import os
import subprocess
import sys
import uuid
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from orchestration.transforming import run_dbt
from orchestration.transforming.dbt_args import build_args, dbt_environment

TENANT_ID = uuid.UUID(int=1)
PROJECT_ID = uuid.UUID(int=2)
NOON = datetime(2026, 11, 2, 12, tzinfo=UTC)


class DbtError(AssertionError):
    """dbt failed; the message is its output."""


def create_project(connection: psycopg.Connection[Any], project_id: uuid.UUID = PROJECT_ID) -> None:
    """A project (and the one tenant) that events can belong to."""
    connection.execute(
        "insert into app.tenants (tenant_id, name) values (%s, 'golden') on conflict do nothing",
        [TENANT_ID],
    )
    connection.execute(
        "insert into app.projects (project_id, tenant_id, name) values (%s, %s, %s)",
        [project_id, TENANT_ID, f"project {project_id.int}"],
    )


def event(**fields: Any) -> dict[str, Any]:
    """A raw row: `fields` over the smallest valid event."""
    started_at = fields.get("started_at", NOON)
    smallest = {
        "event_id": uuid.uuid4(),
        "tenant_id": TENANT_ID,
        "project_id": PROJECT_ID,
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "operation_name": "chat",
        "started_at": started_at,
        "usage_source": "provider",
        "usage_semantics": "inclusive",
        "received_at": started_at,
        "loaded_at": started_at + timedelta(seconds=1),
    }
    return smallest | fields


def insert_events(connection: psycopg.Connection[Any], events: Iterable[Mapping[str, Any]]) -> None:
    """Insert raw rows as the loader does: a key that is there already changes nothing."""
    for row in events:
        statement = sql.SQL(
            "insert into raw.llm_events ({}) values ({}) on conflict do nothing"
        ).format(
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        values = [Jsonb(value) if isinstance(value, dict) else value for value in row.values()]
        connection.execute(statement, values)


def build(database_url: str, target: Path, loaded_before: datetime, *args: str) -> None:
    """`dbt build` of everything over rows loaded before `loaded_before`."""
    dbt(database_url, target, *build_args(loaded_before), *args)


def dbt(database_url: str, target: Path, *args: str) -> None:
    """Run dbt against `database_url`.

    Raises:
        DbtError: a model or a test failed.
    """
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "DBT_TARGET_PATH": str(target),
        "DBT_LOG_PATH": str(target),
    }
    done = subprocess.run(
        [sys.executable, run_dbt.__file__, *args],
        env=dbt_environment(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise DbtError(done.stdout[-8000:] + done.stderr[-2000:])
