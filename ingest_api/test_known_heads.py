"""Heads of requests that came before, byte for byte, and what comes behind and beside them."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from uuid import uuid4

import psycopg
import pytest
import redis

from ingest_api.http_protocol import (
    _KNOWN_HEADS,
    MAX_KNOWN_HEAD_BYTES,
    MAX_KNOWN_HEADS,
    MAX_NEW_HEADS_IN_A_ROW,
    EventProtocol,
)
from ingest_api.settings import Settings
from ingest_api.stream import STREAM
from ingest_api.test_http_protocol import ODD, PLAIN, VARYING, Running, both, request, running
from ingest_api.test_ingest import BODY, EVENT


@pytest.fixture
async def api(settings: Settings, key: str) -> AsyncIterator[Running]:
    async with running(settings, EventProtocol) as opened:
        yield opened


async def test_both_ways_give_the_same_answers_behind_a_head_that_came_before(
    settings: Settings, key: str
) -> None:
    known = [request(key)] * 3
    # Whatever comes with a known head, or beside it; these have one answer and end no connection.
    same_head = [BODY[:-1] + b",", b"[" + BODY[1:-1] + b"]", b" " * len(BODY), BODY.swapcase()]
    strange = [request(key, body) for body in same_head]
    strange += [request(key) + b"\r\n", b"\r\n" + request(key), request(key)[:-1] + b"]"]
    closing = ("HEAD", "expect", "close", "HTTP/1.0", "no length")
    strange += [make(key) for name, make in PLAIN + ODD if name not in closing]
    async with both(settings) as (ours, theirs):
        for sent in strange:
            turns = [*known, sent, *known, sent]
            answers = await ours.converse(*turns), await theirs.converse(*turns)
            found, expected = ([VARYING.sub(b"*", one) for one in each] for each in answers)
            assert found == expected, sent


async def test_a_head_that_came_before_is_not_parsed_again(
    api: Running, settings: Settings, key: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    ids = [str(uuid4()) for _ in range(5)]
    for index, one in enumerate(ids):
        writer.write(request(key, json.dumps({**EVENT, "event_id": one}).encode()))
        answer = await asyncio.wait_for(reader.readuntil(b'"rejected":[]}'), 20)
        assert f'"accepted":["{one}"]'.encode() in answer
        # The first comes to a new connection, the second is remembered, the others are known.
        if index == 1:
            (connection,) = api.connections
            connection.parser = None  # type: ignore[assignment]
    writer.close()
    with redis.Redis.from_url(settings.redis_url) as client:
        stored = [json.loads(fields[b"events"]) for _, fields in client.xrange(STREAM)]
    assert [event["event_id"] for events in stored for event in events] == ids


async def test_a_known_head_lets_no_revoked_key_in(
    api: Running, settings: Settings, key: str
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", api.port)
    for expected in [b"202"] * 3 + [b"401"]:
        if expected == b"401":
            with psycopg.connect(settings.database_url, autocommit=True) as connection:
                connection.execute("update app.api_keys set revoked_at = now()")
            (ours,) = api.connections
            await ours.app.state.services.keys.refresh()
        writer.write(request(key))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 20)
        assert head.startswith(b"HTTP/1.1 " + expected)
        length = re.search(rb"\r\ncontent-length: (\d+)", head)
        assert length
        await reader.readexactly(int(length[1]))
    writer.close()


async def test_few_and_short_heads_are_remembered(api: Running, key: str) -> None:
    await api.converse(request(key), request(key))
    known = _KNOWN_HEADS[api.server.server_state]
    assert [head.body_bytes for head in known.values()] == [len(BODY)]
    # The first of a connection is not remembered, and the last finds no room beside the others.
    for first in range(0, MAX_KNOWN_HEADS, 100):
        ids = range(first, first + 101)
        await api.converse(*[request(key, x_request_id=f"{first}-{n}") for n in ids])
    assert len(known) == 1
    long = request(key, x_padding="x" * MAX_KNOWN_HEAD_BYTES)
    await api.converse(request(key), long, long)
    assert len(known) == 1


async def test_a_client_whose_heads_are_all_new_has_none_remembered_any_more(
    api: Running, key: str
) -> None:
    heads = range(MAX_NEW_HEADS_IN_A_ROW + 10)
    await api.converse(*[request(key, x_request_id=str(n)) for n in heads])
    assert len(_KNOWN_HEADS[api.server.server_state]) == MAX_NEW_HEADS_IN_A_ROW + 1
