"""Both kinds of Redis for the stream; the API in the test's own process on real servers."""

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import psycopg
import pytest
import redis

from ingest_api import seed
from ingest_api.app import Api
from ingest_api.settings import Settings
from ingest_api.stream import EventStreamReader
from orchestration.loading.loader import Loader
from tests.redis_cluster import run_redis_cluster
from tests.serving import serving


class RedisServer(NamedTuple):
    """Where a Redis listens, and whether it is a cluster."""

    url: str
    cluster: bool


@pytest.fixture(scope="session")
def cluster_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis Cluster."""
    with run_redis_cluster(tmp_path_factory.mktemp("cluster")) as url:
        yield url


@pytest.fixture(params=["server", "cluster"])
def redis_server(request: pytest.FixtureRequest) -> RedisServer:
    """An empty Redis: every test that asks for it runs on a single server and on a cluster."""
    if request.param == "server":
        return RedisServer(request.getfixturevalue("redis_url"), cluster=False)
    url = request.getfixturevalue("cluster_url")
    with redis.Redis.from_url(url) as client:
        client.flushall()
    return RedisServer(url, cluster=True)


@pytest.fixture
def settings(redis_url: str, database_url: str, tmp_path: Path) -> Settings:
    """Settings of an API on an empty Redis and an empty database."""
    return Settings(database_url=database_url, redis_url=redis_url, home=tmp_path)


@pytest.fixture
def key(settings: Settings) -> str:
    """The key of project `main`, with every scope."""
    made = seed.seed(settings.database_url, settings.home)
    assert made is not None
    return made


@pytest.fixture
async def client(settings: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of project `main`."""
    async with serving(settings) as opened:
        opened.headers["Authorization"] = f"Bearer {key}"
        yield opened


@pytest.fixture
def app(client: httpx.AsyncClient) -> Api:
    """The application behind `client`."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    assert isinstance(transport.app, Api)
    return transport.app


@pytest.fixture
def load_all(settings: Settings) -> Callable[[], None]:
    """Loads what waits in the stream."""

    def load() -> None:
        with redis.Redis.from_url(settings.redis_url) as client:
            reader = EventStreamReader(client, "test")
            Loader(reader, lambda: psycopg.connect(settings.database_url)).drain(0.3)

    return load
