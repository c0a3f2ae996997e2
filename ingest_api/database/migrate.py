"""`python -m ingest_api.database.migrate`: bring the schemas to the newest revision."""

import os
import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"


def sqlalchemy_url(database_url: str) -> str:
    """A libpq URL in the form that names psycopg 3 to SQLAlchemy."""
    scheme, _, rest = database_url.partition("://")
    if scheme not in {"postgresql", "postgres"}:
        raise ValueError("DATABASE_URL must begin with postgresql://")
    return f"postgresql+psycopg://{rest}"


def migrate(database_url: str, revision: str = "head") -> None:
    """Upgrade to `revision`. Safe to run at every start, and by several processes at once."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = sqlalchemy_url(database_url)
    command.upgrade(config, revision)


if __name__ == "__main__":
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit("DATABASE_URL is not set: give it as postgresql://user:password@host:port/name")
    migrate(url)
