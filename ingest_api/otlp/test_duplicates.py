"""One call seen by several layers: the client's own span, and an instrumentation's beside it."""

from typing import Any
from uuid import UUID

import pytest

from ingest_api.events import Event
from ingest_api.otlp.aliases import is_known
from ingest_api.otlp.decoding import JSON, decode
from ingest_api.otlp.mapping import map_spans
from tests.otlp_spans import START_NANO, as_json, request, span

PROJECT = UUID(int=1)
CLIENT_SCOPE = "com.anthropic.sdk.python"
CALL = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "anthropic",
    "gen_ai.request.model": "claude-sonnet-4-5",
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 5,
}
ANSWERED = {**CALL, "gen_ai.response.id": "msg_1"}
FAILED = {key: value for key, value in CALL.items() if "usage" not in key}


def events_of(own: list[Any], others: list[Any], service: str = "chat") -> list[Event]:
    sent = request(*own, scope=CLIENT_SCOPE, resource={"service.name": "chat"})
    other = request(*others, scope="any", resource={"service.name": service})
    sent["resourceSpans"] += other["resourceSpans"]
    spans = decode(as_json(sent), JSON, is_known).spans
    return [call.event for call in map_spans(spans, PROJECT)]


def in_trace(number: int, attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """Both layers begin a trace of their own where no span is current."""
    return span(attributes, number, traceId=f"{number:032x}", **fields)


def later(seconds: float) -> dict[str, str]:
    start = START_NANO + int(seconds * 1e9)
    return {"startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 10**9)}


def test_spans_of_one_answer_are_one_call_that_knows_what_either_knows() -> None:
    other = {**ANSWERED, "user.id": "ann", "gen_ai.usage.output_tokens": 6}
    [event] = events_of([in_trace(1, ANSWERED)], [in_trace(2, other)])
    assert event.sdk_name == CLIENT_SCOPE
    assert (event.output_tokens, event.user_id) == (5, "ann")


@pytest.mark.parametrize(
    ("other", "fields", "service", "count"),
    [
        (CALL, {}, "chat", 1),
        (CALL, later(1.5), "chat", 1),
        (CALL, later(3), "chat", 2),
        (CALL, {}, "another process", 2),
        ({**CALL, "gen_ai.usage.output_tokens": 6}, {}, "chat", 2),
        ({**CALL, "gen_ai.request.model": "claude-opus-4-5"}, {}, "chat", 2),
        ({**CALL, "gen_ai.provider.name": "openai"}, {}, "chat", 2),
        ({**CALL, "gen_ai.operation.name": "embeddings"}, {}, "chat", 2),
        ({**CALL, "error.type": "timeout"}, {}, "chat", 2),
    ],
)
def test_without_an_id_two_spans_are_one_call_if_all_they_share_agrees(
    other: dict[str, Any], fields: dict[str, str], service: str, count: int
) -> None:
    assert len(events_of([in_trace(1, ANSWERED)], [in_trace(2, other, **fields)], service)) == count


def test_answers_with_different_ids_are_different_calls() -> None:
    other = {**ANSWERED, "gen_ai.response.id": "msg_2"}
    assert len(events_of([in_trace(1, ANSWERED)], [in_trace(2, other)])) == 2


def test_as_many_failed_calls_stay_as_there_were() -> None:
    status = {"status": {"code": 2}}
    own = [in_trace(number, FAILED, **status) for number in (1, 2)]
    others = [in_trace(number, FAILED, **status) for number in (3, 4, 5)]
    assert len(events_of(own, others)) == 3


def test_two_spans_of_instrumentations_beside_each_other_are_two_calls() -> None:
    assert len(events_of([], [in_trace(1, CALL), in_trace(2, CALL)])) == 2


def test_what_a_client_asks_for_besides_answers_is_no_call() -> None:
    counting = {key: CALL[key] for key in ("gen_ai.provider.name", "gen_ai.request.model")}
    assert events_of([in_trace(1, counting, name="anthropic.messages.count_tokens")], []) == []
    assert len(events_of([in_trace(1, CALL, name="anthropic.messages.create")], [])) == 1


def test_a_client_tells_what_was_cached_for_an_hour_and_the_tier_by_names_of_its_own() -> None:
    attributes = {
        **ANSWERED,
        "gen_ai.usage.cache_write.input_tokens": 10,
        "anthropic.usage.cache_creation.ephemeral_1h_input_tokens": 4,
        "anthropic.response.service_tier": "priority",
        "anthropic.message.stop_reason": "end_turn",
    }
    [event] = events_of([in_trace(1, attributes)], [])
    assert (event.cache_write_input_tokens, event.cache_write_1h_input_tokens) == (10, 4)
    assert (event.service_tier, event.response_finish_reasons) == ("priority", ["end_turn"])
