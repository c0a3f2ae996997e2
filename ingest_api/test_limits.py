"""Limits on real Redis: exact over several processes, cheap, and told to the client."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
import redis.asyncio

from ingest_api import errors
from ingest_api.app import Api
from ingest_api.auth import ApiKey
from ingest_api.limits import DAY_SECONDS, Limiter, Standing
from ingest_api.routes.test_metrics import scrape
from ingest_api.settings import Settings
from ingest_api.stream import StreamError
from ingest_api.test_ingest import BATCH, EVENT, INGEST
from tests.serving import serving

NOON = DAY_SECONDS * 20_000 + DAY_SECONDS // 2


@dataclass
class Clock:
    """Seconds since 1970 that pass when the test says so."""

    now: float = NOON

    def __call__(self) -> float:
        return self.now

    def microseconds(self) -> int:
        return round(self.now * 1e6)


@pytest.fixture
async def client_of_redis(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(client_of_redis: redis.asyncio.Redis, clock: Clock) -> Limiter:
    return Limiter(client_of_redis, clock, clock.microseconds)


@pytest.fixture
def other(client_of_redis: redis.asyncio.Redis, clock: Clock) -> Limiter:
    """The limiter of a second API process."""
    return Limiter(client_of_redis, clock, clock.microseconds)


def limited(
    rate: int | None = None, burst: int | None = None, quota: int | None = None,
    project_id: UUID | None = None,
) -> ApiKey:  # fmt: skip
    return ApiKey(
        uuid4(), project_id or uuid4(), uuid4(), ("ingest",), None, b"", rate, burst, quota
    )


async def admitted(limiter: Limiter, key: ApiKey, times: int, event_count: int = 1) -> int:
    """How many of `times` requests pass."""
    passed = 0
    for _ in range(times):
        try:
            await limiter.take(key, event_count)
        except (errors.RateLimitedError, errors.QuotaExceededError):
            continue
        passed += 1
    return passed


async def commands(client: redis.asyncio.Redis) -> int:
    """How many scripts this Redis has run."""
    return int((await client.info("commandstats"))["cmdstat_eval"]["calls"])


async def test_a_burst_passes_and_then_the_rate(limiter: Limiter, clock: Clock) -> None:
    key = limited(rate=100, burst=250)
    assert await admitted(limiter, key, 300) == 250
    for _ in range(20):
        clock.now += 0.25
        assert await admitted(limiter, key, 30) == 25
    clock.now += 60
    assert await admitted(limiter, key, 300) == 250


async def test_two_processes_share_the_rate_and_never_exceed_it(
    limiter: Limiter, other: Limiter, clock: Clock
) -> None:
    key = limited(rate=1000, burst=1000)
    passed = 0
    for _ in range(100):
        clock.now += 0.02
        passed += await admitted(limiter, key, 20) + await admitted(other, key, 20)
    # Two seconds and a burst, but for 50 ms worth in each lease and what was earned since.
    assert 3000 - 150 <= passed <= 3000


async def test_requests_that_come_together_share_a_question(
    limiter: Limiter, client_of_redis: redis.asyncio.Redis
) -> None:
    key = limited(rate=10_000)
    before = await commands(client_of_redis)
    standings = await asyncio.gather(*(limiter.take(key, 1) for _ in range(400)))
    assert len(standings) == 400
    assert await commands(client_of_redis) - before <= 4


async def test_a_busy_key_asks_20_times_a_second(
    limiter: Limiter, clock: Clock, client_of_redis: redis.asyncio.Redis
) -> None:
    key = limited(rate=1000)
    await admitted(limiter, key, 500)
    before = await commands(client_of_redis)
    for _ in range(1000):
        clock.now += 0.001
        await limiter.take(key, 1)
    assert await commands(client_of_redis) - before <= 21


async def test_a_refused_flood_does_not_ask_redis(
    limiter: Limiter, clock: Clock, client_of_redis: redis.asyncio.Redis
) -> None:
    key = limited(rate=1, burst=1)
    await limiter.take(key, 1)
    before = await commands(client_of_redis)
    assert await admitted(limiter, key, 500) == 0
    assert await commands(client_of_redis) - before == 1
    clock.now += 1
    assert await admitted(limiter, key, 500) == 1


async def test_a_flood_above_the_rate_asks_60_times_a_second(
    limiter: Limiter, clock: Clock, client_of_redis: redis.asyncio.Redis
) -> None:
    key = limited(rate=1000)
    await admitted(limiter, key, 1000)
    before = await commands(client_of_redis)
    passed = 0
    for _ in range(1024):
        clock.now += 1 / 1024
        passed += await admitted(limiter, key, 5)
    assert 900 <= passed <= 1000
    assert await commands(client_of_redis) - before <= 65


async def test_a_quiet_process_takes_little_from_the_others(
    limiter: Limiter, other: Limiter, clock: Clock
) -> None:
    key = limited(rate=100, burst=100)
    for _ in range(10):
        await limiter.take(key, 1)
        clock.now += 1.5
    await limiter.take(key, 1)
    assert await admitted(other, key, 100) >= 98


async def test_the_quota_is_exact_and_begins_anew_at_midnight(
    limiter: Limiter, clock: Clock
) -> None:
    key = limited(quota=25)
    assert await admitted(limiter, key, 30) == 25
    with pytest.raises(errors.QuotaExceededError) as refused:
        await limiter.take(key, 1)
    assert refused.value.headers["retry-after"] == str(DAY_SECONDS // 2)
    assert refused.value.headers["ratelimit-limit"] == "25"
    clock.now += DAY_SECONDS / 2
    assert await admitted(limiter, key, 30) == 25


async def test_all_keys_and_processes_share_the_quota_of_their_project(
    limiter: Limiter, other: Limiter
) -> None:
    project_id = uuid4()
    first = limited(quota=100, project_id=project_id)
    second = limited(rate=1000, quota=100, project_id=project_id)
    total = await admitted(limiter, first, 60) + await admitted(other, second, 60)
    assert 100 - 1000 * 0.05 <= total <= 100


async def test_quota_that_a_lease_left_unused_is_handed_back(
    limiter: Limiter, clock: Clock, client_of_redis: redis.asyncio.Redis
) -> None:
    key = limited(rate=1000, quota=100_000)
    for _ in range(50):
        await admitted(limiter, key, 3)
        clock.now += 2
    used = int(await client_of_redis.hget(f"llmscope:{{limits:{key.project_id}}}:day", "used"))
    # What was sent, and the last lease.
    assert 150 <= used <= 150 + 50


async def test_what_was_not_stored_is_given_back(limiter: Limiter) -> None:
    key = limited(rate=10, burst=10)
    for _ in range(100):
        await limiter.take(key, 10)
        limiter.give_back(key, 10)
    assert await admitted(limiter, key, 10) == 10


@pytest.mark.parametrize("key", [limited(rate=100), limited(quota=100)])
async def test_more_than_can_ever_pass_names_the_fix(limiter: Limiter, key: ApiKey) -> None:
    with pytest.raises(errors.BodyTooLargeError, match="100: send smaller requests"):
        await limiter.take(key, 101)
    await limiter.take(key, 100)


async def test_the_standing_is_of_the_nearest_limit(limiter: Limiter, clock: Clock) -> None:
    key = limited(rate=10, burst=20, quota=1000)
    assert await limiter.take(key, 15) == Standing(20, 5, 2)
    clock.now += 1
    assert await limiter.take(key, 1) == Standing(20, 14, 1)
    nearly_used = limited(rate=10, burst=20, quota=21)
    assert await limiter.take(nearly_used, 20) == Standing(20, 0, 2)
    clock.now += 1
    assert await limiter.take(nearly_used, 1) == Standing(21, 0, DAY_SECONDS // 2 - 2)


async def test_redis_away_refuses_and_spends_nothing(clock: Clock) -> None:
    async with redis.asyncio.Redis.from_url("redis://127.0.0.1:1") as away:
        limiter = Limiter(away, clock)
        with pytest.raises(StreamError):
            await limiter.take(limited(rate=10), 1)


async def test_limits_work_on_a_cluster(cluster_url: str, clock: Clock) -> None:
    async with redis.asyncio.RedisCluster.from_url(cluster_url) as cluster:
        limiter = Limiter(cluster, clock)
        for _ in range(5):
            assert await admitted(limiter, limited(rate=2, burst=2, quota=100), 4) == 2


def set_limits(settings: Settings, rate: int | None, burst: int | None, quota: int | None) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "update app.api_keys set max_events_per_second = %s, max_burst_events = %s",
            [rate, burst],
        )
        connection.execute("update app.projects set max_events_per_day = %s", [quota])


async def test_a_client_is_told_how_it_stands(
    client: httpx.AsyncClient, app: Api, settings: Settings
) -> None:
    assert "ratelimit-limit" not in (await client.post(INGEST, json=EVENT)).headers
    set_limits(settings, rate=1, burst=300, quota=None)
    await app.state.services.keys.refresh()
    passed = await client.post(BATCH, json=[EVENT] * 300)
    assert (passed.status_code, passed.headers["ratelimit-limit"]) == (202, "300")
    assert int(passed.headers["ratelimit-remaining"]) < 300
    refused = await client.post(BATCH, json=[EVENT] * 300)
    assert (refused.status_code, refused.json()["type"][-12:]) == (429, "rate-limited")
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert 1 <= int(refused.headers["ratelimit-reset"]) <= 300
    too_large = await client.post(BATCH, json=[EVENT] * 301)
    assert (too_large.status_code, too_large.json()["type"][-14:]) == (413, "body-too-large")
    counted = await scrape(client)
    assert counted["llmscope_rate_limited_total", (("limit", "rate"),)] == 1
    assert counted["llmscope_events_rejected_total", (("reason", "rate-limited"),)] == 300


async def test_a_used_up_quota_is_429_until_midnight(
    client: httpx.AsyncClient, app: Api, settings: Settings
) -> None:
    set_limits(settings, rate=None, burst=None, quota=2)
    await app.state.services.keys.refresh()
    assert (await client.post(BATCH, json=[EVENT] * 2)).status_code == 202
    refused = await client.post(INGEST, json=EVENT)
    assert (refused.status_code, refused.json()["type"][-14:]) == (429, "quota-exceeded")
    assert 1 <= int(refused.headers["retry-after"]) <= DAY_SECONDS
    assert refused.headers["ratelimit-remaining"] == "0"


async def test_limits_that_cannot_be_asked_are_503(
    settings: Settings, key: str, client: httpx.AsyncClient
) -> None:
    set_limits(settings, rate=10, burst=10, quota=None)
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1"})
    async with serving(away) as limited_client:
        answer = await limited_client.post(INGEST, json=EVENT, headers={"X-API-Key": key})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
