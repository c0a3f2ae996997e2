"""OTLP/HTTP as exporters and collectors see it."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import psycopg
import redis
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceResponse,
)

from ingest_api.app import Api
from ingest_api.otlp.decoding import JSON, PROTOBUF
from ingest_api.settings import Settings
from ingest_api.stream import STREAM
from tests.otlp_spans import as_json, as_protobuf, request, span

TRACES = "/v1/traces"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 5,
}
AGENT = {**CALL, "gen_ai.operation.name": "invoke_agent"}


def now_span(attributes: dict[str, Any], number: int = 1, **fields: Any) -> dict[str, Any]:
    """A span of a moment ago: the raw table takes no others into its checks."""
    start = datetime.now(UTC) - timedelta(seconds=5)
    nano = int(start.timestamp()) * 10**9
    times = {"startTimeUnixNano": str(nano), "endTimeUnixNano": str(nano + 10**9)}
    return span(attributes, number, **{**times, **fields})


def stored(settings: Settings) -> list[dict[str, Any]]:
    with redis.Redis.from_url(settings.redis_url) as client:
        entries: Any = client.xrange(STREAM)
    return [event for _, fields in entries for event in json.loads(fields[b"events"])]


async def test_the_calls_of_a_request_are_stored_and_the_answer_is_empty(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    sent = request(now_span(AGENT, 1), now_span(CALL, 2, parentSpanId=f"{1:016x}"))
    for path in (TRACES, "/api/v1/otlp/v1/traces"):
        for media, body, empty in (
            (JSON, as_json(sent), b"{}"),
            (PROTOBUF, as_protobuf(sent), b""),
        ):
            headers = {"content-type": media, "content-encoding": "gzip"}
            answer = await client.post(path, content=gzip.compress(body), headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (200, media)
            assert answer.content == empty
    events = stored(settings)
    assert [(event["span_id"], event["input_tokens"]) for event in events] == [
        (f"{2:016x}", 20)
    ] * 4
    assert len({event["event_id"] for event in events}) == 1


async def test_a_retried_request_is_one_row(
    client: httpx.AsyncClient, settings: Settings, load_all: Callable[[], None]
) -> None:
    body = as_protobuf(request(now_span(CALL, 1), now_span(CALL, 2)))
    for _ in range(2):
        answer = await client.post(TRACES, content=body, headers={"content-type": PROTOBUF})
        assert answer.status_code == 200
    load_all()
    with psycopg.connect(settings.database_url) as connection:
        rows = connection.execute(
            "select span_id, provider_name, input_tokens from raw.llm_events order by span_id"
        ).fetchall()
    assert rows == [(f"{1:016x}", "openai", 20), (f"{2:016x}", "openai", 20)]


async def test_what_is_rejected_is_counted_and_named_and_costs_no_neighbour(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    nameless = {name: value for name, value in CALL.items() if name != "gen_ai.request.model"}
    spans = [now_span(CALL, 1), now_span(nameless, 2), now_span(CALL, 3, traceId="00" * 16)]
    headers = {"content-type": JSON}
    answer = await client.post(TRACES, content=as_json(request(*spans)), headers=headers)
    partial = answer.json()["partialSuccess"]
    assert (answer.status_code, partial["rejectedSpans"]) == (200, "2")
    headers = {"content-type": PROTOBUF}
    answer = await client.post(TRACES, content=as_protobuf(request(*spans)), headers=headers)
    found = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, found.rejected_spans) == (200, 2)
    for message in (partial["errorMessage"], found.error_message):
        assert "request_model: is missing" in message
        assert "32 hex digits" in message
    assert [event["span_id"] for event in stored(settings)] == [f"{1:016x}"] * 2


async def test_a_large_request_is_stored_in_parts(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    count = settings.max_batch_events + 1
    body = as_json(request(*[now_span(CALL, number + 1) for number in range(count)]))
    answer = await client.post(TRACES, content=body, headers={"content-type": JSON})
    assert (answer.status_code, answer.json()) == (200, {})
    assert len(stored(settings)) == count


REFUSED: list[tuple[bytes, dict[str, str], int]] = [
    (b"{", {}, 400),
    (b"[]", {}, 400),
    (b"\x0a\xff", {"content-type": PROTOBUF}, 400),
    (b"{}", {"content-encoding": "gzip"}, 400),
    (b"{}", {"authorization": "Bearer llms_wrong"}, 401),
    (b"\x0a\xff", {"authorization": "", "content-type": PROTOBUF}, 401),
    (b" " * 21_000_000, {}, 413),
    (b"{}", {"content-type": "text/plain"}, 415),
    (b"{}", {"content-encoding": "br"}, 415),
]


async def test_every_error_is_a_status_in_the_form_of_the_request(
    client: httpx.AsyncClient,
) -> None:
    for body, headers, status in REFUSED:
        answer = await client.post(TRACES, content=body, headers={"content-type": JSON, **headers})
        assert (answer.status_code, bool(answer.headers["x-request-id"])) == (status, True)
        if headers.get("content-type") == PROTOBUF:
            assert answer.headers["content-type"] == PROTOBUF
            assert ExportTracePartialSuccess.FromString(answer.content).error_message
        else:
            assert answer.headers["content-type"] == JSON
            assert answer.json()["message"]


async def test_a_key_may_come_as_exporters_send_it(client: httpx.AsyncClient) -> None:
    key = client.headers.pop("authorization").removeprefix("Bearer ")
    for headers in ({"X-API-Key": key}, {"Authorization": f"Bearer {key}"}):
        answer = await client.post(TRACES, json={}, headers=headers)
        assert answer.status_code == 200


async def test_a_limited_key_and_a_full_stream_say_when_to_come_again(
    client: httpx.AsyncClient, settings: Settings, app: Api
) -> None:
    with psycopg.connect(settings.database_url) as connection:
        connection.execute("update app.api_keys set max_events_per_second = 1")
    await app.state.services.keys.refresh()
    body, headers = as_json(request(now_span(CALL))), {"content-type": JSON}
    assert (await client.post(TRACES, content=body, headers=headers)).status_code == 200
    answer = await client.post(TRACES, content=body, headers=headers)
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) >= 1


async def test_logs_and_metrics_are_taken_with_a_warning(
    client: httpx.AsyncClient, settings: Settings
) -> None:
    for path in ("/v1/logs", "/v1/metrics", "/api/v1/otlp/v1/logs", "/api/v1/otlp/v1/metrics"):
        answer = await client.post(path, json={"resourceLogs": [{}]})
        assert answer.status_code == 200
        assert "traces alone" in answer.json()["partialSuccess"]["errorMessage"]
        headers = {"content-type": PROTOBUF}
        answer = await client.post(path, content=b"\x0a\x00", headers=headers)
        found = ExportTraceServiceResponse.FromString(answer.content).partial_success
        assert (found.rejected_spans, "traces alone" in found.error_message) == (0, True)
        answer = await client.post(path, json={}, headers={"authorization": "none"})
        assert answer.status_code == 401
    assert stored(settings) == []


async def test_the_documents_name_the_routes_and_both_forms(client: httpx.AsyncClient) -> None:
    document = (await client.get("/openapi.json")).json()
    for path in (TRACES, "/api/v1/otlp/v1/traces", "/v1/logs", "/v1/metrics"):
        operation = document["paths"][path]["post"]
        assert set(operation["requestBody"]["content"]) == {JSON, PROTOBUF}
        assert set(operation["responses"]["200"]["content"]) == {JSON, PROTOBUF}
        assert ("429" in operation["responses"]) == path.endswith("traces")
