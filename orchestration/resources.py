"""What assets and sensors are handed: the warehouse and the event stream."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache

import dagster as dg
import psycopg
from psycopg_pool import ConnectionPool

from ingest_api.stream import (
    BlockingClient,
    EventStreamReader,
    Retention,
    StreamStats,
    connect,
    read_stats_blocking,
)

# Three for the loaders of a tick, one for the checks and whatever else ticks meanwhile.
MAX_LOADER_CONNECTIONS = 4
IDLE_CONNECTION_SECONDS = 300.0
# How long a tick waits for a connection. The pool gives up its own attempts as soon: it would wait
# longer after each, and find a database late that is back.
CONNECT_SECONDS = 5.0
APPLICATION_NAME = "llmscope"


@cache
def _pool(database_url: str) -> ConnectionPool[psycopg.Connection]:
    """One pool a process: the code server lives long and its sensors tick every few seconds."""
    return ConnectionPool(
        database_url,
        min_size=0,
        max_size=MAX_LOADER_CONNECTIONS,
        max_idle=IDLE_CONNECTION_SECONDS,
        timeout=CONNECT_SECONDS,
        reconnect_timeout=CONNECT_SECONDS,
        open=True,
        check=ConnectionPool.check_connection,
        kwargs={"application_name": f"{APPLICATION_NAME} loader"},
    )


@cache
def _client(redis_url: str, cluster: bool) -> BlockingClient:
    """One client a process; it connects anew by itself, and threads may share it."""
    return connect(redis_url, cluster=cluster)


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
    """The Redis that holds accepted events.

    Attributes:
        drain_run_events: Events that wait in a shard above which a run of its own drains it.
        retention_seconds: How long settled entries stay for readers behind the loader.
        retention_bytes: Bytes of them that a shard keeps, at most.
    """

    redis_url: str
    shards: int = 1
    cluster: bool = False
    drain_run_events: int = 200_000
    retention_seconds: float = 0.0
    retention_bytes: int = 0

    @contextmanager
    def client(self) -> Iterator[BlockingClient]:
        """The client that this process shares; it stays open.

        Raises:
            redis.RedisClusterException: a cluster does not answer.
        """
        yield _client(self.redis_url, self.cluster)

    def reader(self, consumer: str, shard: int = 0) -> EventStreamReader:
        """A member of the loader's consumer group on one shard, named `consumer`.

        Raises:
            redis.RedisClusterException: a cluster does not answer.
        """
        retention = Retention(self.retention_seconds, self.retention_bytes)
        client = _client(self.redis_url, self.cluster)
        return EventStreamReader(client, consumer, shard, retention)

    def stats(self) -> StreamStats:
        """State of all shards together.

        Raises:
            ingest_api.stream.StreamError: Redis does not answer.
        """
        return read_stats_blocking(_client(self.redis_url, self.cluster), self.shards)
