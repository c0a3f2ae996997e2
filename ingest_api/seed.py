"""`python -m ingest_api.seed`: single-tenant mode's tenant, project and first keys, made once."""

import os
from pathlib import Path
from uuid import UUID

import psycopg

from ingest_api.database.keys import create_key, ensure_project
from ingest_api.notifying.secrets import ensure_key_file
from ingest_api.settings import read_settings

PROJECT = "main"
KEY_FILE = "api_key"


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
    """Tenant `default`, project `main` and, once, its key. The key is None where it exists.

    The key that encrypts secrets is made too, for platforms without LLMSCOPE_SECRET_KEY.
    """
    ensure_key_file(home)
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
