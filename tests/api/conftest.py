"""One real API process for all tests of this folder."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.api.door import Door
from tests.marts import build_empty_marts
from tests.running import run_platform

YESTERDAY = datetime.now(UTC) - timedelta(days=1)


@pytest.fixture(scope="session")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """An API with PostgreSQL, marts and Redis of its own, without a loader."""
    home = tmp_path_factory.mktemp("door")
    with run_platform(home, only=["postgres", "redis", "api"]) as platform:
        build_empty_marts(platform.database_url, home / "dbt")
        yield Door(platform.api_url, platform.api_key, platform.database_url, platform.redis_url)


@pytest.fixture(scope="session")
def keys(door: Door) -> dict[str, str]:
    """Keys that may not do everything, by what is the matter with them."""
    made = {
        "expired": door.make_key("ingest", "read", expires_at=YESTERDAY),
        "revoked": door.make_key("ingest", "read", revoked_at=YESTERDAY),
        "ingest only": door.make_key("ingest"),
        "read only": door.make_key("read"),
        "nothing": door.make_key("admin"),
    }
    # The ring is read as a whole, so that the last key is there with all of them.
    door.wait_for_key(made["nothing"])
    return made


@pytest.fixture(scope="session")
def http(door: Door) -> Iterator[httpx.Client]:
    """A client that may do everything in project `main`."""
    with door.client() as client:
        yield client
