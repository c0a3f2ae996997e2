"""What assets and sensors are handed: the warehouse and the event stream."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import dagster as dg
import psycopg
import redis
from psycopg_pool import ConnectionPool

from ingest_api.stream import EventStreamReader

# A drain and a tick that outlived its time limit may load side by side.
MAX_LOADER_CONNECTIONS = 4
IDLE_CONNECTION_SECONDS = 300.0
APPLICATION_NAME = "llmscope"


@cache
def _pool(database_url: str) -> ConnectionPool[psycopg.Connection]:
    """One pool a process: the code server lives long and its sensors tick every few seconds."""
    return ConnectionPool(
        database_url,
        min_size=0,
        max_size=MAX_LOADER_CONNECTIONS,
        max_idle=IDLE_CONNECTION_SECONDS,
        timeout=5,
        open=True,
        check=ConnectionPool.check_connection,
        kwargs={"application_name": f"{APPLICATION_NAME} loader"},
    )


class Warehouse(dg.ConfigurableResource[None]):
    """The Postgres with the ledger."""

    database_url: str

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        """A connection of its own, committed at the end."""
        with psycopg.connect(self.database_url, application_name=APPLICATION_NAME) as connection:
            yield connection

    def borrow(self) -> AbstractContextManager[psycopg.Connection]:
        """A pooled connection for short transactions of a process that lives long."""
        return _pool(self.database_url).connection()


class EventStream(dg.ConfigurableResource[None]):
    """The Redis that holds accepted events."""

    redis_url: str

    @contextmanager
    def reader(self, consumer: str) -> Iterator[EventStreamReader]:
        """A member of the loader's consumer group, named `consumer`."""
        with redis.Redis.from_url(self.redis_url, socket_timeout=30) as client:
            yield EventStreamReader(client, consumer)
