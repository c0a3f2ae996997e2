"""The feed as its clients see it: a real uvicorn in a thread, real Redis, real sockets."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal
from urllib.parse import urlsplit
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis
import uvicorn
from websockets.asyncio.client import connect

from ingest_api import seed
from ingest_api.app import create_app
from ingest_api.auth import Scope
from ingest_api.database.keys import (
    ALL_SCOPES,
    create_key,
    ensure_project,
    find_key_ids,
    revoke_key,
)
from ingest_api.database.migrate import migrate
from ingest_api.http_protocol import EventProtocol
from ingest_api.live.protocols import STREAM_PATH, FeedWebSocketProtocol
from ingest_api.settings import Settings
from ingest_api.stream import NOTHING_KEPT, EventStreamReader, Retention
from orchestration.loading.loader import Loader
from tests.running import RunningPlatform, wait_until

Message = dict[str, Any]
Kind = Literal["sse", "ws"]
SECONDS = 20.0


@dataclass
class Listener:
    """Messages of one connection, as they come."""

    messages: AsyncIterator[Message]
    seen: list[Message] = field(default_factory=list)

    async def next(self, kind: str = "") -> Message:
        """The next message, of this kind where one is named; heartbeats count for nothing else."""
        async with asyncio.timeout(SECONDS):
            while True:
                message = await anext(self.messages)
                self.seen.append(message)
                if message["type"] == kind or (not kind and message["type"] != "heartbeat"):
                    return message

    async def events(self, count: int) -> list[Message]:
        """The next so many messages, all of which are events."""
        found = [await self.next() for _ in range(count)]
        assert [one["type"] for one in found] == ["event"] * count, found
        return found


@dataclass(frozen=True)
class FeedServer:
    """A running API."""

    url: str
    key: str
    settings: Settings

    def headers(self, key: str | None = None) -> dict[str, str]:
        """Those that carry the key."""
        return {"Authorization": f"Bearer {key or self.key}"}

    def publish(self, *events: Message, key: str | None = None) -> list[str]:
        """Send events as one batch; their ids."""
        answer = httpx.post(
            f"{self.url}/api/v1/events/ingest/batch", json=events, headers=self.headers(key)
        )
        assert answer.status_code == 202, answer.text
        accepted: list[str] = answer.json()["accepted"]
        return accepted

    @asynccontextmanager
    async def listen(
        self, kind: Kind = "ws", key: str | None = None, **parameters: str
    ) -> AsyncIterator[Listener]:
        """A client that has had the message `ready`."""
        opened = self.listen_by_socket if kind == "ws" else self.listen_by_events
        async with opened(self.headers(key), parameters) as messages:
            listener = Listener(messages)
            assert (await listener.next())["type"] == "ready"
            yield listener

    @asynccontextmanager
    async def listen_by_socket(
        self, headers: dict[str, str], parameters: dict[str, str], **options: Any
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """The messages of a WebSocket."""
        url = f"{self.url.replace('http', 'ws', 1)}{STREAM_PATH}?{httpx.QueryParams(parameters)}"
        async with connect(url, additional_headers=headers, proxy=None, **options) as websocket:

            async def messages() -> AsyncIterator[Message]:
                async for frame in websocket:
                    for message in json.loads(frame):
                        yield message

            yield messages()

    @asynccontextmanager
    async def listen_by_events(
        self, headers: dict[str, str], parameters: dict[str, str]
    ) -> AsyncIterator[AsyncIterator[Message]]:
        """The messages of Server-Sent Events."""
        accepting = {**headers, "Accept": "text/event-stream"}
        async with (
            httpx.AsyncClient(base_url=self.url, timeout=SECONDS, trust_env=False) as client,
            client.stream("GET", STREAM_PATH, headers=accepting, params=parameters) as answer,
        ):
            assert answer.status_code == 200, await answer.aread()
            yield read_events(answer)

    def get(self, headers: dict[str, str] | None = None, **parameters: str) -> httpx.Response:
        """A request for Server-Sent Events that is refused."""
        accepting = {"Accept": "text/event-stream", **(headers or {})}
        return httpx.get(self.url + STREAM_PATH, headers=accepting, params=parameters)

    def make_key(self, *scopes: Scope, project: str = "main") -> str:
        """A new key that the API knows."""
        with psycopg.connect(self.settings.database_url) as connection:
            project_id = ensure_project(connection, project)
            key = create_key(connection, project_id, "test", scopes=scopes or ALL_SCOPES)
        headers, nowhere = self.headers(key), f"{self.url}{STREAM_PATH}/token"

        def is_known() -> bool:
            return httpx.post(nowhere, headers=headers).status_code != 401

        wait_until(is_known, "the API knows the key", SECONDS)
        return key

    def revoke(self, key: str) -> None:
        """Take a key back."""
        with psycopg.connect(self.settings.database_url) as connection:
            (key_id,) = find_key_ids(connection, key)
            revoke_key(connection, key_id)

    def load(self, retention: Retention = NOTHING_KEPT) -> None:
        """Bring what waits into the tables."""
        with redis.Redis.from_url(self.settings.redis_url) as client:
            for shard in range(self.settings.stream_shards):
                reader = EventStreamReader(client, "test", shard, retention)
                connect_database = partial(psycopg.connect, self.settings.database_url)
                Loader(reader, connect_database).drain(0.3, until_caught_up=True)


def event(number: int = 0, **fields: Any) -> Message:
    """An event that knows its number."""
    return {
        "event_id": str(uuid4()),
        "provider_name": "openai",
        "request_model": "gpt-4o",
        "started_at": datetime.now(UTC).isoformat(),
        "input_tokens": number,
        **fields,
    }


def numbers(messages: Iterable[Message]) -> list[int]:
    """The numbers of events."""
    return [message["event"]["input_tokens"] for message in messages]


async def read_events(answer: httpx.Response) -> AsyncIterator[Message]:
    """Server-Sent Events; the id beside each message is that in it."""
    identity = None
    async for line in answer.aiter_lines():
        if line.startswith("id: "):
            identity = line[4:]
        elif line.startswith("data: "):
            message = json.loads(line[6:])
            assert message.get("id") == identity
            identity = None
            yield message


@contextmanager
def serve(settings: Settings) -> Iterator[str]:
    """URL of an API with the protocols that it has in its own process."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(
            create_app(settings), http=EventProtocol, ws=FeedWebSocketProtocol,
            ws_per_message_deflate=False, log_level="warning", proxy_headers=False,
            timeout_graceful_shutdown=5,
        )  # fmt: skip
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            wait_until(lambda: server.started, "the API serves", 60)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)


@pytest.fixture(scope="module")
def feed_settings(
    services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Settings]:
    """Settings of an API on an empty Redis and an empty database, all times short."""
    name = f"feed_{uuid4().hex[:8]}"
    url = urlsplit(services.database_url)._replace(path=f"/{name}").geturl()
    with redis.Redis.from_url(services.redis_url) as client:
        client.flushdb()
    with psycopg.connect(services.database_url, autocommit=True) as connection:
        connection.execute(f"create database {name}")
        with psycopg.connect(url, autocommit=True) as fresh:
            fresh.execute("create extension if not exists timescaledb")
        migrate(url)
        home = tmp_path_factory.mktemp("feed")
        yield Settings(
            database_url=url, redis_url=services.redis_url, home=home,
            live_heartbeat_seconds=0.4, live_stall_seconds=1.5, live_token_seconds=2.0,
            live_buffer_bytes=1024 * 1024,
        )  # fmt: skip
        connection.execute(f"drop database {name} with (force)")


@pytest.fixture(scope="module")
def seeded_key(feed_settings: Settings) -> str:
    """The key of project `main`."""
    made = seed.seed(feed_settings.database_url, feed_settings.home)
    assert made is not None
    return made


@pytest.fixture(scope="module")
def feed(feed_settings: Settings, seeded_key: str) -> Iterator[FeedServer]:
    """An API that serves all tests of a module."""
    with serve(feed_settings) as url:
        yield FeedServer(url, seeded_key, feed_settings)


@pytest.fixture
def serve_with(feed_settings: Settings, seeded_key: str) -> Iterator[Callable[..., FeedServer]]:
    """Starts a further API on the same Redis and database, with some settings changed."""
    with ExitStack() as opened:

        def start(**changes: Any) -> FeedServer:
            settings = feed_settings.model_copy(update=changes)
            return FeedServer(opened.enter_context(serve(settings)), seeded_key, settings)

        yield start
