"""A stream, a database and a loader between them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from uuid import UUID, uuid4

import psycopg
import pytest
import redis

from ingest_api import stream
from ingest_api.stream import EventStreamReader
from orchestration.loading.loader import Loader, LoadReport
from tests.redis_cluster import run_redis_cluster

TENANT, PROJECT = UUID(int=1), UUID(int=2)


def make_event(**fields: object) -> dict[str, object]:
    return {
        "event_id": str(uuid4()),
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "started_at": "2026-11-22T10:00:00Z",
        "input_tokens": 100,
        **fields,
    }


class Bench:
    """A stream, a database and a loader between them."""

    def __init__(self, redis_url: str, database_url: str) -> None:
        self.client = redis.Redis.from_url(redis_url)
        self.reader = EventStreamReader(self.client, "test")
        self.database_url = database_url
        self.loader = Loader(self.reader, self.connect)

    @contextmanager
    def connect(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.database_url) as connection:
            yield connection

    def put(self, *events: object, shard: int = 0) -> None:
        self.put_fields(
            shard,
            tenant_id=str(TENANT),
            project_id=str(PROJECT),
            api_key_id="",
            received_at=datetime.now(UTC).isoformat(),
            event_count=len(events),
            events=json.dumps(events),
        )

    def put_fields(self, shard: int = 0, **fields: object) -> None:
        self.client.xadd(stream.stream_key(shard), fields)  # type: ignore[arg-type]

    def drain(self) -> LoadReport:
        return self.loader.drain(0.3)

    def query(self, statement: str) -> list[tuple[object, ...]]:
        with self.connect() as connection:
            return connection.execute(statement).fetchall()

    def execute(self, statement: str) -> None:
        with self.connect() as connection:
            connection.execute(statement)

    def row_count(self) -> int:
        count = self.query("select count(*) from raw.llm_events")[0][0]
        assert isinstance(count, int)
        return count


@pytest.fixture
def bench(redis_url: str, database_url: str) -> Bench:
    return Bench(redis_url, database_url)


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis Cluster."""
    with run_redis_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url
