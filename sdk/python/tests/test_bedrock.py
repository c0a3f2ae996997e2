"""Calls through Bedrock and Vertex: AWS' own client, and those of anthropic."""

from __future__ import annotations

import base64
import gc
import io
import json
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest

import llmscope
from llmscope._instrumentation.covering import is_installed
from tests.conftest import recorded
from tests.door import Door
from tests.providers import CLAUDE_USAGE, MESSAGE, SAID, Parts, Provider, claude_events, http_of

if not is_installed("boto3"):
    pytest.skip("boto3 is not installed here", allow_module_level=True)

CONVERSED = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
    "stopReason": "end_turn", "metrics": {"latencyMs": 1},
    "usage": {"inputTokens": 10, "outputTokens": 5, "totalTokens": 105, "cacheReadInputTokens": 90},
}  # fmt: skip
CONVERSE_EVENTS = [
    ("messageStart", {"role": "assistant"}),
    ("contentBlockDelta", {"contentBlockIndex": 0, "delta": {"text": "Hi"}}),
    ("messageStop", {"stopReason": "end_turn"}),
    ("metadata", {"usage": CONVERSED["usage"], "metrics": {"latencyMs": 1}}),
]
COUNTED = {"input_tokens": 100, "output_tokens": 5, "cache_read_input_tokens": 90}
CLAUDE_COUNTED = {**COUNTED, "output_tokens": 25}
ASK: dict[str, Any] = {"model": "claude", "max_tokens": 9, "messages": SAID}
CONVERSE: dict[str, Any] = {
    "modelId": "nova",
    "messages": [{"role": "user", "content": [{"text": "Hi"}]}],
}


def frame(name: str, payload: bytes, kind: str = "event") -> bytes:
    """One frame of AWS' event streams."""
    headers = b""
    type_name = ":event-type" if kind == "event" else ":exception-type"
    for key, value in ((type_name, name), (":message-type", kind)):
        encoded = value.encode()
        headers += bytes([len(key)]) + key.encode() + b"\x07" + struct.pack("!H", len(encoded))
        headers += encoded
    prelude = struct.pack("!II", 16 + len(headers) + len(payload), len(headers))
    head = prelude + struct.pack("!I", zlib.crc32(prelude)) + headers + payload
    return head + struct.pack("!I", zlib.crc32(head))


def frames(events: list[tuple[str, Any]]) -> bytes:
    return b"".join(frame(name, json.dumps(data).encode()) for name, data in events)


def claude_frames() -> bytes:
    data = [event.partition(b"data: ")[2].strip() for event in claude_events()]
    packed = [("chunk", {"bytes": base64.b64encode(text).decode()}) for text in data]
    return frames(packed)


def counts(event: dict[str, Any]) -> dict[str, int]:
    return {name: value for name, value in event.items() if name.endswith("_tokens")}


class Aws:
    """Answers a boto3 client.

    Attributes:
        body: Of the next answers.
    """

    def __init__(self) -> None:
        import boto3

        self.client = boto3.client(
            "bedrock-runtime", region_name="us-east-1", aws_access_key_id="k",
            aws_secret_access_key="s",
        )  # fmt: skip
        self.client.meta.events.register_first("before-send.bedrock-runtime", self._answer)
        self.status, self.body, self.headers = 200, b"", {"content-type": "application/json"}

    def _answer(self, request: Any, **_: Any) -> Any:
        import urllib3
        from botocore.awsrequest import AWSResponse

        raw = urllib3.HTTPResponse(io.BytesIO(self.body), preload_content=False)
        return AWSResponse(request.url, self.status, self.headers, raw)


@pytest.fixture(scope="module")
def shared_aws() -> Aws:
    return Aws()


@pytest.fixture
def aws(shared_aws: Aws, recording: Door) -> Iterator[Aws]:
    llmscope.instrument()
    yield shared_aws
    shared_aws.status, shared_aws.headers = 200, {"content-type": "application/json"}


def test_converse_and_its_stream_are_recorded(aws: Aws, recording: Door) -> None:
    aws.body = json.dumps(CONVERSED).encode()
    assert aws.client.converse(**CONVERSE)["stopReason"] == "end_turn"
    aws.body = frames(CONVERSE_EVENTS)
    stream = aws.client.converse_stream(**CONVERSE)["stream"]
    assert type(stream).__name__ == "EventStream"
    assert [next(iter(event)) for event in stream] == [name for name, _ in CONVERSE_EVENTS]
    for event in recorded(recording):
        assert counts(event) == COUNTED
        assert (event["provider_name"], event["request_model"]) == ("aws.bedrock", "nova")
        assert event["usage_source"] == "provider"


def test_a_converse_stream_that_is_left_or_fails_is_recorded(aws: Aws, recording: Door) -> None:
    aws.body = frames(CONVERSE_EVENTS)
    stream = aws.client.converse_stream(**CONVERSE)["stream"]
    next(iter(stream))
    stream.close()
    aws.body = frames(CONVERSE_EVENTS[:2]) + frame(
        "throttlingException", b'{"message": "Slow down."}', "exception"
    )
    failing = aws.client.converse_stream(**CONVERSE)["stream"]
    with pytest.raises(Exception, match="Slow down"):
        list(failing)
    left, failed = recorded(recording)
    assert (left["usage_source"], "error_type" in left) == ("missing", False)
    assert failed["error_type"] == "throttlingException"
    assert failed["error_message"] == "Slow down."


def test_a_model_s_own_answer_is_recorded_however_it_is_read(aws: Aws, recording: Door) -> None:
    aws.body = json.dumps({"text": "Hi", "finish_reason": "COMPLETE"}).encode()
    aws.headers = {
        "content-type": "application/json", "x-amzn-bedrock-input-token-count": "7",
        "x-amzn-bedrock-output-token-count": "3",
    }  # fmt: skip

    def ask() -> Any:
        return aws.client.invoke_model(modelId="cohere.command-r", body=b'{"message": "Hi"}')

    assert ask()["body"].read() == aws.body
    assert b"".join(ask()["body"].iter_chunks(5)) == aws.body
    with ask()["body"] as body:
        assert body.read() == aws.body
    unread = ask()
    del unread, body
    gc.collect()
    events = recorded(recording)
    assert [counts(event) for event in events] == [{"input_tokens": 7, "output_tokens": 3}] * 4
    assert events[0]["response_finish_reasons"] == ["COMPLETE"]


def test_a_refused_call_is_recorded_with_its_status(aws: Aws, recording: Door) -> None:
    aws.status, aws.body = 400, b'{"message": "No such model."}'
    with pytest.raises(aws.client.exceptions.ClientError):
        aws.client.converse(**CONVERSE)
    (event,) = recorded(recording)
    assert (event["error_type"], event["http_status_code"]) == ("400", 400)
    assert "No such model." in event["error_message"]


def test_other_services_of_aws_are_left_alone() -> None:
    import boto3

    client = boto3.client(
        "sts", region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
    )
    with pytest.raises(llmscope.OptionError):
        llmscope.wrap(client)


def test_streams_of_anthropic_through_bedrock_have_usage(recording: Door) -> None:
    http = http_of(anthropic)

    def answer(request: Any) -> Any:
        if "stream" not in request.url.path:
            return http.Response(200, json={**MESSAGE, "stop_reason": "end_turn"})
        headers = {"content-type": "application/vnd.amazon.eventstream"}
        return http.Response(200, headers=headers, content=Parts(claude_frames(), None))

    client = anthropic.AnthropicBedrock(
        aws_access_key="k", aws_secret_key="s", aws_region="us-east-1", max_retries=0,
        http_client=http.Client(transport=http.MockTransport(answer)),
    )  # fmt: skip

    def both() -> Any:
        events = [event.to_dict() for event in client.messages.create(**ASK, stream=True)]
        return [client.messages.create(**ASK).to_dict(), events]

    plain = both()
    llmscope.instrument()
    assert both() == plain
    streamed, whole = recorded(recording)
    assert (counts(streamed), streamed["usage_source"]) == (CLAUDE_COUNTED, "provider")
    assert counts(whole)["input_tokens"] == 100
    assert whole["usage_details"] == CLAUDE_USAGE
    for event in (streamed, whole):
        assert (event["provider_name"], event["request_model"]) == ("aws.bedrock", "claude")


def test_streams_of_anthropic_through_vertex_have_usage(recording: Door) -> None:
    http = http_of(anthropic)

    def answer(request: Any) -> Any:
        provider = Provider(http)
        request.read()
        asked = http.Request("POST", "http://x/v1/messages", json={"model": "c", "stream": True})
        return provider(asked)

    client = anthropic.AnthropicVertex(
        access_token="t", project_id="p", region="us-east5", max_retries=0,
        http_client=http.Client(transport=http.MockTransport(answer)),
    )  # fmt: skip
    llmscope.instrument()
    assert len(list(client.messages.create(**ASK, stream=True))) == 6
    (event,) = recorded(recording)
    assert counts(event) == CLAUDE_COUNTED
    assert (event["provider_name"], event["request_model"]) == ("gcp.vertex_ai", "claude")
