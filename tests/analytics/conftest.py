"""One ledger for all tests of this folder, built by dbt once."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from dbt_project.golden.ledger import build
from ingest_api.notifying.secrets import new_key
from ingest_api.settings import Settings
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices
from tests.analytics.ledger import NOW, Project, calls_of, fill, make_project
from tests.marts import new_database
from tests.running import RunningPlatform
from tests.serving import serving


@dataclass(frozen=True)
class Ledger:
    """Two projects of two tenants.

    Attributes:
        calls: Of project `a`.
    """

    database_url: str
    a: Project
    b: Project
    calls: list[dict[str, Any]]


@pytest.fixture(scope="session")
def ledger(services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    """Raw rows, prices and marts of both."""
    with new_database(services, "analytics") as url:
        with psycopg.connect(url) as connection:
            a, b = make_project(connection, 10, "alpaca"), make_project(connection, 20, "badger")
            fill(connection, a, 1)
            fill(connection, b, 2)
            refresh_prices(connection, bundled_catalog(), NOW + timedelta(hours=1))
        build(url, tmp_path_factory.mktemp("dbt"), NOW + timedelta(hours=2))
        with psycopg.connect(url) as connection:
            calls = calls_of(connection, a)
        yield Ledger(url, a, b, calls)


@pytest.fixture
def settings(ledger: Ledger, redis_url: str, tmp_path: Path) -> Settings:
    """Settings of an API on the ledger and an empty Redis."""
    return Settings(
        database_url=ledger.database_url,
        redis_url=redis_url,
        home=tmp_path,
        secret_key=new_key(),
    )


@pytest.fixture
async def client(settings: Settings, ledger: Ledger) -> AsyncIterator[httpx.AsyncClient]:
    """A client with the key of project `a`."""
    async with serving(settings) as opened:
        opened.headers["Authorization"] = f"Bearer {ledger.a.key}"
        yield opened
