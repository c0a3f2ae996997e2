"""Tokens that send events, and do nothing else."""

from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from ingest_api.live.protocols import STREAM_PATH
from ingest_api.settings import Settings
from ingest_api.test_ingest import BATCH, EVENT, INGEST
from ingest_api.test_keys import make_key
from tests.api.door import problem_of
from tests.serving import serving

TOKEN = f"{INGEST}/token"
ORIGIN = "https://shop.example.com"


def bearer(credentials: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {credentials}"}


async def make_token(client: httpx.AsyncClient) -> str:
    answer = await client.post(TOKEN)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["token"]
    assert token.startswith("llmi_")
    return token


async def test_a_token_sends_events_to_its_project(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = (await client.post(TOKEN)).json()
    expires_at = datetime.fromisoformat(answer["expires_at"])
    in_time = datetime.now(UTC) + timedelta(seconds=settings.ingest_token_seconds)
    assert abs(expires_at - in_time) < timedelta(seconds=10)
    for path, body in ((INGEST, EVENT), (BATCH, [EVENT])):
        sent = await client.post(path, json=body, headers=bearer(answer["token"]))
        assert sent.status_code == 202
        assert sent.json()["accepted"] == [EVENT["event_id"]]


async def test_a_token_is_good_for_nothing_else(client: httpx.AsyncClient) -> None:
    token = await make_token(client)
    for ask in (
        client.get("/api/v1/events/recent", headers=bearer(token)),
        client.post(TOKEN, headers=bearer(token)),
        client.post(f"{STREAM_PATH}/token", headers=bearer(token)),
        client.post("/api/v1/events/otlp/v1/traces", headers=bearer(token)),
    ):
        assert (await ask).status_code in (401, 404)
    headers = {"Accept": "text/event-stream"}
    del client.headers["Authorization"]
    feed = await client.get(STREAM_PATH, params={"token": token}, headers=headers)
    assert problem_of(feed) == "unauthorized"


async def test_a_token_of_the_feed_or_a_forged_one_sends_nothing(
    client: httpx.AsyncClient,
) -> None:
    of_feed = (await client.post(f"{STREAM_PATH}/token")).json()["token"]
    disguised = "llmi_" + of_feed.removeprefix("llmt_")
    token = await make_token(client)
    forged = token[:-2] + ("aa" if not token.endswith("aa") else "bb")
    for bad in (of_feed, disguised, forged, "llmi_", "llmi_word", token + "A"):
        answer = await client.post(INGEST, json=EVENT, headers=bearer(bad))
        assert problem_of(answer) == "unauthorized", bad


async def test_a_token_expires(settings: Settings, key: str) -> None:
    brief = settings.model_copy(update={"ingest_token_seconds": 0.001})
    async with serving(brief) as client:
        client.headers["Authorization"] = f"Bearer {key}"
        token = await make_token(client)
        answer = await client.post(INGEST, json=EVENT, headers=bearer(token))
    assert problem_of(answer) == "unauthorized"
    assert "expired" in answer.json()["detail"]


async def test_a_token_dies_with_its_key(settings: Settings, key: str) -> None:
    async with serving(settings) as client:
        token = (await client.post(TOKEN, headers=bearer(key))).json()["token"]
        with psycopg.connect(settings.database_url) as connection:
            connection.execute("update app.api_keys set revoked_at = now()")
    async with serving(settings) as client:
        answer = await client.post(INGEST, json=EVENT, headers=bearer(token))
    assert problem_of(answer) == "unauthorized"
    assert "revoked" in answer.json()["detail"]


@pytest.mark.usefixtures("key")
async def test_only_keys_that_may_send_make_tokens(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    blind = make_key(settings, "read")
    answer = await client.post(TOKEN, headers=bearer(blind))
    assert problem_of(answer) in ("forbidden", "unauthorized")


async def test_pages_of_a_configured_origin_may_send_events_with_a_token(
    settings: Settings, key: str
) -> None:
    async with serving(settings.model_copy(update={"cors_origins": (ORIGIN,)})) as client:
        token = (await client.post(TOKEN, headers=bearer(key))).json()["token"]
        headers = {"Origin": ORIGIN, **bearer(token)}
        answer = await client.post(INGEST, json=EVENT, headers=headers)
        assert answer.status_code == 202
        assert answer.headers["access-control-allow-origin"] == ORIGIN
