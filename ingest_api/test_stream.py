"""Appending is durable and shared; reading, acknowledging and trimming lose nothing."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
import redis
import redis.asyncio

from ingest_api import stream
from ingest_api.stream import EventStreamReader, EventStreamWriter, Source, StreamFullError

SOURCE = Source(uuid4(), uuid4(), None)
OTHER = Source(uuid4(), uuid4(), uuid4())


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[redis.asyncio.Redis]:
    async with redis.asyncio.Redis.from_url(redis_url) as opened:
        yield opened


@pytest.fixture
def reader(redis_url: str) -> EventStreamReader:
    opened = EventStreamReader(redis.Redis.from_url(redis_url), "test")
    opened.open()
    return opened


def payload(*ids: int) -> bytes:
    return json.dumps([{"n": n} for n in ids]).encode()


async def test_requests_that_arrive_together_share_an_entry_per_source(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=100)
    sources = [SOURCE, OTHER] * 20
    await asyncio.gather(*(writer.append(s, payload(n), 1) for n, s in enumerate(sources)))
    entries = reader.read_new(100, 1)
    events = [(e.fields[b"project_id"], json.loads(e.fields[b"events"])) for e in entries]
    numbers = {UUID(p.decode()): [] for p, _ in events}
    for project, found in events:
        numbers[UUID(project.decode())] += [e["n"] for e in found]
    assert len(entries) < len(sources)
    assert sorted(numbers[SOURCE.project_id]) == list(range(0, 40, 2))
    assert sorted(numbers[OTHER.project_id]) == list(range(1, 40, 2))


def test_merged_entries_stay_below_the_limit() -> None:
    loop = asyncio.new_event_loop()
    half = b"[" + b"1" * (stream.MAX_ENTRY_BYTES // 2 + 10) + b"]"
    group = [stream._Append(SOURCE, half, 1, loop.create_future()) for _ in range(3)]
    entries = stream.merge(group, datetime.now(UTC))
    loop.close()
    assert [e["event_count"] for e in entries] == [1, 1, 1]


async def test_a_full_stream_refuses_and_recovers(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=2)
    await writer.append(SOURCE, payload(1), 1)
    await writer.append(SOURCE, payload(2), 1)
    with pytest.raises(StreamFullError):
        await writer.append(SOURCE, payload(3), 1)
    reader.acknowledge(reader.read_new(10, 1), 2)
    await writer.append(SOURCE, payload(3), 1)


async def test_what_was_read_and_not_acknowledged_is_read_again(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=10)
    await writer.append(SOURCE, payload(1), 1)
    first = reader.read_new(10, 1)
    assert reader.read_unfinished(10) == first
    other = EventStreamReader(reader.client, "other")
    assert other.claim_abandoned(10, min_idle_seconds=0) == first


async def test_trimming_stops_at_what_is_not_acknowledged(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=10)
    for n in range(3):
        await writer.append(SOURCE, payload(n), 1)
    first, second, third = reader.read_new(10, 1)
    reader.acknowledge([first, third], 2)
    assert [entry for entry, _ in await client.xrange(stream.STREAM)] == [
        second.entry_id.encode(),
        third.entry_id.encode(),
    ]
    reader.acknowledge([second], 1)
    assert await client.xlen(stream.STREAM) == 0


async def test_entries_that_nobody_has_read_are_never_trimmed(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=10)
    await writer.append(SOURCE, payload(1), 1)
    read = reader.read_new(10, 1)
    await writer.append(SOURCE, payload(2), 1)
    reader.acknowledge(read, 1)
    assert await client.xlen(stream.STREAM) == 1


async def test_stats_count_events_that_wait(
    client: redis.asyncio.Redis, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=10)
    await writer.append(SOURCE, payload(1, 2, 3), 3)
    await writer.append(SOURCE, payload(4), 1)
    reader.acknowledge(reader.read_new(1, 1), 3)
    stats = await stream.read_stats(client)
    assert (stats.accepted_event_count, stats.lag_event_count, stats.entry_count) == (4, 1, 1)
    assert stats.is_loader_alive
    assert 0 <= stats.oldest_unloaded_seconds < 10


async def test_the_shipped_redis_is_durable_and_a_lax_one_is_reported(
    client: redis.asyncio.Redis,
) -> None:
    assert await stream.find_durability_gaps(client) == []
    await client.config_set("appendfsync", "everysec")
    try:
        assert await stream.find_durability_gaps(client) == [
            "appendfsync is everysec: set it to always"
        ]
    finally:
        await client.config_set("appendfsync", "always")
