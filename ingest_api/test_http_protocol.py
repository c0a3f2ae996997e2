"""Requests to a real uvicorn, bytes on a socket: the short way for events and uvicorn's own."""

import asyncio
import gzip
import json
import re
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import NamedTuple
from uuid import uuid4

import psycopg
import pytest
import redis
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from ingest_api.app import Api, create_app
from ingest_api.database.keys import create_key, ensure_project
from ingest_api.http_protocol import EventProtocol
from ingest_api.settings import Settings
from ingest_api.stream import STREAM
from ingest_api.test_ingest import BATCH, BODY, EVENT, INGEST

# Longer than any test takes; it ends with the context.
PAUSE_MILLISECONDS = 60_000
# What differs from one answer to the next: when it was, what is left, ids that the server made.
VARYING = re.compile(
    rb"(?<=date: )[^\r]+|(?<=ratelimit-remaining: )\d+|(?<=ratelimit-reset: )\d+"
    rb"|[0-9a-f]{16}-\d+|[0-9a-f-]{36}"
)


@dataclass
class Watched:
    """The application, and the paths that uvicorn asked it for."""

    api: Api
    asked: list[str]

    def __getattr__(self, name: str) -> object:
        return getattr(self.api, name)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            self.asked.append(scope["path"])
        await self.api(scope, receive, send)


class Running(NamedTuple):
    """An API under uvicorn. `asked` are the paths that did not go the short way."""

    server: uvicorn.Server
    port: int
    asked: list[str]

    @property
    def connections(self) -> list[EventProtocol]:
        return [
            one for one in self.server.server_state.connections if isinstance(one, EventProtocol)
        ]

    async def exchange(self, *pieces: bytes) -> bytes:
        """All that the server answers to bytes that end with a request to close."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        answer = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return answer

    async def converse(self, *requests: bytes) -> list[bytes]:
        """The answers to requests on one connection, each sent behind the answer before."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answers = []
        for sent in requests:
            writer.write(sent)
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
            length = re.search(rb"\r\ncontent-length: (\d+)", head)
            answers.append(head + await reader.readexactly(int(length[1]) if length else 0))
        writer.close()
        return answers


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.01)


@contextmanager
def writes_held_back(client: redis.Redis) -> Iterator[None]:
    """Redis takes no writes while the context lasts."""
    client.client_pause(PAUSE_MILLISECONDS, all=False)
    try:
        yield
    finally:
        client.client_unpause()


def is_waiting_for_redis(connection: EventProtocol) -> bool:
    return connection.cycle is not None and not connection.cycle.response_complete


def is_waiting_for_its_body(connection: EventProtocol) -> bool:
    return connection._held is not None and bool(connection._held.body)


@asynccontextmanager
async def running(
    settings: Settings, protocol: type[asyncio.Protocol], keep_alive_seconds: int = 5
) -> AsyncIterator[Running]:
    app = Watched(create_app(settings), [])
    config = uvicorn.Config(
        app, port=0, http=protocol, lifespan="on", log_level="warning", access_log=False,
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=10,
        timeout_keep_alive=keep_alive_seconds,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())
    while not server.started:
        await asyncio.sleep(0.005)
    port: int = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield Running(server, port, app.asked)
    finally:
        server.should_exit = True
        await serving


@asynccontextmanager
async def both(settings: Settings) -> AsyncIterator[tuple[Running, Running]]:
    """One with the short way, one without."""
    async with (
        running(settings, EventProtocol) as ours,
        running(settings, HttpToolsProtocol) as theirs,
    ):
        yield ours, theirs


async def ask_both(ours: Running, theirs: Running, *pieces: bytes) -> tuple[bytes, bytes]:
    """The answers, without what varies."""
    answers = await ours.exchange(*pieces), await theirs.exchange(*pieces)
    found, expected = (VARYING.sub(b"*", answer) for answer in answers)
    return found, expected


@pytest.fixture
async def api(settings: Settings, key: str) -> AsyncIterator[Running]:
    async with running(settings, EventProtocol) as opened:
        yield opened


def request(
    key: str, body: bytes = BODY, path: str = INGEST, *, method: str = "POST", **headers: str
) -> bytes:
    """A request; `content_length=""` leaves that header out, and so any other."""
    fields = {"host": "test", "x_api_key": key, "content_length": str(len(body)), **headers}
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *lines, "\r\n"]).encode() + body


def last(key: str) -> bytes:
    """A request behind which the server closes."""
    return request(key, b"", "/healthz", method="GET", content_length="", connection="close")


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)


def a_batch(*events: dict[str, str]) -> bytes:
    return json.dumps(events).encode()


BAD = {**EVENT, "color": "blue"}
NAMELESS = {name: value for name, value in EVENT.items() if name != "event_id"}
# What is sent, and whether the short way answers it.
PLAIN = [
    ("an event", request),
    ("an event without id", lambda key: request(key, json.dumps(NAMELESS).encode())),
    ("a bearer", lambda key: request("", authorization=f"Bearer {key}")),
    ("a batch", lambda key: request(key, a_batch(EVENT, NAMELESS), BATCH)),
    ("lines", lambda key: request(key, BODY, BATCH, content_type="application/x-ndjson")),
    ("keep-alive", lambda key: request(key, connection="keep-alive")),
    ("a sane request id", lambda key: request(key, x_request_id="mine-1")),
    ("an origin", lambda key: request(key, origin="https://example.org")),
    ("no sane request id", lambda key: request(key, x_request_id="mine 1")),
]
ODD = [
    ("no key", lambda _: request("")),
    ("an unknown key", lambda _: request("llms_unknown")),
    ("no JSON", lambda key: request(key, b"{")),
    ("a bad event", lambda key: request(key, json.dumps(BAD).encode())),
    ("a batch with a bad event", lambda key: request(key, a_batch(EVENT, BAD), BATCH)),
    ("an empty batch", lambda key: request(key, b"[]", BATCH)),
    ("too many events", lambda key: request(key, b"[" + b"{}," * 1000 + b"{}]", BATCH)),
    ("more than the key's burst", lambda key: request(key, a_batch(*[EVENT] * 1001), BATCH)),
    ("a large body", lambda key: request(key, b" " * 65_000 + BODY + b" " * 600)),
    ("no body", lambda key: request(key, b"")),
    ("no length", lambda key: request(key, b"", content_length="")),
    ("gzip", lambda key: request(key, gzip.compress(BODY, mtime=0), content_encoding="gzip")),
    ("an unknown encoding", lambda key: request(key, content_encoding="br")),
    ("chunks", lambda key: request(
        key, chunked(BODY), content_length="", transfer_encoding="chunked")),
    ("expect", lambda key: request(key, expect="100-continue")),
    ("close", lambda key: request(key, connection="close")),
    ("HTTP/1.0", lambda key: request(key).replace(b"HTTP/1.1", b"HTTP/1.0")),
    ("a query", lambda key: request(key, path=f"{INGEST}?a=1")),
    ("GET", lambda key: request(key, method="GET")),
    ("HEAD", lambda key: request(key, b"", method="HEAD")),
    ("another path", lambda key: request(key, path="/nothing")),
]  # fmt: skip


async def test_both_ways_give_the_same_answers(settings: Settings, key: str) -> None:
    async with both(settings) as (ours, theirs):
        for is_plain, table in ((True, PLAIN), (False, ODD)):
            for name, make in table:
                ours.asked.clear()
                found, expected = await ask_both(ours, theirs, make(key), last(key))
                assert found == expected, name
                assert (ours.asked == ["/healthz"]) is is_plain, name


async def test_both_ways_tell_how_a_limited_key_stands(settings: Settings, key: str) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("update app.api_keys set max_events_per_second = 1000")
        connection.execute("update app.projects set max_events_per_day = 100000")
    async with both(settings) as (ours, theirs):
        for name, make in PLAIN + ODD:
            found, expected = await ask_both(ours, theirs, make(key), last(key))
            assert found == expected, name
        assert b"ratelimit-limit: 1000" in await ours.exchange(request(key), last(key))
        # While a lease lasts nobody else is asked.
        assert ours.asked.count(INGEST) < len(PLAIN + ODD)


async def test_both_ways_answer_pages_of_other_origins(settings: Settings, key: str) -> None:
    origin = "https://example.org"
    async with both(settings.model_copy(update={"cors_origins": (origin,)})) as (ours, theirs):
        for headers in ({}, {"origin": origin}, {"origin": "https://example.net"}):
            found, expected = await ask_both(ours, theirs, request(key, **headers), last(key))
            assert found == expected, headers
            assert b"\r\nvary: Origin\r\n" in found


async def test_a_refusal_of_redis_is_the_same_both_ways(settings: Settings, key: str) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    sent = request(key, x_request_id="mine-1"), last(key)
    async with both(away) as (ours, theirs):
        found, expected = await ask_both(ours, theirs, *sent)
        assert found == expected
        assert (found[:13], ours.asked) == (b"HTTP/1.1 503 ", ["/healthz"])
        metrics = await ours.exchange(
            request("", b"", "/metrics", method="GET", content_length="", connection="close")
        )
        assert b'llmscope_events_rejected_total{reason="unavailable"} 1.0' in metrics
        assert b'route="/api/v1/events/ingest",status="503"} 1.0' in metrics


async def test_a_limited_key_is_refused_when_its_lease_is_spent(
    settings: Settings, key: str
) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        connection.execute("update app.api_keys set max_events_per_second = 1")
        connection.execute("update app.api_keys set max_burst_events = 3")
    async with running(settings, EventProtocol) as ours:
        answers = await ours.exchange(*[request(key)] * 6, last(key))
        assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202"] * 3 + [b"429"] * 3 + [b"200"]


async def test_a_key_without_the_scope_is_forbidden(settings: Settings, key: str) -> None:
    with psycopg.connect(settings.database_url, autocommit=True) as connection:
        project_id = ensure_project(connection, "main")
        reading = create_key(connection, project_id, "reads", scopes=["read"])
    async with running(settings, EventProtocol) as ours:
        answers = await ours.exchange(request(key), request(reading), last(key))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"202", b"403", b"200"]


async def test_pipelined_requests_are_answered_in_order(api: Running, key: str) -> None:
    ids = [str(uuid4()) for _ in range(4)]
    bodies = [json.dumps({**EVENT, "event_id": one}).encode() for one in ids]
    health = request(key, b"", "/healthz", method="GET", content_length="")
    sent = [request(key, bodies[0]), request(key, bodies[1]), health, request(key, b"{")]
    sent += [request(key, bodies[2]), request(key, bodies[3], connection="close")]
    answers = await api.exchange(b"".join(sent))
    statuses = re.findall(rb"HTTP/1.1 (\d+)", answers)
    assert statuses == [b"202", b"202", b"200", b"400", b"202", b"202"]
    assert re.findall(rb'"accepted":\["([^"]+)"', answers) == [one.encode() for one in ids]


async def test_a_request_may_come_in_pieces(api: Running, key: str) -> None:
    whole = request(key)
    answer = await api.exchange(
        *(whole[at : at + 20] for at in range(0, len(whole), 20)), last(key)
    )
    assert answer.startswith(b"HTTP/1.1 202 ")
    assert api.asked == ["/healthz"]


async def test_a_client_that_leaves_amid_its_body_is_noted(api: Running, key: str) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    writer.write(request(key)[:-10])
    await until(lambda: any(map(is_waiting_for_its_body, api.connections)))
    writer.close()
    noted = b'method="POST",route="/api/v1/events/ingest",status="499"} 1.0'
    sent = request("", b"", "/metrics", method="GET", content_length="", connection="close")
    async with asyncio.timeout(20):
        while noted not in await api.exchange(sent):
            await asyncio.sleep(0.02)


async def test_events_of_a_client_that_leaves_before_its_answer_are_stored(
    api: Running, settings: Settings, key: str
) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", api.port)
    with redis.Redis.from_url(settings.redis_url) as client:
        with writes_held_back(client):
            writer.write(request(key))
            await until(lambda: any(map(is_waiting_for_redis, api.connections)))
            writer.transport.abort()
            await until(lambda: not api.connections)
        await until(lambda: client.xlen(STREAM))
    assert (await api.exchange(last(key))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_request_under_way_is_answered_before_the_server_ends(
    settings: Settings, key: str, is_complete: bool
) -> None:
    whole = request(key)
    sent = whole if is_complete else whole[:-1]
    has_come = is_waiting_for_redis if is_complete else is_waiting_for_its_body
    async with running(settings, EventProtocol) as ours:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        with redis.Redis.from_url(settings.redis_url) as client, writes_held_back(client):
            writer.write(sent)
            await until(lambda: any(map(has_come, ours.connections)))
            ours.server.should_exit = True
            await until(lambda: not ours.server.servers[0].sockets)
            writer.write(whole[len(sent) :])
        answer = await asyncio.wait_for(reader.read(), 20)
        assert answer.startswith(b"HTTP/1.1 202 ")
        assert b"\r\nconnection: close\r\n" in answer
        writer.close()


METRICS = request("", b"", "/metrics", method="GET", content_length="", connection="close")


async def test_requests_that_share_a_write_are_answered_and_counted_each(
    api: Running, settings: Settings, key: str
) -> None:
    sent = [request(key, json.dumps({**EVENT, "event_id": str(uuid4())}).encode())] * 3
    streams = [await asyncio.open_connection("127.0.0.1", api.port) for _ in sent]
    with redis.Redis.from_url(settings.redis_url) as client, writes_held_back(client):
        for (_, writer), whole in zip(streams, sent, strict=True):
            writer.write(whole)
        await until(lambda: sum(map(is_waiting_for_redis, api.connections)) == len(sent))
        # A client that has gone costs the others nothing.
        streams[0][1].transport.abort()
        await until(lambda: len(api.connections) == len(sent) - 1)
    for reader, writer in streams[1:]:
        answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert answer.startswith(b"HTTP/1.1 202 ")
        writer.close()
    metrics = await api.exchange(METRICS)
    labels = b'{method="POST",route="/api/v1/events/ingest",status="202"} 3.0'
    assert b"llmscope_http_request_duration_seconds_count" + labels in metrics
    assert b"llmscope_events_accepted_total 3.0" in metrics


async def test_a_connection_is_closed_once_it_was_idle_for_long_enough(
    settings: Settings, key: str
) -> None:
    loop = asyncio.get_running_loop()
    async with running(settings, EventProtocol, keep_alive_seconds=1) as ours:
        reader, writer = await asyncio.open_connection("127.0.0.1", ours.port)
        began = asked = loop.time()
        # Asking again and again keeps it open beyond the time.
        while asked - began < 1.5:
            writer.write(request(key))
            answer = await reader.readuntil(b'"rejected":[]}')
            assert answer.startswith(b"HTTP/1.1 202 ")
            asked = loop.time()
            await asyncio.sleep(0.1)
        await asyncio.wait_for(reader.read(), 20)
        assert loop.time() - asked >= 0.9
        assert not ours.connections
        writer.close()
