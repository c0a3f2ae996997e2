"""Who may listen: keys in headers, tokens for a minute, and nobody with a key in the URL."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import redis
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from ingest_api.live.conftest import FeedServer, Kind, event, numbers
from ingest_api.live.protocols import STREAM_PATH
from ingest_api.live.tokens import LIVE_FEED, SECRET_KEY
from tests.api.door import problem_of
from tests.running import wait_until


def make_token(feed: FeedServer, key: str | None = None) -> str:
    answer = httpx.post(f"{feed.url}{STREAM_PATH}/token", headers=feed.headers(key))
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    assert token.startswith(LIVE_FEED.prefix)
    return token


def socket_url(feed: FeedServer, **parameters: str) -> str:
    return f"ws{feed.url.removeprefix('http')}{STREAM_PATH}?{httpx.QueryParams(parameters)}"


async def refusal(feed: FeedServer, parameters: dict[str, str], **options: Any) -> httpx.Response:
    """The answer to a handshake that fails."""
    with pytest.raises(InvalidStatus) as refused:
        async with connect(socket_url(feed, **parameters), proxy=None, **options):
            pass
    answer = refused.value.response
    headers = list(answer.headers.raw_items())
    return httpx.Response(answer.status_code, headers=headers, content=bytes(answer.body))


async def test_a_token_opens_the_feed_of_its_key(feed: FeedServer) -> None:
    token = make_token(feed)
    offered: Any = ["llmscope", f"token.{token}"]
    async with (
        feed.listen_by_events({}, {"token": token}) as by_events,
        feed.listen_by_socket({}, {"token": token}) as by_socket,
        feed.listen_by_socket({}, {}, subprotocols=offered) as by_subprotocol,
    ):
        every = (by_events, by_socket, by_subprotocol)
        for messages in every:
            assert (await anext(messages))["type"] == "ready"
        feed.publish(event(1))
        for messages in every:
            assert numbers([await anext(messages)]) == [1]


async def test_a_token_that_is_old_forged_or_a_word_opens_nothing(feed: FeedServer) -> None:
    token = make_token(feed)
    forged = token[:-2] + ("aa" if not token.endswith("aa") else "bb")
    bad = [forged, "word", LIVE_FEED.prefix + "a", "llmt_" + "A" * 75, token + "A", "llmt_é"]
    for one in bad:
        assert problem_of(feed.get(token=one)) == "unauthorized", one
        assert problem_of(await refusal(feed, {"token": one})) == "unauthorized", one
    await asyncio.sleep(feed.settings.live_token_seconds)
    answer = feed.get(token=token)
    assert problem_of(answer) == "unauthorized"
    assert "expired" in answer.json()["detail"]


def test_a_token_is_no_key_elsewhere(feed: FeedServer) -> None:
    token = make_token(feed)
    answer = httpx.get(f"{feed.url}/api/v1/events/recent", headers=feed.headers(token))
    assert problem_of(answer) == "unauthorized"
    answer = httpx.post(f"{feed.url}{STREAM_PATH}/token", headers=feed.headers(token))
    assert problem_of(answer) == "unauthorized"


async def test_tokens_are_good_at_every_process_and_outlive_a_lost_secret(
    feed: FeedServer, serve_with: Callable[..., FeedServer]
) -> None:
    other = serve_with(live_token_seconds=60.0)
    token = make_token(other)
    async with feed.listen_by_events({}, {"token": token}) as messages:
        assert (await anext(messages))["type"] == "ready"
    with redis.Redis.from_url(feed.settings.redis_url) as client:
        client.delete(SECRET_KEY)
    token = make_token(other)

    def is_good() -> bool:
        return problem_of(feed.get(token=token, last_event_id="odd")) == "bad-parameter"

    wait_until(is_good, "the new secret is known", 10)


async def test_only_keys_that_may_read_listen(feed: FeedServer) -> None:
    blind = feed.make_key("ingest")
    assert problem_of(feed.get()) == "unauthorized"
    assert problem_of(await refusal(feed, {})) == "unauthorized"
    assert problem_of(feed.get(feed.headers("llms_unknown"))) == "unauthorized"
    assert problem_of(feed.get(feed.headers(blind))) == "forbidden"
    headers = feed.headers(blind)
    assert problem_of(await refusal(feed, {}, additional_headers=headers)) == "forbidden"
    answer = httpx.post(f"{feed.url}{STREAM_PATH}/token", headers=headers)
    assert problem_of(answer) == "forbidden"


@pytest.mark.parametrize("name", ["token", "key", "api_key", "last_event_id", "user_id"])
async def test_a_key_in_the_url_is_refused_and_not_logged(
    feed: FeedServer, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    answers = [
        feed.get(**{name: feed.key}),
        feed.get(feed.headers(), **{name: feed.key}),
        await refusal(feed, {name: feed.key}),
        await refusal(feed, {name: feed.key}, additional_headers=feed.headers()),
    ]
    for answer in answers:
        assert problem_of(answer) == "bad-parameter"
        assert "revoke that key" in answer.json()["detail"]
        assert answer.json()["errors"][0]["field"] == name
        assert feed.key not in answer.text
    of_server = [one for one in caplog.records if not one.name.startswith(("httpx", "websockets"))]
    assert not any(feed.key in one.getMessage() for one in of_server)


BAD_PARAMETERS = [
    {"last_event_id": "1"},
    {"last_event_id": "1-2-3-4"},
    {"last_event_id": "٣-0"},
    {"status": "odd"},
    {"unheard_of": "1"},
    {"model": "x" * 257},
    {"user_id": "\0"},
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS)
async def test_a_wrong_parameter_is_named(feed: FeedServer, parameters: dict[str, str]) -> None:
    of_socket = await refusal(feed, parameters, additional_headers=feed.headers())
    for answer in (feed.get(feed.headers(), **parameters), of_socket):
        assert problem_of(answer) == "bad-parameter"
        assert answer.json()["errors"][0]["field"] == next(iter(parameters))
        assert answer.headers["x-request-id"] == answer.json()["request_id"]


@pytest.mark.parametrize("kind", ["sse", "ws"])
async def test_a_revoked_key_ends_its_feeds_within_ten_seconds(
    feed: FeedServer, kind: Kind
) -> None:
    key = feed.make_key("read")
    token = make_token(feed, key)
    async with feed.listen(kind, key=key) as listener:
        feed.revoke(key)
        async with asyncio.timeout(10):
            end = await listener.next("end")
            assert end["problem"]["type"].endswith("/unauthorized")
            with pytest.raises((StopAsyncIteration, ConnectionClosed)):
                await listener.next()
    assert problem_of(feed.get(feed.headers(key))) == "unauthorized"
    assert problem_of(feed.get(token=token)) == "unauthorized"


async def test_pages_of_other_origins_may_not_connect(
    feed: FeedServer, serve_with: Callable[..., FeedServer]
) -> None:
    own: Any = feed.url
    async with connect(
        socket_url(feed), additional_headers=feed.headers(), origin=own, proxy=None
    ) as socket:
        assert "ready" in await socket.recv()
    options: dict[str, Any] = {"origin": "https://evil.example"}
    headers = feed.headers()
    answer = await refusal(feed, {}, additional_headers=headers, **options)
    assert problem_of(answer) == "forbidden"
    assert "LLMSCOPE_CORS_ORIGINS" in answer.json()["detail"]
    open_one = serve_with(cors_origins=("https://evil.example",))
    async with connect(
        socket_url(open_one), additional_headers=headers, proxy=None, **options
    ) as socket:
        assert "ready" in await socket.recv()


async def test_more_clients_than_allowed_are_sent_away(
    serve_with: Callable[..., FeedServer],
) -> None:
    small = serve_with(live_max_clients=1)
    async with small.listen():
        refused = await refusal(small, {}, additional_headers=small.headers())
        for answer in (small.get(small.headers()), refused):
            assert problem_of(answer) == "unavailable"
            assert int(answer.headers["retry-after"]) > 0
    async with asyncio.timeout(10):
        while True:
            try:
                async with small.listen("ws"):
                    break
            except InvalidStatus:
                await asyncio.sleep(0.05)


async def test_a_subprotocol_without_ours_is_refused(feed: FeedServer) -> None:
    offered: Any = [f"token.{make_token(feed)}"]
    assert problem_of(await refusal(feed, {}, subprotocols=offered)) == "bad-parameter"
