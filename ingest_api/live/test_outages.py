"""The feed outlives Redis and needs no Postgres; a server that stops lets its clients go."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from typing import Any

import httpx
import psycopg
import redis
from websockets.asyncio.client import connect

from ingest_api.database.keys import ensure_project
from ingest_api.live.conftest import FeedServer, event, numbers
from ingest_api.live.protocols import STREAM_PATH
from ingest_api.stream import shard_of
from ingest_api.test_main import api_process
from tests.running import RunningPlatform, wait_until


def publish_in_the_end(feed: FeedServer, *events: dict[str, Any]) -> None:
    """Send the events until the API can take them."""

    def is_taken() -> bool:
        answer = httpx.post(
            f"{feed.url}/api/v1/events/ingest/batch", json=events, headers=feed.headers()
        )
        return answer.status_code == 202

    wait_until(is_taken, "the API takes events again", 60)


async def test_the_feed_goes_on_after_redis_was_killed(
    feed: FeedServer, services: RunningPlatform
) -> None:
    async with feed.listen("ws") as by_socket, feed.listen("sse") as by_events:
        feed.publish(event(1))
        for listener in (by_socket, by_events):
            await listener.events(1)
        pid = services.pid("redis")
        services.kill("redis", signal.SIGKILL)
        await asyncio.to_thread(
            wait_until, lambda: services.pid("redis") not in {None, pid}, "Redis starts again", 60
        )
        await asyncio.to_thread(publish_in_the_end, feed, event(2), event(3))
        for listener in (by_socket, by_events):
            assert numbers(await listener.events(2)) == [2, 3]
        assert not any(one["type"] == "gap" for one in by_socket.seen)


async def test_the_feed_goes_on_in_a_new_stream(feed: FeedServer) -> None:
    async with feed.listen() as listener:
        await asyncio.to_thread(publish_in_the_end, feed, event(1))
        await listener.events(1)
        with redis.Redis.from_url(feed.settings.redis_url) as client:
            client.flushdb()
            # Whoever was asking is thrown out, as after a failover.
            client.client_kill_filter(_type="normal", skipme=True)
        await asyncio.to_thread(publish_in_the_end, feed, event(2))
        assert numbers([await listener.next("event")]) == [2]


async def test_the_feed_needs_no_postgres(
    feed: FeedServer, serve_with: Callable[..., FeedServer]
) -> None:
    async with asyncio.timeout(20):
        with redis.Redis.from_url(feed.settings.redis_url) as client:
            # The copy of the keys, for an API that starts while Postgres is away.
            while not client.exists("llmscope:api_keys"):
                await asyncio.sleep(0.1)
    alone = serve_with(database_url="postgresql://nobody@127.0.0.1:1/nothing")
    async with alone.listen() as listener:
        alone.publish(event(1))
        (message,) = await listener.events(1)
    assert numbers([message]) == [1]
    assert message["event"]["unpriced_reason"] == "prices_not_loaded"


async def test_projects_of_different_shards_have_their_feeds(
    serve_with: Callable[..., FeedServer],
) -> None:
    feed = serve_with(stream_shards=2)
    by_shard: dict[int, str] = {}
    # Ids of projects are random, and so are their shards.
    for number in range(40):
        key = feed.make_key(project=f"p{number}")
        with psycopg.connect(feed.settings.database_url) as connection:
            project_id = ensure_project(connection, f"p{number}")
        by_shard[shard_of(project_id, 2)] = key
        if len(by_shard) == 2:
            break
    assert set(by_shard) == {0, 1}
    async with feed.listen(key=by_shard[0]) as first, feed.listen("sse", by_shard[1]) as second:
        for shard, key in by_shard.items():
            feed.publish(event(shard), event(shard), key=key)
        of_first, of_second = await first.events(2), await second.events(2)
    assert (numbers(of_first), numbers(of_second)) == ([0, 0], [1, 1])
    for shard, messages in enumerate((of_first, of_second)):
        async with feed.listen(key=by_shard[shard], last_event_id=messages[0]["id"]) as listener:
            assert await listener.events(1) == messages[1:]


async def test_a_server_that_stops_lets_its_clients_go_at_once(feed: FeedServer) -> None:
    with api_process(feed.settings) as (process, port):
        headers = {**feed.headers(), "Accept": "text/event-stream"}
        url = f"127.0.0.1:{port}{STREAM_PATH}"
        async with (
            httpx.AsyncClient(timeout=30) as client,
            connect(f"ws://{url}", additional_headers=headers, proxy=None) as socket,
            client.stream("GET", f"http://{url}", headers=headers) as answer,
        ):
            assert json.loads(await socket.recv())[0]["type"] == "ready"
            begin = time.monotonic()
            process.send_signal(signal.SIGTERM)
            async for _ in answer.aiter_bytes():
                pass
            await socket.wait_closed()
            assert socket.close_code == 1012
        await asyncio.to_thread(process.wait, 30)
        assert time.monotonic() - begin < 8
