"""The demo's project and key in the database, apart from everything real."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final
from uuid import UUID

import psycopg

from deploy.demo.errors import DemoError
from ingest_api.auth import hash_key
from ingest_api.database.keys import TENANT, create_key, ensure_project
from ingest_api.seed import write_key_file

PROJECT: Final = "demo"
KEY_FILE: Final = "demo_api_key"
KEY_NAME: Final = "demo traffic"

FIND: Final = """
select project_id, is_demo, (projects.created_at at time zone 'UTC')::date
from app.projects join app.tenants as t using (tenant_id)
where t.name = %s and projects.name = %s
"""
IS_VALID_KEY: Final = """
select exists (
    select from app.api_keys
    where project_id = %s and key_hash = %s and revoked_at is null
      and (expires_at is null or expires_at > now())
)
"""


@dataclass(frozen=True)
class DemoProject:
    """The demo's project. Its first day anchors the traffic."""

    project_id: UUID
    created_date: date


def find_project(connection: psycopg.Connection) -> DemoProject | None:
    """The demo's project, None where there is none.

    Raises:
        DemoError: the project of that name holds real data.
    """
    row = connection.execute(FIND, [TENANT, PROJECT]).fetchone()
    if row is None:
        return None
    project_id, is_demo, created_date = row
    if not is_demo:
        raise DemoError(
            f"The project `{PROJECT}` was not made by the demo and is left alone: "
            "rename it in app.projects to run the demo beside it."
        )
    return DemoProject(project_id, created_date)


def open_project(connection: psycopg.Connection) -> DemoProject:
    """The demo's project, made where it is missing; errors as in `find_project`."""
    project = find_project(connection)
    if project is None:
        ensure_project(connection, PROJECT, is_demo=True)
        project = find_project(connection)
    assert project is not None  # noqa: S101 - ensured on the line before
    return project


def stored_key(connection: psycopg.Connection, project: DemoProject, home: Path) -> str | None:
    """The key that an earlier run left in `home`, None where it is not valid any more."""
    path = home / KEY_FILE
    key = path.read_text().strip() if path.exists() else ""
    row = connection.execute(IS_VALID_KEY, [project.project_id, hash_key(key)]).fetchone()
    return key if row and row[0] else None


def make_key(connection: psycopg.Connection, project: DemoProject, home: Path) -> str:
    """A new key, kept in `home` where only its owner can read it."""
    key = create_key(connection, project.project_id, KEY_NAME)
    write_key_file(home / KEY_FILE, key)
    return key
