"""Results of a batch are recorded once, when they are read, at the price of a batch."""

from __future__ import annotations

import json
from typing import Any

import anthropic
import openai

import llmscope
from tests.conftest import recorded
from tests.door import Door
from tests.providers import CHAT, MESSAGE, USAGE, http_of

BODY = {**CHAT, "created": 1_760_000_000, "choices": [], "usage": USAGE}
OPENAI_LINES = [
    {"id": "batch_req_1", "custom_id": "a", "error": None,
     "response": {"status_code": 200, "request_id": "r", "body": BODY}},
    {"id": "batch_req_2", "custom_id": "b", "error": None,
     "response": {"status_code": 400, "request_id": "r", "body": {"error": {"message": "No"}}}},
]  # fmt: skip
ANTHROPIC_LINES: list[dict[str, Any]] = [
    {"custom_id": "a", "result": {"type": "succeeded", "message": MESSAGE}},
    {"custom_id": "b", "result": {"type": "expired"}},
]
BATCH = {
    "id": "msgbatch_1", "type": "message_batch", "processing_status": "ended",
    "created_at": "2026-11-01T10:00:00Z", "expires_at": "2026-11-02T10:00:00Z",
    "results_url": "https://api.anthropic.com/v1/messages/batches/msgbatch_1/results",
    "request_counts": {"processing": 0, "succeeded": 1, "errored": 0, "canceled": 0, "expired": 1},
}  # fmt: skip


def jsonl(lines: list[Any]) -> bytes:
    return "\n".join(json.dumps(line) for line in lines).encode()


def test_results_of_openai_are_recorded_and_reading_them_again_is_the_same_event(
    recording: Door,
) -> None:
    http = http_of(openai)

    def answer(request: Any) -> Any:
        return http.Response(200, content=jsonl(OPENAI_LINES))

    transport = http.Client(transport=http.MockTransport(answer))
    client = openai.OpenAI(api_key="k", http_client=transport, max_retries=0)
    llmscope.instrument()
    assert client.files.content("file-1").content == jsonl(OPENAI_LINES)
    (event,) = recorded(recording)
    assert (event["input_tokens"], event["service_tier"]) == (12, "batch")
    assert event["started_at"].startswith("2025-10-09T08:53:20")
    assert event["response_model"] == "gpt-4o-2024"
    with client.files.with_streaming_response.content("file-1") as streamed:
        assert streamed.read() == jsonl(OPENAI_LINES)
    (again,) = recorded(recording)
    assert (again["event_id"], again["started_at"]) == (event["event_id"], event["started_at"])


def test_results_of_anthropic_are_recorded_at_the_time_of_their_batch(recording: Door) -> None:
    http = http_of(anthropic)

    def answer(request: Any) -> Any:
        if request.url.path.endswith("/results"):
            return http.Response(200, content=jsonl(ANTHROPIC_LINES) + b"\n")
        return http.Response(200, json=BATCH)

    transport = http.Client(transport=http.MockTransport(answer))
    client = anthropic.Anthropic(api_key="k", http_client=transport, max_retries=0)
    batches = getattr(client.messages, "batches", None) or client.beta.messages.batches
    llmscope.instrument()
    assert [result.custom_id for result in batches.results("msgbatch_1")] == ["a", "b"]
    (event,) = recorded(recording)
    assert (event["input_tokens"], event["service_tier"]) == (100, "batch")
    assert event["started_at"].startswith("2026-11-01T10:00:00")
    list(batches.results("msgbatch_1"))
    (again,) = recorded(recording)
    assert again["event_id"] == event["event_id"]
