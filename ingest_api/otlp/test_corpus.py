"""Real requests of real instrumentations: every call once, and as it was."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from ingest_api.otlp.aliases import is_known
from ingest_api.otlp.batches import Traces, read_traces
from ingest_api.otlp.decoding import JSON, PROTOBUF, decode
from ingest_api.otlp.mapping import Call, map_spans
from tests.otlp_corpus import DIALECTS, differences, recordings
from tests.otlp_spans import as_json

PROJECT = UUID(int=1)
NOW = datetime(2026, 11, 24, tzinfo=UTC)


def read(body: bytes, media: str) -> Traces:
    return read_traces(body, media, PROJECT, NOW, 1000)


def calls_of(body: bytes) -> list[Call]:
    return map_spans(decode(body, JSON, is_known).spans, PROJECT)


@pytest.mark.parametrize("dialect", DIALECTS)
def test_every_recorded_call_is_one_event_and_says_what_its_span_says(
    corpus_path: Path, dialect: str
) -> None:
    unexplained, lost = [], []
    for recording in recordings(corpus_path, dialect):
        of_json = read(recording.json_body, JSON)
        assert not of_json.rejected
        assert read(recording.protobuf_body, PROTOBUF) == of_json
        calls = calls_of(recording.json_body)
        assert len(calls) <= 1
        if not calls:
            lost.append(recording.truth)
            continue
        found = differences(calls[0].event, calls[0].span, recording.truth)
        unexplained += [(recording.truth["cassette"], d) for d in found if not d.cause]
    assert unexplained == []
    # Logfire's span of an answer without usage, id and choices is that of a stream's opening.
    assert [truth for truth in lost if dialect != "logfire" or truth["usage"]] == []


def test_no_case_of_another_platforms_tests_costs_more_than_its_own_span(
    corpus_path: Path,
) -> None:
    lines = (corpus_path / "langfuse-otlp-cases" / "cases.jsonl").read_text().splitlines()
    good = {
        "scope": {"name": "neighbour"},
        "spans": [json.loads(_GOOD_SPAN)],
    }
    for line in lines:
        case = json.loads(line)
        case["otlp"]["resourceSpans"].insert(0, {"scopeSpans": [good]})
        case["otlp"]["resourceSpans"].append({"scopeSpans": [good]})
        traces = read(as_json(case["otlp"]), JSON)
        found = [event_id for batch in traces.batches for event_id in batch.ids]
        good_id = calls_of(as_json({"resourceSpans": [{"scopeSpans": [good]}]}))[0].event.event_id
        assert found.count(good_id) == 2, case["id"]


_GOOD_SPAN = """{"traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174",
"startTimeUnixNano": "1746026930686364000", "endTimeUnixNano": "1746026930686764000",
"attributes": [{"key": "gen_ai.system", "value": {"stringValue": "openai"}},
{"key": "gen_ai.request.model", "value": {"stringValue": "gpt-4o"}}]}"""

# Calls of the frameworks' traces, and their input and output tokens as far as spans have them.
# BeeAI's spans have none. A Langfuse span of its own SDK has its facts beside the attributes.
FRAMEWORKS = {
    "autogen-2025-06-06": (1, 41, 3),
    "beeai-2025-08-01": (3, 0, 0),
    "csharp-agent-with-gemini-2026-03-09": (3, 8047, 414),
    "google-adk-2025-08-28": (2, 67, 9),
    "langgraph-python-2025-08-22": (2, 168, 66),
    "llamaindex-2025-06-05": (1, 13, 81),
    "microsoft-agent-2025-12-17": (2, 293, 106),
    "pydantic-ai-tools-2025-06-06": (1, 31, 96),
    "pydantic-ai-tools-2025-12-04": (4, 1315, 209),
    "vercel-aisdk-2025-11-17": (1, 62, 85),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_agents_sum_up_is_counted_once(corpus_path: Path, framework: str) -> None:
    path = corpus_path / "langfuse-framework-traces" / f"{framework}.trace.json"
    observations = json.loads(path.read_text())["observations"]
    spans = [{"scopeSpans": [scope_spans(observation)]} for observation in observations]
    events = [call.event for call in calls_of(as_json({"resourceSpans": spans}))]
    tokens = [(event.input_tokens or 0, event.output_tokens or 0) for event in events]
    assert (len(events), *map(sum, zip(*tokens, strict=True))) == FRAMEWORKS[framework]


def scope_spans(observation: dict[str, Any]) -> dict[str, Any]:
    """The span that an observation was made from."""
    metadata = observation["metadata"] or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    sent = metadata.get("attributes") or {}
    scope = {"name": metadata["scope"]["name"]}
    if scope["name"] == "langfuse-sdk":
        sent = dict(langfuse_attributes(observation))
    return {
        "scope": scope,
        "spans": [
            {
                "traceId": observation["traceId"],
                "spanId": observation["id"],
                "parentSpanId": observation.get("parentObservationId"),
                "name": observation["name"],
                "startTimeUnixNano": nano(observation["startTime"]),
                "endTimeUnixNano": nano(observation["endTime"]),
                "attributes": [
                    {
                        "key": key,
                        "value": {
                            "stringValue": item if isinstance(item, str) else json.dumps(item)
                        },
                    }
                    for key, item in sent.items()
                ],
            }
        ],
    }


def langfuse_attributes(observation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "langfuse.observation.type", observation["type"].lower()
    if observation["model"]:
        yield "langfuse.observation.model.name", observation["model"]
        yield "langfuse.observation.usage_details", json.dumps(observation["usageDetails"])


def nano(instant: str) -> str:
    return str(int(datetime.fromisoformat(instant).timestamp() * 1000) * 1_000_000)
