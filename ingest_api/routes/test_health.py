"""Readiness names the part that is at fault."""

import httpx
import pytest
import redis

from ingest_api.settings import Settings, SettingsError
from ingest_api.test_ingest import EVENT, INGEST
from tests.serving import serving


async def states(client: httpx.AsyncClient) -> tuple[int, dict[str, str]]:
    answer = await client.get("/readyz")
    return answer.status_code, {c["name"]: c["state"] for c in answer.json()["checks"]}


async def test_all_is_well_but_for_the_loader_that_never_ran(client: httpx.AsyncClient) -> None:
    status, found = await states(client)
    assert status == 200
    assert found.pop("loader") == "warning"
    assert set(found) == {
        "redis", "redis_durable", "stream_entries", "redis_memory", "keys", "postgres",
    }  # fmt: skip
    assert set(found.values()) == {"ok"}


async def test_redis_away_is_named(settings: Settings) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with serving(away) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert (await states(client))[1]["redis"] == "failed"
        assert (await client.get("/healthz")).json() == {"status": "ok"}


@pytest.mark.parametrize(
    ("cap", "name"),
    [("max_stream_entries", "stream_entries"), ("max_redis_memory_bytes", "redis_memory")],
)
async def test_a_reached_cap_is_named(settings: Settings, key: str, cap: str, name: str) -> None:
    async with serving(settings.model_copy(update={cap: 1})) as client:
        await client.post(INGEST, json=EVENT, headers={"X-API-Key": key})
        status, found = await states(client)
        assert status == 503
        assert [check for check, state in found.items() if state == "failed"] == [name]


async def test_a_lax_redis_is_a_warning_or_refused_where_durability_is_required(
    settings: Settings,
) -> None:
    lax = redis.Redis.from_url(settings.redis_url)
    lax.config_set("appendfsync", "everysec")
    try:
        async with serving(settings) as client:
            assert (await states(client))[1]["redis_durable"] == "warning"
        required = settings.model_copy(update={"durability": "require"})
        with pytest.raises(SettingsError, match="appendfsync"):
            async with serving(required):
                pass
    finally:
        lax.config_set("appendfsync", "always")
