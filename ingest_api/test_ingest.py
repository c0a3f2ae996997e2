"""The two routes that take events, as a client sees them."""

import gzip
import json
from collections.abc import Callable
from uuid import uuid4

import httpx
import pytest
import redis
import zstandard

from ingest_api.settings import Settings
from ingest_api.stream import STREAM
from tests.serving import serving

INGEST, BATCH = "/api/v1/events/ingest", "/api/v1/events/ingest/batch"
EVENT = {
    "event_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "provider_name": "openai",
    "request_model": "gpt-4o",
    "started_at": "2026-11-22T10:00:00Z",
}
BODY = json.dumps(EVENT).encode()


async def test_an_accepted_event_is_in_the_stream(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.post(INGEST, json=EVENT)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": [EVENT["event_id"]], "rejected": []}
    ((_, fields),) = redis.Redis.from_url(settings.redis_url).xrange(STREAM)  # type: ignore[misc]
    assert json.loads(fields[b"events"]) == [EVENT]


async def test_three_bad_events_of_a_hundred_are_named_and_97_loaded(
    client: httpx.AsyncClient, load_all: Callable[[], None]
) -> None:
    batch = [{**EVENT, "event_id": str(uuid4())} for _ in range(100)]
    batch[3]["input_tokens"] = "many"
    del batch[50]["provider_name"]
    batch[99]["color"] = "blue"
    answer = await client.post(BATCH, json=batch)
    assert answer.status_code == 202
    rejected = [(r["index"], r["field"]) for r in answer.json()["rejected"]]
    assert rejected == [(3, "input_tokens"), (50, "provider_name"), (99, "color")]
    load_all()
    stats = (await client.get("/api/v1/events/stats")).json()
    assert (stats["accepted_event_count"], stats["lag_event_count"]) == (97, 0)
    recent = (await client.get("/api/v1/events/recent", params={"limit": 500})).json()
    assert len(recent["events"]) == 97


async def test_lines_are_understood_in_every_encoding(client: httpx.AsyncClient) -> None:
    encoders = {"gzip": gzip.compress, "zstd": zstandard.compress, "identity": bytes}
    for content_type in ("application/x-ndjson", "Application/JSONL; charset=utf-8"):
        for encoding, encode in encoders.items():
            headers = {"content-type": content_type, "content-encoding": encoding}
            body = encode(b"\n".join([BODY] * 3))
            answer = await client.post(BATCH, content=body, headers=headers)
            assert (answer.status_code, len(answer.json()["accepted"])) == (202, 3)


async def test_a_body_may_come_in_pieces(client: httpx.AsyncClient) -> None:
    async def pieces():  # type: ignore[no-untyped-def]
        for start in range(0, len(BODY), 7):
            yield BODY[start : start + 7]

    answer = await client.post(INGEST, content=pieces())
    assert (answer.status_code, answer.json()["accepted"]) == (202, [EVENT["event_id"]])


REFUSALS = [
    (INGEST, b"{}", {}, 422, "rejected-events"),
    (INGEST, b"{", {}, 400, "malformed-body"),
    (INGEST, b'{"color": "blue", ', {}, 400, "malformed-body"),
    (INGEST, b"[]", {}, 400, "malformed-body"),
    (BATCH, b"{}", {}, 400, "malformed-body"),
    (BATCH, b"[{}]", {}, 422, "rejected-events"),
    (BATCH, b"[" + b"{}," * 1000 + b"{}]", {}, 413, "body-too-large"),
    (BATCH, b"[" + b" " * 6_000_000 + b"]", {}, 413, "body-too-large"),
    (BATCH, b"[]", {"content-encoding": "br"}, 415, "unsupported-encoding"),
    (BATCH, b"[]", {"content-encoding": "gzip"}, 400, "malformed-body"),
    (INGEST, b"{}", {"authorization": "Bearer llms_wrong"}, 401, "unauthorized"),
    (INGEST, b"{}", {"authorization": "Basic abc"}, 401, "unauthorized"),
    (INGEST, b"{}", {"authorization": ""}, 401, "unauthorized"),
]


async def test_every_refusal_is_a_problem_document(client: httpx.AsyncClient) -> None:
    for path, body, headers, status, problem in REFUSALS:
        answer = await client.post(path, content=body, headers=headers)
        assert answer.status_code == status, body[:20]
        assert answer.headers["content-type"] == "application/problem+json"
        document = answer.json()
        assert document["type"].endswith(f"/{problem}")
        assert document["status"] == status
        assert document["detail"]
        assert document["request_id"] == answer.headers["x-request-id"]


async def test_an_empty_batch_is_accepted_and_stores_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post(BATCH, json=[])
    assert (answer.status_code, answer.json()) == (202, {"accepted": [], "rejected": []})


async def test_redis_away_is_503_with_retry_after(settings: Settings, key: str) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with serving(away) as client:
        client.headers["X-API-Key"] = key
        answer = await client.post(INGEST, json=EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        assert answer.json()["type"].endswith("/unavailable")


@pytest.mark.parametrize("cap", ["max_stream_entries", "max_redis_memory_bytes"])
async def test_above_a_cap_is_503_with_retry_after(settings: Settings, key: str, cap: str) -> None:
    async with serving(settings.model_copy(update={cap: 1})) as client:
        client.headers["X-API-Key"] = key
        assert (await client.post(INGEST, json=EVENT)).status_code == 202
        answer = await client.post(INGEST, json=EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
