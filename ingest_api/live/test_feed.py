"""What clients of the feed get: everything once, in order, by either transport."""

import json
from typing import Any

import httpx
import pytest

from ingest_api.live.conftest import FeedServer, Kind, event, numbers
from ingest_api.live.messages import EVENT_COLUMNS
from ingest_api.live.protocols import STREAM_PATH
from ingest_api.stream import Retention

KEPT = Retention(300, 2**30)
KINDS: list[Kind] = ["sse", "ws"]


async def test_both_transports_carry_identical_messages(feed: FeedServer) -> None:
    async with feed.listen("ws") as by_socket, feed.listen("sse") as by_events:
        feed.publish(event(1, user_id="ä\n\u2028"), event(2, error_type="timeout"))
        feed.publish(event(3))
        of_socket, of_events = await by_socket.events(3), await by_events.events(3)
    assert of_socket == of_events
    assert numbers(of_socket) == [1, 2, 3]


async def test_an_event_is_what_recent_shows_of_it_and_an_estimate(feed: FeedServer) -> None:
    sent = event(
        7, response_model="gpt-4o-2024-08-06", ended_at="2026-11-23T23:00:01.5+02:00",
        started_at="2026-11-23T23:00:00+02:00", duration_seconds=1.5, tags={"team": "search"},
        usage_details={"prompt_tokens": 7}, input_messages=[{"content": "secret"}],
        environment="production", trace_id="5b8efff798038103d269b633813fc60c",
    )  # fmt: skip
    async with feed.listen() as listener:
        feed.publish(sent)
        (message,) = await listener.events(1)
    assert "secret" not in json.dumps(message)
    feed.load()
    page = httpx.get(f"{feed.url}/api/v1/events/recent?limit=500", headers=feed.headers()).json()
    (row,) = [one for one in page["events"] if one["event_id"] == sent["event_id"]]
    del row["loaded_at"]
    shown: dict[str, Any] = message["event"]
    assert set(shown) == {
        *EVENT_COLUMNS, "received_at", "estimated_cost_usd", "is_estimate", "unpriced_reason",
    }  # fmt: skip
    assert (shown["is_estimate"], shown["estimated_cost_usd"]) == (True, None)
    assert shown["unpriced_reason"]
    assert shown["received_at"].replace("+00:00", "Z") == row["received_at"].replace("+00:00", "Z")
    for name in EVENT_COLUMNS:
        assert shown[name] == row[name], name


FILTERS = [
    ({"provider_name": "anthropic"}, [2]),
    ({"model": "claude"}, [2, 5]),
    ({"user_id": "ann"}, [1, 3]),
    ({"status": "error"}, [3]),
    ({"status": "success"}, [1, 2, 4, 5]),
    ({"environment": "staging"}, [4]),
    ({"service_name": "bot"}, [5]),
    ({"user_id": "ann", "status": "success"}, [1]),
]


async def test_filters_let_through_what_fits_and_only_that(feed: FeedServer) -> None:
    sent = [
        event(1, user_id="ann"),
        event(2, provider_name="anthropic", response_model="claude"),
        event(3, user_id="ann", error_type="timeout"),
        event(4, environment="staging"),
        event(5, service_name="bot", request_model="claude"),
    ]
    async with feed.listen() as listener:
        ready = listener.seen[0]["id"]
        feed.publish(*sent)
        await listener.events(5)
        # The last one is seen by all, and ends each.
        feed.publish(*(event(99, **last_of(fit)) for fit, _ in FILTERS))
        for fit, expected in FILTERS:
            async with feed.listen(last_event_id=ready, **fit) as filtered:
                found = []
                while 99 not in found:
                    found += numbers(await filtered.events(1))
            assert found[:-1] == expected, fit


def last_of(fit: dict[str, str]) -> dict[str, str]:
    """Fields of an event that one filter lets through."""
    words = {**fit}
    status = words.pop("status", "")
    if "model" in words:
        words["response_model"] = words.pop("model")
    return {**words, **({"error_type": "last"} if status == "error" else {})}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_client_that_comes_back_misses_nothing_and_gets_nothing_twice(
    feed: FeedServer, kind: Kind
) -> None:
    feed.load(KEPT)
    async with feed.listen(kind) as listener:
        feed.publish(*(event(n) for n in range(10)))
        feed.publish(event(10))
        before = await listener.events(5)
    # One batch is one entry: the client left in its middle.
    feed.publish(*(event(n) for n in range(11, 15)))
    feed.load(KEPT)
    async with feed.listen(kind, last_event_id=before[-1]["id"]) as listener:
        assert listener.seen[0]["is_resumed"] is True
        missed = await listener.events(10)
        feed.publish(event(15))
        after = await listener.events(1)
    assert numbers([*before, *missed, *after]) == list(range(16))
    ids = [one["id"] for one in (*before, *missed, *after)]
    assert len(set(ids)) == 16
    again = feed.headers() | {"Last-Event-ID": ids[-3]}
    async with feed.listen_by_events(again, {"last_event_id": ids[0]}) as messages:
        await anext(messages)
        assert [(await anext(messages))["id"] for _ in range(2)] == ids[-2:]


async def test_a_client_may_resume_from_the_first_message_on(feed: FeedServer) -> None:
    async with feed.listen() as listener:
        ready = listener.seen[0]["id"]
    feed.publish(event(1))
    async with feed.listen(last_event_id=ready) as listener:
        assert numbers(await listener.events(1)) == [1]


async def test_an_id_older_than_what_is_kept_is_told(feed: FeedServer) -> None:
    async with feed.listen() as listener:
        feed.publish(event(1), event(2))
        first, second = await listener.events(2)
    feed.load()
    feed.publish(event(3))
    async with feed.listen(last_event_id=first["id"]) as listener:
        gap = await listener.next()
        assert (gap["type"], gap["after"]) == ("gap", first["id"])
        assert numbers(await listener.events(1)) == [3]
    async with feed.listen(last_event_id="99999999999999-0") as listener:
        assert (await listener.next())["type"] == "gap"
        feed.publish(event(4))
        assert numbers(await listener.events(1)) == [4]
    entry_id = second["id"].rpartition("-")[0]
    async with feed.listen(last_event_id=entry_id) as listener:
        # All of the last entry that is gone: nothing can have been missed.
        assert numbers(await listener.events(2)) == [3, 4]


async def test_silence_is_broken_by_heartbeats_whose_id_moves_on(feed: FeedServer) -> None:
    other = feed.make_key(project="other")
    async with feed.listen("sse") as listener:
        first = await listener.next("heartbeat")
        feed.publish(event(1), key=other)
        feed.load()
        ids = [(await listener.next("heartbeat"))["id"] for _ in range(6)]
    # The reader looks at the clock where nothing has come for 2 s.
    assert ids[-1] > first["id"]
    assert ids == sorted(ids)
    feed.publish(event(2))
    async with feed.listen(last_event_id=ids[-1]) as listener:
        assert numbers(await listener.events(1)) == [2]


async def test_projects_see_only_their_own(feed: FeedServer) -> None:
    other = feed.make_key(project="other")
    async with feed.listen() as mine, feed.listen(key=other) as theirs:
        feed.publish(event(1), key=other)
        feed.publish(event(2))
        assert numbers(await mine.events(1)) == [2]
        assert numbers(await theirs.events(1)) == [1]


def test_metrics_tell_who_listens_and_what_they_got(feed: FeedServer) -> None:
    text = httpx.get(f"{feed.url}/metrics").text
    found = dict(line.split(" ") for line in text.splitlines() if line.startswith("llmscope_live"))
    assert float(found["llmscope_live_clients"]) == 0
    assert float(found["llmscope_live_events_delivered_total"]) > 20
    assert "llmscope_live_events_dropped_total" in found


def test_without_the_form_in_accept_the_answer_says_what_to_send(feed: FeedServer) -> None:
    answer = httpx.get(feed.url + STREAM_PATH, headers=feed.headers())
    assert answer.status_code == 406
    assert "text/event-stream" in answer.json()["detail"]
