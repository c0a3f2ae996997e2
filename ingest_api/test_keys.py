"""What keys may do, when they stop, and that they outlive Postgres, as a client sees it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from ingest_api import seed
from ingest_api.app import Api
from ingest_api.auth import (
    KEY_PREFIX,
    READ_TIMEOUT_SECONDS,
    REFRESH_SECONDS,
    Scope,
    presented_key,
)
from ingest_api.database.keys import create_key, ensure_project
from ingest_api.settings import Settings
from ingest_api.test_ingest import EVENT, INGEST
from tests.running import RunningPlatform
from tests.serving import serving

RECENT = "/api/v1/events/recent"
# Ten is promised; a machine may stand still for a while.
WAIT_SECONDS = 20


def make_key(settings: Settings, *scopes: Scope) -> str:
    """A further key of project `main`."""
    with psycopg.connect(settings.database_url) as connection:
        project_id = ensure_project(connection, seed.PROJECT)
        return create_key(connection, project_id, "further", scopes=scopes)


def change_keys(settings: Settings, change: str) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(f"update app.api_keys set {change}")


async def wait_for_status(client: httpx.AsyncClient, status: int) -> None:
    """Send events until the answer is `status`."""
    deadline = monotonic() + WAIT_SECONDS
    while (answer := await client.post(INGEST, json=EVENT)).status_code != status:
        assert monotonic() < deadline, answer.text
        await asyncio.sleep(0.1)


@contextmanager
def postgres_away(settings: Settings, services: RunningPlatform) -> Iterator[None]:
    """The test's database takes no connections and has lost those it had."""
    name = urlsplit(settings.database_url).path.lstrip("/")
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"alter database {name} allow_connections false")
        connection.execute(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname = %s", [name]
        )
        try:
            yield
        finally:
            connection.execute(f"alter database {name} allow_connections true")


@pytest.mark.parametrize(
    ("headers", "key"),
    [
        ({b"authorization": b"Bearer llms_a"}, "llms_a"),
        ({b"authorization": b"bearer  llms_a "}, "llms_a"),
        ({b"x-api-key": b"llms_b"}, "llms_b"),
        ({b"authorization": b"Basic YTpi", b"x-api-key": b"llms_b"}, "llms_b"),
        ({b"authorization": b"Bearer llms_a", b"x-api-key": b"llms_b"}, "llms_a"),
        ({b"authorization": b"Bearer "}, None),
        ({}, None),
    ],
)
def test_a_key_is_found_in_either_header(headers: dict[bytes, bytes], key: str | None) -> None:
    assert presented_key(headers) == key


async def test_a_key_does_only_what_its_scopes_allow(
    client: httpx.AsyncClient, app: Api, settings: Settings
) -> None:
    headers = {"X-API-Key": make_key(settings, "read"), "Authorization": ""}
    await app.state.services.keys.refresh()
    refused = await client.post(INGEST, json=EVENT, headers=headers)
    assert (refused.status_code, refused.json()["type"][-9:]) == (403, "forbidden")
    assert (await client.get(RECENT, headers=headers)).status_code == 200


async def test_an_expired_key_is_refused(
    client: httpx.AsyncClient, app: Api, settings: Settings
) -> None:
    change_keys(settings, "expires_at = now() - interval '1 s'")
    await app.state.services.keys.refresh()
    answer = await client.get(RECENT)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_new_key_works_at_once_and_a_revoked_one_stops_within_10_seconds(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    client.headers["Authorization"] = f"Bearer {make_key(settings, 'ingest')}"
    await wait_for_status(client, 202)
    change_keys(settings, "revoked_at = now() where name = 'further'")
    await wait_for_status(client, 401)
    assert REFRESH_SECONDS + READ_TIMEOUT_SECONDS < 10


async def test_ingestion_goes_on_while_postgres_is_away(
    client: httpx.AsyncClient, app: Api, settings: Settings, services: RunningPlatform
) -> None:
    with postgres_away(settings, services):
        await app.state.services.keys.refresh()
        assert (await client.post(INGEST, json=EVENT)).status_code == 202
        assert (await client.get(RECENT)).status_code == 503
        ready = await client.get("/readyz")
    states = {check["name"]: check["state"] for check in ready.json()["checks"]}
    assert (ready.status_code, states["postgres"], states["keys"]) == (200, "warning", "ok")


async def test_an_api_that_starts_while_postgres_is_away_knows_the_keys_from_redis(
    settings: Settings, key: str, services: RunningPlatform
) -> None:
    async with serving(settings):
        pass
    with postgres_away(settings, services):
        async with serving(settings) as client:
            client.headers["X-API-Key"] = key
            assert (await client.post(INGEST, json=EVENT)).status_code == 202


async def test_an_api_that_knows_no_keys_says_so(settings: Settings) -> None:
    away = settings.model_copy(
        update={"database_url": "postgresql://127.0.0.1:1/none", "redis_url": "redis://127.0.0.1:1"}
    )
    async with serving(away) as client:
        answer = await client.post(INGEST, json=EVENT, headers={"X-API-Key": "llms_any"})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        checks = (await client.get("/readyz")).json()["checks"]
        assert {c["name"]: c["state"] for c in checks}["keys"] == "failed"


def test_the_first_key_is_shown_once_and_kept_private(settings: Settings, key: str) -> None:
    path = settings.home / seed.KEY_FILE
    assert path.read_text().strip() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.startswith(KEY_PREFIX)
    assert seed.seed(settings.database_url, settings.home) is None
