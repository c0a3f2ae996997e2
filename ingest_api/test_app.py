"""The door as a client sees it, on real Redis and TimescaleDB."""

import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import httpx
import psycopg
import pytest
import redis

from ingest_api import auth, seed
from ingest_api.app import create_app
from ingest_api.settings import Settings, SettingsError
from ingest_api.stream import STREAM, EventStreamReader
from orchestration.loading.loader import Loader

EVENT = {
    "event_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "provider_name": "openai",
    "request_model": "gpt-4o",
    "started_at": "2026-11-22T10:00:00Z",
}


@pytest.fixture
def settings(redis_url: str, database_url: str, tmp_path: Path) -> Settings:
    return Settings(database_url=database_url, redis_url=redis_url, home=tmp_path)


@pytest.fixture
def key(settings: Settings) -> str:
    made = seed.seed(settings.database_url, settings.home)
    assert made is not None
    return made


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    app = create_app(settings)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://test") as client,
    ):
        yield client


@pytest.fixture
async def client(settings: Settings, key: str) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings) as opened:
        opened.headers["Authorization"] = f"Bearer {key}"
        yield opened


def load_all(settings: Settings) -> None:
    reader = EventStreamReader(redis.Redis.from_url(settings.redis_url), "test")
    Loader(reader, lambda: psycopg.connect(settings.database_url)).drain(0.3)


async def test_an_accepted_event_is_in_the_stream(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    answer = await client.post("/api/v1/events/ingest", json=EVENT)
    assert answer.status_code == 202
    assert answer.json() == {"accepted": [EVENT["event_id"]], "rejected": []}
    ((_, fields),) = redis.Redis.from_url(settings.redis_url).xrange(STREAM)  # type: ignore[misc]
    assert json.loads(fields[b"events"]) == [EVENT]


async def test_three_bad_events_of_a_hundred_are_named_and_97_loaded(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    batch = [{**EVENT, "event_id": str(uuid4())} for _ in range(100)]
    batch[3]["input_tokens"] = "many"
    del batch[50]["provider_name"]
    batch[99]["color"] = "blue"
    answer = await client.post("/api/v1/events/ingest/batch", json=batch)
    assert answer.status_code == 202
    rejected = [(r["index"], r["field"]) for r in answer.json()["rejected"]]
    assert rejected == [(3, "input_tokens"), (50, "provider_name"), (99, "color")]
    load_all(settings)
    stats = (await client.get("/api/v1/events/stats")).json()
    assert (stats["accepted_event_count"], stats["lag_event_count"]) == (97, 0)
    recent = (await client.get("/api/v1/events/recent", params={"limit": 500})).json()
    assert len(recent["events"]) == 97


async def test_lines_and_gzip_are_understood(client: httpx.AsyncClient) -> None:
    body = gzip.compress(b"\n".join([json.dumps(EVENT).encode()] * 3))
    headers = {"content-type": "application/x-ndjson", "content-encoding": "gzip"}
    answer = await client.post("/api/v1/events/ingest/batch", content=body, headers=headers)
    assert (answer.status_code, len(answer.json()["accepted"])) == (202, 3)


@pytest.mark.parametrize(
    ("path", "body", "headers", "status", "problem"),
    [
        ("", b"{}", {}, 422, "rejected-events"),
        ("", b"{", {}, 400, "malformed-body"),
        ("", b"[]", {}, 400, "malformed-body"),
        ("/batch", b"{}", {}, 400, "malformed-body"),
        ("/batch", b"[{}]", {}, 422, "rejected-events"),
        ("/batch", b"[" + b"{}," * 1000 + b"{}]", {}, 413, "body-too-large"),
        ("/batch", b"[" + b" " * 6_000_000 + b"]", {}, 413, "body-too-large"),
        ("/batch", b"[]", {"content-encoding": "br"}, 415, "unsupported-encoding"),
        ("/batch", b"[]", {"content-encoding": "gzip"}, 400, "malformed-body"),
        ("", b"{}", {"authorization": "Bearer llms_wrong"}, 401, "unauthorized"),
        ("", b"{}", {"authorization": "Basic abc"}, 401, "unauthorized"),
        ("", b"{}", {"authorization": ""}, 401, "unauthorized"),
    ],
)
async def test_every_refusal_is_a_problem_document(
    client: httpx.AsyncClient,
    path: str,
    body: bytes,
    headers: dict[str, str],
    status: int,
    problem: str,
) -> None:
    answer = await client.post(f"/api/v1/events/ingest{path}", content=body, headers=headers)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    document = answer.json()
    assert document["type"].endswith(problem)
    assert document["status"] == status
    assert document["detail"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/api/v1/nothing", 404), ("GET", "/api/v1/events/ingest", 405)],
)
async def test_a_wrong_path_or_method_is_a_problem_document(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    answer = await client.request(method, path)
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_empty_batch_is_accepted_and_stores_nothing(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/v1/events/ingest/batch", json=[])
    assert (answer.status_code, answer.json()) == (202, {"accepted": [], "rejected": []})


async def test_pages_of_recent_events_are_complete_and_disjoint(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    start = datetime(2026, 11, 22, tzinfo=UTC)
    batch = [
        {**EVENT, "event_id": str(uuid4()), "started_at": (start + timedelta(n // 2)).isoformat(),
         "provider_name": "openai" if n % 2 else "anthropic",
         **({"error_type": "timeout"} if n == 4 else {})}
        for n in range(-5, 2)
    ]  # fmt: skip
    await client.post("/api/v1/events/ingest/batch", json=batch)
    load_all(settings)
    seen, cursor = [], ""
    while cursor is not None:
        parameters = {"limit": 3, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/v1/events/recent", params=parameters)).json()
        seen += [e["event_id"] for e in page["events"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 7
    filtered = await client.get("/api/v1/events/recent", params={"provider_name": "openai"})
    assert {e["provider_name"] for e in filtered.json()["events"]} == {"openai"}


@pytest.mark.parametrize(
    ("parameters", "field"),
    [({"limit": 0}, "limit"), ({"cursor": "bogus"}, "cursor"), ({"status": "odd"}, "status")],
)
async def test_a_bad_parameter_is_named(
    client: httpx.AsyncClient, parameters: dict[str, str], field: str
) -> None:
    answer = await client.get("/api/v1/events/recent", params=parameters)
    assert answer.status_code == 422
    assert field in answer.json()["detail"]


async def test_scopes_expiry_and_revocation_are_honoured(
    client: httpx.AsyncClient, settings: Settings, key: str
) -> None:
    with psycopg.connect(settings.database_url) as connection:
        project_id = seed.ensure_project(connection, seed.PROJECT)
        reading = seed.create_key(connection, project_id, "reading")
        connection.execute(
            "update app.api_keys set scopes = '{read}' where key_hash = %s",
            [auth.hash_key(reading)],
        )
    app_keys = client._transport.app.state.services.keys  # type: ignore[attr-defined]
    await app_keys.refresh()
    headers = {"X-API-Key": reading, "Authorization": ""}
    assert (
        await client.post("/api/v1/events/ingest", json=EVENT, headers=headers)
    ).status_code == 403
    assert (await client.get("/api/v1/events/recent", headers=headers)).status_code == 200
    with psycopg.connect(settings.database_url) as connection:
        connection.execute(
            "update app.api_keys set expires_at = now() - interval '1 s' where name = 'reading'"
        )
        connection.execute("update app.api_keys set revoked_at = now() where name != 'reading'")
    await app_keys.refresh()
    assert (await client.get("/api/v1/events/recent", headers=headers)).status_code == 401
    assert (await client.post("/api/v1/events/ingest", json=EVENT)).status_code == 401


async def test_ingestion_goes_on_while_postgres_is_away(settings: Settings, key: str) -> None:
    async with serving(settings) as first:
        await first.post("/api/v1/events/ingest", json=EVENT, headers={"X-API-Key": key})
    away = settings.model_copy(update={"database_url": "postgresql://127.0.0.1:1/none"})
    async with serving(away) as client:
        client.headers["X-API-Key"] = key
        assert (await client.post("/api/v1/events/ingest", json=EVENT)).status_code == 202
        assert (await client.get("/api/v1/events/recent")).status_code == 503


async def test_redis_away_is_503_with_retry_after(settings: Settings, key: str) -> None:
    away = settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"})
    async with serving(away) as client:
        client.headers["X-API-Key"] = key
        answer = await client.post("/api/v1/events/ingest", json=EVENT)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()["checks"][0]["name"]) == (503, "redis")
        assert (await client.get("/healthz")).status_code == 200


async def test_a_full_stream_is_503(settings: Settings, key: str) -> None:
    async with serving(settings.model_copy(update={"max_stream_entries": 1})) as client:
        client.headers["X-API-Key"] = key
        assert (await client.post("/api/v1/events/ingest", json=EVENT)).status_code == 202
        assert (await client.post("/api/v1/events/ingest", json=EVENT)).status_code == 503
        checks = (await client.get("/readyz")).json()["checks"]
        assert {c["name"]: c["state"] for c in checks}["stream"] == "failed"


async def test_a_lax_redis_is_refused_where_durability_is_required(settings: Settings) -> None:
    client = redis.Redis.from_url(settings.redis_url)
    client.config_set("appendfsync", "everysec")
    try:
        required = settings.model_copy(update={"durability": "require"})
        with pytest.raises(SettingsError, match="appendfsync"):
            async with serving(required):
                pass
    finally:
        client.config_set("appendfsync", "always")


async def test_the_documents_describe_the_contract(client: httpx.AsyncClient) -> None:
    schema = (await client.get("/api/v1/events/schema")).json()
    assert "input_tokens" in schema["properties"]
    document = (await client.get("/openapi.json")).json()
    answers = document["paths"]["/api/v1/events/ingest/batch"]["post"]["responses"]
    assert {"202", "400", "401", "403", "413", "415", "422", "503"} <= set(answers)


async def test_report_pages_are_served_as_they_are_published(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    assert (await client.get("/reports/")).status_code == 503
    site = settings.home / "reports" / "site"
    (site / "_app" / "immutable").mkdir(parents=True)
    (site / "index.html").write_text("<h1>pages</h1>")
    (site / "_app" / "immutable" / "x.wasm").write_bytes(b"wasm")
    page = await client.get("/reports/models/gpt-4o")
    assert (page.status_code, page.text) == (200, "<h1>pages</h1>")
    assert page.headers["cache-control"] == "no-cache"
    module = await client.get("/reports/_app/immutable/x.wasm")
    assert module.headers["content-type"] == "application/wasm"
    assert "immutable" in module.headers["cache-control"]
    assert (await client.get("/reports/missing.js")).status_code == 404
    assert (await client.get("/reports/../../api_key")).status_code in {307, 404}


def test_the_first_key_is_shown_once_and_kept_private(settings: Settings, key: str) -> None:
    path = settings.home / seed.KEY_FILE
    assert path.read_text().strip() == key
    assert path.stat().st_mode & 0o777 == 0o600
    assert key.startswith(auth.KEY_PREFIX)
    assert seed.seed(settings.database_url, settings.home) is None
