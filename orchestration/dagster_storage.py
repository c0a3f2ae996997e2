"""Dagster's own storage with connections that are kept.

dagster-postgres opens a connection per statement everywhere but in its web server: on an idle
platform that was 15 of 23 % of a core, and a fifth of the time of every run.
"""

from functools import cache
from typing import Any, Final, cast

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_engine, pg_url_from_config
from sqlalchemy import Engine

# As many as the daemon's threads use at once; a process opens more when it must.
KEPT_CONNECTIONS: Final = 6
MORE_CONNECTIONS: Final = 10


@cache
def _engine(postgres_url: str) -> Engine:
    """One pool a process: the code server makes a new storage for every tick.

    The first one looks whether Dagster's tables exist, and makes them.
    """
    DagsterPostgresStorage(postgres_url)
    return create_pg_engine(
        postgres_url,
        None,
        isolation_level="AUTOCOMMIT",
        pool_size=KEPT_CONNECTIONS,
        max_overflow=MORE_CONNECTIONS,
        pool_use_lifo=True,
        pool_pre_ping=True,
    )


class PooledPostgresStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` over one pool a process, which survives a restart of Postgres."""

    @classmethod
    def from_config_value(  # type: ignore[override]  # the parent narrows its own parent as well
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> "PooledPostgresStorage":
        """What Dagster calls with the block `storage` of dagster.yaml."""
        postgres_url = pg_url_from_config(config_value)
        engine = _engine(postgres_url)
        storage = cls(postgres_url, should_autocreate_tables=False, inst_data=inst_data)
        for part in (storage.run_storage, storage.event_log_storage, storage.schedule_storage):
            # There is no other way in.
            cast("Any", part)._engine = engine
        return storage
