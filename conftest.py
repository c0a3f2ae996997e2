"""Fixtures for all tests: real PostgreSQL, real Redis, and the real platform."""

import itertools
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest
import redis

from ingest_api.database.migrate import migrate
from tests.running import RunningPlatform, run_platform
from tests.traffic import corpus
from tests.webhook import WebhookServer

_numbers = itertools.count(1)
# A shell ignores Ctrl-C for what it runs in the background; all children would, and Dagster would
# ignore SIGTERM as well.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPlatform]:
    """PostgreSQL and Redis alone."""
    with run_platform(tmp_path_factory.mktemp("services"), only=["postgres", "redis"]) as running:
        yield running


@pytest.fixture
def database_url(services: RunningPlatform) -> Iterator[str]:
    """A database with all migrations and no rows."""
    name = f"test_{next(_numbers)}"
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        url = urlsplit(services.database_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as fresh:
            fresh.execute("create extension if not exists timescaledb")
        migrate(url)
        yield url
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture
def redis_url(services: RunningPlatform) -> str:
    """An empty Redis."""
    with redis.Redis.from_url(services.redis_url) as client:
        client.flushdb()
    return services.redis_url


@pytest.fixture(scope="session")
def operators() -> Iterator[WebhookServer]:
    """The webhook that the whole platform tells of failures."""
    server = WebhookServer()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def platform(
    tmp_path_factory: pytest.TempPathFactory, operators: WebhookServer
) -> Iterator[RunningPlatform]:
    """The whole platform with a month of demo traffic, started once for all tests that need it."""
    settings = {
        "LLMSCOPE_ALERT_WEBHOOK_URL": operators.url,
        "LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",
    }
    with run_platform(tmp_path_factory.mktemp("platform"), extra=settings) as running:
        running.run_command(sys.executable, "-m", "deploy.demo", "send", "--no-live")
        yield running


@pytest.fixture(scope="session")
def corpus_path() -> Path:
    """Folder of the real data; the test is skipped where it is missing."""
    if not corpus().is_dir():
        pytest.skip(f"no real data at {corpus()}: set LLMSCOPE_CORPUS")
    return corpus()
