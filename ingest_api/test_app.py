"""What every request passes: ids, unexpected errors, CORS, wrong paths and methods."""

import logging

import httpx
import pytest

from ingest_api.app import Api
from ingest_api.settings import Settings
from ingest_api.test_ingest import EVENT, INGEST
from tests.serving import serving

ORIGIN = "https://app.example.com"


WRONG = [
    ("GET", "/", 404),
    ("GET", "/api/v1/nothing", 404),
    ("GET", "/healthz/", 404),
    ("GET", INGEST, 405),
    ("HEAD", INGEST, 405),
    ("OPTIONS", INGEST, 405),
    ("DELETE", "/api/v1/events/recent", 405),
    ("OPTIONS", "/healthz", 405),
]


async def test_a_wrong_path_or_method_is_a_problem_document(client: httpx.AsyncClient) -> None:
    for method, path, status in WRONG:
        answer = await client.request(method, path)
        assert answer.status_code == status, (method, path)
        assert answer.headers["content-type"] == "application/problem+json"
        assert ("allow" in answer.headers) == (status == 405)


async def test_every_answer_carries_a_request_id_of_its_own(client: httpx.AsyncClient) -> None:
    paths = [INGEST, "/healthz", "/nothing", "/reports/"] * 3
    ids = {(await client.get(path)).headers["x-request-id"] for path in paths}
    assert len(ids) == len(paths)


async def test_a_sane_request_id_is_taken_over(client: httpx.AsyncClient) -> None:
    for sent, is_kept in {
        "abc.DEF_1-2": True, "a" * 128: True, "a" * 129: False, "a b": False, "": False,
    }.items():  # fmt: skip
        answer = await client.post(INGEST, json={}, headers={"X-Request-Id": sent})
        assert (answer.headers["x-request-id"] == sent) == is_kept
        assert answer.json()["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(("method", "path"), [("POST", INGEST), ("GET", "/api/v1/events/recent")])
async def test_an_unexpected_error_tells_nothing_but_the_request_id(
    client: httpx.AsyncClient,
    app: Api,
    caplog: pytest.LogCaptureFixture,
    method: str,
    path: str,
) -> None:
    class Broken:
        async def find(self, *_: object) -> None:
            raise LookupError(f"the event said {EVENT['event_id']}")

    object.__setattr__(app.state.services, "keys", Broken())
    with caplog.at_level(logging.ERROR):
        answer = await client.request(method, path, json=EVENT)
    assert (answer.status_code, answer.json()["type"][-14:]) == (500, "internal-error")
    assert answer.headers["content-type"] == "application/problem+json"
    identity = answer.headers["x-request-id"]
    assert answer.json()["request_id"] == identity
    assert EVENT["event_id"] not in answer.text + caplog.text
    assert f"request {identity} failed: LookupError" in caplog.text
    assert "in find" in caplog.text


async def test_cors_is_off_by_default(client: httpx.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"Origin": ORIGIN})
    assert "access-control-allow-origin" not in answer.headers


async def test_pages_of_a_configured_origin_may_send_events(settings: Settings, key: str) -> None:
    configured = settings.model_copy(update={"cors_origins": (ORIGIN,)})
    async with serving(configured) as client:
        asked = {
            "Origin": ORIGIN,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "authorization, content-type",
        }
        preflight = await client.options(INGEST, headers=asked)
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == ORIGIN
        headers = {"Origin": ORIGIN, "X-API-Key": key}
        answer = await client.post(INGEST, json=EVENT, headers=headers)
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "X-Request-Id" in answer.headers["access-control-expose-headers"]
        stranger = await client.get("/healthz", headers={"Origin": "https://other.example.com"})
        assert "access-control-allow-origin" not in stranger.headers


def test_origins_are_separated_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMSCOPE_CORS_ORIGINS", f"{ORIGIN}, https://b.example.com,")
    read = Settings(database_url="postgresql://a/b", redis_url="redis://a")
    assert read.cors_origins == (ORIGIN, "https://b.example.com")
