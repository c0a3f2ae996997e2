"""Appending is durable and shared; reading, acknowledging and trimming lose nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from uuid import UUID, uuid4

import pytest
import redis

from ingest_api import stream
from ingest_api.conftest import RedisServer
from ingest_api.stream import (
    AsyncClient,
    BlockingClient,
    EventStreamReader,
    EventStreamWriter,
    Retention,
    Source,
    StreamError,
    StreamFullError,
    shard_of,
)
from tests.running import wait_until

SOURCE = Source(uuid4(), uuid4(), None)
OTHER = Source(uuid4(), uuid4(), uuid4())


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[AsyncClient]:
    opened = stream.connect_async(redis_server.url, cluster=redis_server.cluster)
    yield opened
    await opened.aclose()


@pytest.fixture
def blocking(redis_server: RedisServer) -> Iterator[BlockingClient]:
    with stream.connect(redis_server.url, cluster=redis_server.cluster) as opened:
        yield opened


@pytest.fixture
def reader(blocking: BlockingClient) -> EventStreamReader:
    opened = EventStreamReader(blocking, "test")
    opened.open()
    return opened


def payload(*ids: int) -> bytes:
    return json.dumps([{"n": n} for n in ids]).encode()


def sources_of_each_shard(shards: int) -> list[Source]:
    found: dict[int, Source] = {}
    while len(found) < shards:
        source = Source(uuid4(), uuid4(), None)
        found[shard_of(source.project_id, shards)] = source
    return [found[shard] for shard in range(shards)]


async def test_requests_that_arrive_together_share_an_entry_per_source(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client)
    sources = [SOURCE, OTHER] * 20
    await asyncio.gather(*(writer.append(s, payload(n), 1) for n, s in enumerate(sources)))
    entries = reader.read_new(100, 1)
    numbers: dict[UUID, list[int]] = {SOURCE.project_id: [], OTHER.project_id: []}
    for entry in entries:
        events = json.loads(entry.fields[b"events"])
        numbers[UUID(entry.fields[b"project_id"].decode())] += [e["n"] for e in events]
    assert len(entries) < len(sources)
    assert sorted(numbers[SOURCE.project_id]) == list(range(0, 40, 2))
    assert sorted(numbers[OTHER.project_id]) == list(range(1, 40, 2))
    assert sum(entry.event_count for entry in entries) == 40


async def test_merged_entries_stay_below_the_limit(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client)
    half = b"[" + b"1" * (stream.MAX_ENTRY_BYTES // 2 + 10) + b"]"
    await asyncio.gather(*(writer.append(SOURCE, half, 1) for _ in range(4)))
    assert [entry.event_count for entry in reader.read_new(10, 1)] == [1, 1, 1, 1]


async def test_a_request_whose_client_has_gone_takes_nobody_with_it(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client)
    gone = asyncio.create_task(writer.append(SOURCE, payload(1), 1))
    await asyncio.sleep(0)
    gone.cancel()
    await writer.append(SOURCE, payload(2), 1)
    await writer.drain()
    assert sum(entry.event_count for entry in reader.read_new(10, 1)) == 2


async def test_a_full_stream_refuses_and_recovers(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    writer = EventStreamWriter(client, max_entries=2)
    await writer.append(SOURCE, payload(1), 1)
    await writer.append(SOURCE, payload(2), 1)
    with pytest.raises(StreamFullError, match="2 entries wait"):
        await writer.append(SOURCE, payload(3), 1)
    reader.acknowledge(reader.read_new(10, 1))
    async with asyncio.timeout(30):
        while not await accepts(writer):
            await asyncio.sleep(0.02)


async def test_what_is_kept_for_readers_behind_the_loader_fills_no_cap(
    client: AsyncClient, blocking: BlockingClient
) -> None:
    writer = EventStreamWriter(client, max_entries=2)
    reader = EventStreamReader(blocking, "test", retention=Retention(3600, 2**40))
    reader.open()
    for number in range(5):
        await writer.append(SOURCE, payload(number), 1)
        reader.acknowledge(reader.read_new(10, 1))
    stats = await stream.read_stats(client)
    assert (stats.entry_count, stats.lag_entry_count, stats.lag_event_count) == (5, 0, 0)
    assert stats.lag_seconds == 0.0
    await writer.append(SOURCE, payload(5), 1)
    await writer.append(SOURCE, payload(6), 1)
    with pytest.raises(StreamFullError, match="2 entries wait"):
        await writer.append(SOURCE, payload(7), 1)


async def accepts(writer: EventStreamWriter) -> bool:
    try:
        await writer.append(SOURCE, payload(3), 1)
    except StreamFullError:
        return False
    return True


async def test_a_redis_above_its_memory_refuses(client: AsyncClient) -> None:
    writer = EventStreamWriter(client, max_memory_bytes=1)
    await writer.append(SOURCE, payload(1), 1)
    with pytest.raises(StreamFullError, match="bytes of memory"):
        await writer.append(SOURCE, payload(2), 1)
    assert (await stream.read_stats(client)).entry_count == 1


@pytest.mark.parametrize("cluster", [False, True])
async def test_a_redis_that_is_away_is_an_error_and_no_hang(cluster: bool) -> None:
    client = stream.connect_async("redis://127.0.0.1:1/0", cluster=cluster)
    with pytest.raises(StreamError):
        await EventStreamWriter(client).append(SOURCE, payload(1), 1)
    with pytest.raises(StreamError):
        await stream.read_stats(client)
    with pytest.raises(StreamError):
        await stream.find_durability_gaps(client)
    await client.aclose()


async def test_projects_are_spread_over_the_shards(
    client: AsyncClient, blocking: BlockingClient
) -> None:
    writer = EventStreamWriter(client, 4)
    sources = sources_of_each_shard(4)
    await asyncio.gather(*(writer.append(s, payload(n), 1) for n, s in enumerate(sources)))
    for shard, source in enumerate(sources):
        reader = EventStreamReader(blocking, "test", shard)
        reader.open()
        (entry,) = reader.read_new(10, 1)
        assert entry.fields[b"project_id"] == str(source.project_id).encode()
        if shard:
            reader.acknowledge([entry])
    stats = await stream.read_stats(client, 4)
    assert (stats.accepted_event_count, stats.lag_event_count, stats.entry_count) == (4, 1, 1)
    assert stats.in_flight_entry_count == 1
    assert stream.read_stats_blocking(blocking, 4).lag_event_count == 1


def test_a_project_never_changes_its_shard() -> None:
    project_id = UUID("0192b6a0-0000-7000-8000-000000000001")
    assert [shard_of(project_id, shards) for shards in (1, 4, 64)] == [0, 3, 55]


async def test_what_was_read_and_not_acknowledged_is_read_again(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    await EventStreamWriter(client).append(SOURCE, payload(1), 1)
    first = reader.read_new(10, 1)
    assert reader.read_unfinished(10) == first
    other = EventStreamReader(reader.client, "other")
    assert other.claim_abandoned(10, min_idle_seconds=0) == first


async def test_an_entry_that_two_consumers_settle_counts_once(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    await EventStreamWriter(client).append(SOURCE, payload(1, 2), 2)
    read = reader.read_new(10, 1)
    other = EventStreamReader(reader.client, "other")
    other.claim_abandoned(10, min_idle_seconds=0)
    await EventStreamWriter(client).append(SOURCE, payload(3), 1)
    assert (other.acknowledge(read), reader.acknowledge(read)) == (2, 0)
    assert reader.stats().lag_event_count == 1


async def test_a_consumer_leaves_the_group_unless_it_holds_entries(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    def consumers() -> set[bytes]:
        found = reader.client.xinfo_consumers(stream.STREAM, stream.GROUP)
        return {one["name"] for one in found}  # type: ignore[union-attr, index]

    await EventStreamWriter(client).append(SOURCE, payload(1), 1)
    other = EventStreamReader(reader.client, "other")
    read = other.read_new(10, 1)
    reader.read_new(1, 0)
    other.leave()
    assert consumers() == {b"test", b"other"}
    other.acknowledge(read)
    other.leave()
    assert consumers() == {b"test"}
    reader.leave()
    assert consumers() == set()


async def test_the_oldest_unsettled_entry_decides_the_lag(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    """Another group may still need what the loader has settled."""
    reader.client.xgroup_create(stream.STREAM, "feed", id="0")
    reader.client.xadd(stream.STREAM, {"event_count": "1"}, id="1-0")  # old as the world
    writer = EventStreamWriter(client)
    await writer.append(SOURCE, payload(2), 1)
    assert reader.stats().oldest_unloaded_seconds > 1e6
    old, new = reader.read_new(10, 1)
    reader.acknowledge([old])
    stats = reader.stats()
    assert (stats.entry_count, stats.lag_entry_count, stats.in_flight_entry_count) == (2, 1, 1)
    assert 0 < stats.lag_seconds < 60
    reader.acknowledge([new])
    stats = await stream.read_stats(client)
    assert (stats.entry_count, stats.lag_entry_count, stats.lag_seconds) == (2, 0, 0.0)


async def test_stats_count_events_that_wait(client: AsyncClient, reader: EventStreamReader) -> None:
    writer = EventStreamWriter(client)
    await writer.append(SOURCE, payload(1, 2, 3), 3)
    await writer.append(SOURCE, payload(4), 1)
    reader.acknowledge(reader.read_new(1, 1))
    stats = await stream.read_stats(client)
    assert (stats.accepted_event_count, stats.lag_event_count, stats.entry_count) == (4, 1, 1)
    assert stats.lag_entry_count == 1
    assert stats.is_loader_alive
    assert stats.used_memory_bytes > 0
    assert 0 <= stats.oldest_unloaded_seconds < 60


async def test_rates_are_the_mean_of_the_last_ten_seconds(
    client: AsyncClient, reader: EventStreamReader
) -> None:
    await EventStreamWriter(client).append(SOURCE, payload(*range(50)), 50)
    reader.acknowledge(reader.read_new(10, 1))

    def has_rates() -> bool:
        stats = reader.stats()
        return (stats.accepted_events_per_second, stats.loaded_events_per_second) == (5.0, 5.0)

    await asyncio.to_thread(wait_until, has_rates, "both rates are 50 events in 10 s", 8)


async def test_a_loader_of_each_shard_must_be_alive(
    client: AsyncClient, blocking: BlockingClient
) -> None:
    EventStreamReader(blocking, "test", 0).open()
    assert (await stream.read_stats(client, 1)).is_loader_alive
    assert not (await stream.read_stats(client, 2)).is_loader_alive
    EventStreamReader(blocking, "test", 1).open()
    assert (await stream.read_stats(client, 2)).is_loader_alive


async def test_replays_keep_their_head(client: AsyncClient, reader: EventStreamReader) -> None:
    await EventStreamWriter(client).append(OTHER, payload(1), 1)
    (first,) = reader.read_new(10, 1)
    received_at = datetime.fromisoformat(first.fields[b"received_at"].decode())
    stream.append_replays(
        reader.client, [stream.Entry(OTHER, received_at, payload(1), 1)], shards=1
    )
    (second,) = reader.read_new(10, 1)
    assert second.fields == first.fields
    assert reader.stats().accepted_event_count == 2


async def test_the_shipped_redis_is_durable_and_a_lax_one_is_reported(
    client: AsyncClient, redis_server: RedisServer
) -> None:
    assert await stream.find_durability_gaps(client) == []
    with redis.Redis.from_url(redis_server.url) as plain:
        plain.config_set("appendfsync", "everysec")
        try:
            assert await stream.find_durability_gaps(client) == [
                "appendfsync is everysec: set it to always"
            ]
        finally:
            plain.config_set("appendfsync", "always")


async def test_a_write_that_redis_does_not_answer_fails_in_time(
    redis_server: RedisServer, blocking: BlockingClient
) -> None:
    patient = stream.connect_async(
        redis_server.url, cluster=redis_server.cluster, timeout_seconds=None
    )
    writer = EventStreamWriter(patient, timeout_seconds=0.1)
    await writer.append(SOURCE, payload(0), 1)
    blocking.client_pause(60_000, all=False)
    try:
        with pytest.raises(StreamError):
            await writer.append(SOURCE, payload(1), 1)
    finally:
        blocking.client_unpause()
        await patient.aclose()


async def test_a_request_that_gives_up_leaves_its_neighbours_alone(client: AsyncClient) -> None:
    writer = EventStreamWriter(client)
    leaving, staying = (asyncio.create_task(writer.append(SOURCE, payload(n), 1)) for n in range(2))
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert leaving.cancelled()
