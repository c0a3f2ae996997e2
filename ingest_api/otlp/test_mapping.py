"""The rules of the mapping, each on a span that needs it."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid5

import pytest

from ingest_api.events import Event, json_text
from ingest_api.otlp.aliases import is_known, keep_all
from ingest_api.otlp.decoding import JSON, decode
from ingest_api.otlp.mapping import event_id_of, map_spans
from ingest_api.otlp.providers import canonical, provider_at
from tests.otlp_spans import START_NANO, TRACE_ID, as_json, moment, request, span

PROJECT = UUID(int=1)
GEN_AI = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o",
    "gen_ai.response.model": "gpt-4o-2024-08-06",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 5,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.system": "openai",
    "llm.model_name": "gpt-4o",
    "llm.token_count.prompt": 20,
    "llm.token_count.completion": 5,
}
VERCEL = {
    "ai.operationId": "ai.generateText.doGenerate",
    "ai.model.provider": "openai.responses",
    "ai.model.id": "gpt-4o",
    "ai.usage.inputTokens": 20,
    "ai.usage.outputTokens": 5,
}
LOGFIRE = "logfire.openai"


def events_of(
    *spans: Any, scope: str = "test", content: bool = False, **resource: Any
) -> list[Event]:
    named = {key.replace("__", "."): item for key, item in resource.items()}
    body = as_json(request(*spans, scope=scope, resource=named))
    decoded = decode(body, JSON, keep_all if content else is_known)
    assert decoded.rejected == []
    return [call.event for call in map_spans(decoded.spans, PROJECT, with_content=content)]


def event_of(attributes: dict[str, Any], scope: str = "test", **fields: Any) -> Event:
    [event] = events_of(span(attributes, **fields), scope=scope)
    return event


def test_an_id_is_the_uuid5_of_project_trace_and_span() -> None:
    for number in range(50):
        expected = uuid5(PROJECT, f"{TRACE_ID}:{number:016x}")
        assert event_id_of(PROJECT, TRACE_ID, f"{number:016x}") == expected


def without(attributes: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in attributes.items() if name not in names}


@pytest.mark.parametrize(
    ("scope", "attributes", "fields", "operation"),
    [
        ("any", GEN_AI, {}, "chat"),
        ("any", {**GEN_AI, "gen_ai.operation.name": "embeddings"}, {}, "embeddings"),
        ("any", {**GEN_AI, "gen_ai.operation.name": "invoke_agent"}, {}, None),
        ("any", {**GEN_AI, "gen_ai.operation.name": "execute_tool"}, {}, None),
        ("any", without(GEN_AI, "gen_ai.operation.name"), {}, "chat"),
        ("pydantic-ai", {"model_name": "gpt-4o", "gen_ai.usage.input_tokens": 20}, {}, None),
        ("any", {"http.response.status_code": 200}, {}, None),
        ("openinference.any", OPENINFERENCE, {}, "chat"),
        ("openinference.any", {**OPENINFERENCE, "openinference.span.kind": "AGENT"}, {}, None),
        ("openinference.any", {**OPENINFERENCE, "openinference.span.kind": "CHAIN"}, {}, None),
        (
            "openinference.instrumentation.beeai",
            OPENINFERENCE,
            {"name": "backend.openai.chat.start-1"},
            "chat",
        ),
        (
            "openinference.instrumentation.beeai",
            OPENINFERENCE,
            {"name": "backend.openai.chat.success-1"},
            None,
        ),
        ("ai", VERCEL, {}, "chat"),
        ("ai", {**VERCEL, "ai.operationId": "ai.generateText"}, {}, None),
        ("ai", {**VERCEL, "ai.operationId": "ai.embed.doEmbed"}, {}, "embeddings"),
        ("ai", {**VERCEL, "ai.operationId": "ai.toolCall"}, {}, None),
        (
            "ai",
            {"operation.name": "ai.embed.doEmbed my.function", "ai.model.id": "m"},
            {},
            "embeddings",
        ),
        (
            "opentelemetry.instrumentation.openai.v1",
            {"llm.request.type": "completion", "gen_ai.request.model": "m"},
            {},
            "text_completion",
        ),
        ("litellm", {"llm.request.type": "acompletion", "gen_ai.request.model": "m"}, {}, "chat"),
        (
            "opentelemetry.instrumentation.langchain",
            {**GEN_AI, "traceloop.span.kind": "workflow"},
            {},
            None,
        ),
        ("langsmith", {**GEN_AI, "langsmith.span.kind": "chain"}, {}, None),
        ("langsmith", {**GEN_AI, "langsmith.span.kind": "llm"}, {}, "chat"),
        ("langfuse-sdk", {**GEN_AI, "langfuse.observation.type": "agent"}, {}, None),
        ("pydantic-ai", {**GEN_AI, "logfire.span_type": "pending_span"}, {}, None),
        ("openlit", {}, {"name": "chat gpt-4o", "status": {"code": 2}}, "chat"),
        ("openlit", {}, {"name": "chat gpt-4o"}, None),
    ],
)
def test_a_call_is_told_from_what_surrounds_it(
    scope: str, attributes: dict[str, Any], fields: dict[str, Any], operation: str | None
) -> None:
    events = events_of(span(attributes, **fields), scope=scope)
    assert [event.operation_name for event in events] == ([operation] if operation else [])


def test_the_opening_of_a_logfire_stream_is_no_call_and_its_end_is() -> None:
    asked = {**without(GEN_AI, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens")}
    opening = span({**asked, "logfire.span_type": "span"}, 1)
    end = START_NANO + 5_000_000_000
    closing = span(
        {**GEN_AI, "logfire.span_type": "log", "duration": 3.5},
        2,
        startTimeUnixNano=str(end),
        endTimeUnixNano=str(end),
    )
    [event] = events_of(opening, closing, scope=LOGFIRE)
    assert (event.span_id, event.input_tokens, event.is_stream) == ("0000000000000002", 20, True)
    assert event.ended_at is not None
    assert (event.ended_at - event.started_at).total_seconds() == 3.5
    assert events_of(opening, scope=LOGFIRE) == []
    failed = {**opening, "status": {"code": 2}}
    assert len(events_of(failed, scope=LOGFIRE)) == 1


def test_a_framework_above_its_client_is_the_same_call() -> None:
    upper, lower = span(OPENINFERENCE, 1), span(GEN_AI, 2, parentSpanId=f"{1:016x}")
    assert [event.span_id for event in events_of(upper, lower)] == ["0000000000000002"]
    assert [event.span_id for event in events_of(lower, upper)] == ["0000000000000002"]
    silent = span(
        without(GEN_AI, "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
        2,
        parentSpanId=f"{1:016x}",
    )
    assert [event.span_id for event in events_of(upper, silent)] == ["0000000000000001"]


def test_calls_below_a_tool_or_of_another_kind_are_calls_of_their_own() -> None:
    tool = span({"openinference.span.kind": "TOOL"}, 2, parentSpanId=f"{1:016x}")
    below = span(OPENINFERENCE, 3, parentSpanId=f"{2:016x}")
    embedding = {**OPENINFERENCE, "openinference.span.kind": "EMBEDDING"}
    beside = span(embedding, 4, parentSpanId=f"{1:016x}")
    assert len(events_of(span(OPENINFERENCE, 1), tool, below, beside)) == 3


ANTHROPIC_USAGE = {
    "input_tokens": 4,
    "cache_read_input_tokens": 100,
    "cache_creation_input_tokens": 10,
    "output_tokens": 5,
}


@pytest.mark.parametrize(
    ("scope", "attributes", "expected"),
    [
        # Inclusive by their dialect.
        (
            "logfire.anthropic",
            {
                "gen_ai.usage.input_tokens": 114,
                "gen_ai.usage.raw": json.dumps(ANTHROPIC_USAGE),
            },
            (114, 5, 100, 10, None),
        ),
        (
            "openinference.any",
            {
                "gen_ai.usage.input_tokens": 110,
                "gen_ai.usage.cache_read.input_tokens": 100,
                "gen_ai.usage.cache_creation.input_tokens": 100,
            },
            (110, 5, 100, 100, None),
        ),
        # Exclusive: OpenLIT hands Anthropic's counts on.
        (
            "openlit",
            {
                "gen_ai.system": "anthropic",
                "gen_ai.provider.name": "anthropic",
                "gen_ai.usage.input_tokens": 200,
                "gen_ai.usage.cache_read_input_tokens": 100,
            },
            (300, 5, 100, None, None),
        ),
        # Exclusive: the input is what the provider says without its cache.
        (
            "ai",
            {
                "gen_ai.usage.input_tokens": 400,
                "ai.response.providerMetadata": json.dumps(
                    {"anthropic": {"usage": {**ANTHROPIC_USAGE, "input_tokens": 400}}}
                ),
            },
            (510, 5, 100, 10, None),
        ),
        # Unknown: the input cannot hold its parts.
        (
            "any",
            {
                "gen_ai.usage.input_tokens": 90,
                "gen_ai.usage.cache_read.input_tokens": 60,
                "gen_ai.usage.cache_write.input_tokens": 40,
            },
            (190, 5, 60, 40, None),
        ),
        (
            "any",
            {"gen_ai.usage.input_tokens": 100, "gen_ai.usage.cache_read.input_tokens": 60},
            (100, 5, 60, None, None),
        ),
        # Unknown: the total tells.
        (
            "any",
            {
                "gen_ai.usage.input_tokens": 100,
                "gen_ai.usage.cache_read.input_tokens": 60,
                "gen_ai.usage.total_tokens": 165,
            },
            (160, 5, 60, None, None),
        ),
        (
            "any",
            {"gen_ai.usage.reasoning_tokens": 30, "gen_ai.usage.total_tokens": 55},
            (20, 35, None, None, 30),
        ),
        (
            "any",
            {"gen_ai.usage.reasoning_tokens": 3, "gen_ai.usage.total_tokens": 25},
            (20, 5, None, None, 3),
        ),
        # Texts and whole numbers written as real ones.
        ("any", {"gen_ai.usage.input_tokens": "100"}, (100, 5, None, None, None)),
        ("any", {"gen_ai.usage.input_tokens": 100.0}, (100, 5, None, None, None)),
        ("any", {"gen_ai.usage.input_tokens": "many"}, (None, 5, None, None, None)),
    ],
)
def test_token_counts_are_made_inclusive(
    scope: str, attributes: dict[str, Any], expected: tuple[int | None, ...]
) -> None:
    event = event_of({**GEN_AI, **attributes}, scope)
    assert (
        event.input_tokens,
        event.output_tokens,
        event.cache_read_input_tokens,
        event.cache_write_input_tokens,
        event.reasoning_output_tokens,
    ) == expected


def test_usage_is_kept_verbatim() -> None:
    raw = {
        "input_tokens": 4,
        "output_tokens": 5,
        "cache_creation": {"ephemeral_1h_input_tokens": 3},
    }
    event = event_of({**GEN_AI, "gen_ai.usage.raw": json.dumps(raw)})
    assert json.loads(json_text(event.usage_details) or "") == raw
    assert event.cache_write_1h_input_tokens == 3
    sent = event_of(GEN_AI).usage_details
    assert json.loads(json_text(sent) or "") == {
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 5,
    }


def test_no_usage_is_unknown_and_not_zero() -> None:
    event = event_of({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
    assert (event.input_tokens, event.output_tokens) == (None, None)
    assert json_text(event.usage_details) is None


def test_counts_of_openlits_own_are_estimates() -> None:
    streamed = {**GEN_AI, "gen_ai.request.is_stream": True}
    assert event_of(streamed, "openlit").usage_source is None
    chat_completion = {**streamed, "gen_ai.request.seed": ""}
    assert event_of(chat_completion, "openlit").usage_source == "estimated"


@pytest.mark.parametrize(
    ("attributes", "fields", "expected"),
    [
        ({}, {}, (None, None, None)),
        ({"error.type": "timeout"}, {}, ("timeout", None, None)),
        (
            {"error.type": "RateLimitError"},
            {"status": {"code": 2, "message": "Error code: 429 - slow down"}},
            ("RateLimitError", "Error code: 429 - slow down", 429),
        ),
        (
            {},
            {
                "status": {"code": 2},
                "events": [
                    moment(
                        "exception", exception__type="openai.APIError", exception__message="gone"
                    )
                ],
            },
            ("APIError", "gone", None),
        ),
        (
            {"http.response.status_code": 503},
            {"status": {"code": "STATUS_CODE_ERROR"}},
            ("_OTHER", None, 503),
        ),
    ],
)
def test_errors(attributes: dict[str, Any], fields: dict[str, Any], expected: Any) -> None:
    event = event_of({**GEN_AI, **attributes}, **fields)
    assert (event.error_type, event.error_message, event.http_status_code) == expected


def openlit_failure(frame: str) -> dict[str, Any]:
    stack = (
        'Traceback (most recent call last):\n  File "/x/openlit/instrumentation/anthropic/'
        f'anthropic.py", line 1, in wrapper\n  File "{frame}", line 2, in post\nE: x\n'
    )
    raised = moment("exception", exception__type="x.NotFoundError", exception__stacktrace=stack)
    return span({}, name="chat claude-opus-4", status={"code": 2}, events=[raised])


def test_openlits_own_failure_is_no_failure_of_the_call() -> None:
    [failed] = events_of(openlit_failure("/x/anthropic/_base_client.py"), scope="openlit")
    assert (failed.provider_name, failed.request_model) == ("anthropic", "claude-opus-4")
    assert failed.error_type == "NotFoundError"
    [answered] = events_of(openlit_failure("/x/openlit/utils.py"), scope="openlit")
    assert answered.error_type is None


def test_ids_times_and_labels_are_kept() -> None:
    attributes = {**GEN_AI, "session.id": "s-1", "user.id": "u-1", "gen_ai.response.id": "r-1"}
    [event] = events_of(
        span(attributes, parentSpanId=f"{9:016x}"),
        deployment__environment="production",
        service__name="support",
    )
    assert (event.trace_id, event.span_id, event.parent_span_id) == (
        TRACE_ID,
        f"{1:016x}",
        f"{9:016x}",
    )
    assert event.started_at == datetime.fromtimestamp(START_NANO // 10**9, UTC)
    assert event.ended_at is not None
    assert (event.ended_at - event.started_at).total_seconds() == 2
    assert (event.conversation_id, event.user_id, event.response_id) == ("s-1", "u-1", "r-1")
    assert (event.environment, event.service_name) == ("production", "support")
    assert (event.sdk_name, event.sdk_version) == ("test", "1.2")


def test_the_same_span_is_the_same_event_and_in_another_project_another() -> None:
    body = as_json(request(span(GEN_AI)))
    spans = decode(body, JSON, is_known).spans
    ids = [map_spans(spans, UUID(int=n))[0].event.event_id for n in (1, 1, 2)]
    assert ids[0] == ids[1] != ids[2]
    [in_another_trace] = events_of(span(GEN_AI, traceId="f" * 32))
    assert in_another_trace.event_id != ids[0]


@pytest.mark.parametrize(
    ("attributes", "events", "expected"),
    [
        ({"gen_ai.response.time_to_first_chunk": 0.5}, [], 0.5),
        ({"ai.response.msToFirstChunk": 250.0}, [], 0.25),
        ({"gen_ai.request.stream": False, "gen_ai.server.time_to_first_token": 2.0}, [], None),
        ({}, [moment("First Token Stream Event", 0.75)], 0.75),
        ({}, [moment("gen_ai.content.completion.chunk", n / 4) for n in (1, 2, 3)], 0.25),
        ({}, [moment("gen_ai.content.completion.chunk", -1)], None),
    ],
)
def test_time_to_first_chunk(
    attributes: dict[str, Any], events: list[dict[str, Any]], expected: float | None
) -> None:
    event = event_of({**GEN_AI, **attributes}, events=events)
    assert event.time_to_first_chunk_seconds == expected
    assert event.is_stream is (True if events else attributes.get("gen_ai.request.stream"))


@pytest.mark.parametrize(
    ("attributes", "provider"),
    [
        ({"gen_ai.system": "OpenAI"}, "openai"),
        ({"gen_ai.system": "openai", "server.address": "api.groq.com"}, "groq"),
        ({"gen_ai.provider.name": "openai", "server.address": "localhost"}, "openai"),
        (
            {
                "gen_ai.system": "openai",
                "gen_ai.openai.api_base": "https://x.openai.azure.com/openai/deployments/y",
            },
            "azure.ai.openai",
        ),
        ({"gen_ai.system": "Langchain", "llm.provider": "mistralai"}, "mistral_ai"),
        ({"gen_ai.system": "Langchain"}, "unknown"),
        ({"gen_ai.system": "gcp.vertex.agent", "llm.provider": "google"}, "gcp.gen_ai"),
    ],
)
def test_the_provider_is_the_one_that_answered(attributes: dict[str, Any], provider: str) -> None:
    sent = {**without(GEN_AI, "gen_ai.provider.name"), **attributes}
    assert event_of(sent).provider_name == provider


@pytest.mark.parametrize(
    ("name", "provider"),
    [
        ("openai.chat", "openai"),
        ("anthropic.messages", "anthropic"),
        ("google.generative-ai", "gcp.gemini"),
        ("google.vertex.chat", "gcp.vertex_ai"),
        ("amazon-bedrock", "aws.bedrock"),
        ("azure-openai.responses", "azure.ai.openai"),
        ("xai.chat", "x_ai"),
        ("ibm.watsonx.ai", "ibm.watsonx.ai"),
        ("somebody.new", "somebody.new"),
    ],
)
def test_names_of_providers(name: str, provider: str) -> None:
    assert canonical(name) == provider


@pytest.mark.parametrize(
    ("address", "provider"),
    [
        ("https://user@api.mistral.ai:443/v1/", "mistral_ai"),
        ("bedrock-runtime.us-east-1.amazonaws.com", "aws.bedrock"),
        ("us-central1-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("http://localhost:8000/v1", None),
        ("http://[::1", None),
    ],
)
def test_addresses_of_providers(address: str, provider: str | None) -> None:
    assert provider_at(address) == provider


def test_long_labels_are_cut_and_never_cost_the_call() -> None:
    event = event_of(
        {**GEN_AI, "session.id": "s" * 1000, "user.id": "a\0b", "error.type": "e" * 999}
    )
    assert len(event.conversation_id or "") == 256
    assert event.user_id == "ab"
    assert len(event.error_type or "") == 128


def test_content_comes_only_where_it_is_allowed() -> None:
    messages = [{"role": "user", "content": "hello"}]
    spelled = {"llm.input_messages.0.message.role": "user", "gen_ai.completion.0.content": "hi"}
    listed = span({**GEN_AI, "gen_ai.input.messages": json.dumps(messages)})
    assert json_text(events_of(listed)[0].input_messages) is None
    [event] = events_of(listed, content=True)
    assert json.loads(json_text(event.input_messages) or "") == messages
    [event] = events_of(span({**GEN_AI, **spelled}), content=True)
    assert json.loads(json_text(event.input_messages) or "") == [{"role": "user"}]
    assert json.loads(json_text(event.output_messages) or "") == [{"content": "hi"}]
