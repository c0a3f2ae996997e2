"""Which prompts and completions a project stores, whichever way they come in."""

import json
from typing import Any, get_args

import httpx
import psycopg
import pytest

from ingest_api.app import Api
from ingest_api.auth import ContentPolicy
from ingest_api.otlp.decoding import JSON
from ingest_api.routes.test_otlp import CALL, TRACES, now_span, stored
from ingest_api.settings import Settings
from ingest_api.test_ingest import BATCH, EVENT, INGEST
from tests.otlp_spans import as_json, request

SECRET = [{"role": "user", "content": "my prompt"}]
WITH_CONTENT = {**EVENT, "input_messages": SECRET, "output_messages": SECRET}
# One bad event, so that each is read by itself.
BROKEN = {**WITH_CONTENT, "input_tokens": -1}
SPAN = {**CALL, "gen_ai.input.messages": json.dumps(SECRET), "gen_ai.prompt.0.content": "my prompt"}

PLAIN: dict[str, dict[str, Any]] = {
    "an event": {"url": INGEST, "json": WITH_CONTENT},
    "a batch": {"url": BATCH, "json": [WITH_CONTENT]},
    "a batch with a bad event": {"url": BATCH, "json": [BROKEN, WITH_CONTENT]},
    "lines": {
        "url": BATCH,
        "content": json.dumps(WITH_CONTENT).encode(),
        "headers": {"content-type": "application/x-ndjson"},
    },
}
SPANS = {"url": TRACES, "headers": {"content-type": JSON}}


async def set_policy(settings: Settings, app: Api, policy: str) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("update app.projects set content_policy = %s", [policy])
    await app.state.services.keys.refresh()


@pytest.mark.parametrize("way", PLAIN)
@pytest.mark.parametrize("policy", get_args(ContentPolicy))
async def test_events_keep_their_content_unless_the_project_stores_none(
    client: httpx.AsyncClient, settings: Settings, app: Api, policy: str, way: str
) -> None:
    await set_policy(settings, app, policy)
    assert (await client.post(**PLAIN[way])).status_code == 202
    [event] = stored(settings)
    kept = None if policy == "none" else SECRET
    assert (event.get("input_messages"), event.get("output_messages")) == (kept, kept)


@pytest.mark.parametrize("policy", get_args(ContentPolicy))
async def test_spans_keep_their_content_only_where_the_project_stores_all(
    client: httpx.AsyncClient, settings: Settings, app: Api, policy: str
) -> None:
    await set_policy(settings, app, policy)
    answer = await client.post(**SPANS, content=as_json(request(now_span(SPAN))))
    assert answer.status_code == 200
    [event] = stored(settings)
    assert event.get("input_messages") == (SECRET if policy == "all" else None)
    assert ("my prompt" in json.dumps(event)) == (policy == "all")


async def test_a_new_project_stores_what_events_carry(settings: Settings, key: str) -> None:
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute("select distinct content_policy from app.projects").fetchall()
    assert rows == [("events",)]
