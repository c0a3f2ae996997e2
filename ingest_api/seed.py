"""`python -m ingest_api.seed`: single-tenant mode's tenant, project and first key, made once."""

import os
from pathlib import Path
from uuid import UUID

import psycopg

from ingest_api.auth import hash_key, new_key
from ingest_api.settings import read_settings

TENANT, PROJECT = "default", "main"
KEY_FILE = "api_key"
SCOPES = ["ingest", "read", "admin"]
PREFIX_CHARACTERS = 12


def ensure_project(connection: psycopg.Connection, name: str, *, is_demo: bool = False) -> UUID:
    """Id of the project `name` of the single tenant, made where it is missing."""
    connection.execute(
        "insert into app.tenants (name) values (%s) on conflict do nothing", [TENANT]
    )
    connection.execute(
        """insert into app.projects (tenant_id, name, is_demo)
           select tenant_id, %s, %s from app.tenants where name = %s on conflict do nothing""",
        [name, is_demo, TENANT],
    )
    row = connection.execute(
        """select project_id from app.projects join app.tenants as t using (tenant_id)
           where t.name = %s and projects.name = %s""",
        [TENANT, name],
    ).fetchone()
    if row is None:
        raise RuntimeError(f"project {name} was not created")
    project_id: UUID = row[0]
    return project_id


def create_key(connection: psycopg.Connection, project_id: UUID, name: str) -> str:
    """Make a key with every scope; the only moment at which it can be read."""
    key = new_key()
    connection.execute(
        """insert into app.api_keys (project_id, name, key_prefix, key_hash, scopes)
           values (%s, %s, %s, %s, %s)""",
        [project_id, name, key[:PREFIX_CHARACTERS], hash_key(key), SCOPES],
    )
    return key


def has_key(connection: psycopg.Connection, project_id: UUID) -> bool:
    """Whether the project ever had a key; a revoked one is not replaced behind the owner's back."""
    row = connection.execute(
        "select exists (select from app.api_keys where project_id = %s)", [project_id]
    ).fetchone()
    return bool(row and row[0])


def write_key_file(path: Path, key: str) -> None:
    """Keep the key where only its owner can read it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(key + "\n")


def seed(database_url: str, home: Path) -> str | None:
    """Tenant `default`, project `main` and, once, its key. The key is None where it exists."""
    with psycopg.connect(database_url) as connection:
        project_id = ensure_project(connection, PROJECT)
        if has_key(connection, project_id):
            return None
        key = create_key(connection, project_id, "first start")
        write_key_file(home / KEY_FILE, key)
        return key


if __name__ == "__main__":
    settings = read_settings()
    first_key = seed(settings.database_url, settings.home)
    if first_key:
        print(f"API key of project {PROJECT} (shown once, kept in {settings.home / KEY_FILE}):")
        print(f"  {first_key}")
