"""Requests from the tests of another platform, Langfuse: odd spans, and traces of agents."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from tests.otlp_spans import span

# Calls of the frameworks' traces, and their input and output tokens as far as spans have them.
# BeeAI's spans have none. A Langfuse span of its own SDK has its facts beside the attributes.
FRAMEWORKS: Final = {
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
# A model call that stands before and behind each odd span.
NEIGHBOUR: Final = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o",
}


def cases(corpus: Path) -> list[dict[str, Any]]:
    """Odd export requests, each as `id` and `otlp`."""
    lines = (corpus / "langfuse-otlp-cases" / "cases.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def between_neighbours(case: dict[str, Any], number: int) -> dict[str, Any]:
    """The case's request with a good span before and behind it, whose ids hold `number`."""
    good = [span(NEIGHBOUR, place, traceId=f"{number + 1:032x}") for place in (1, 2)]
    first, last = ({"scopeSpans": [{"scope": {"name": "neighbour"}, "spans": [g]}]} for g in good)
    return {"resourceSpans": [first, *case["otlp"]["resourceSpans"], last]}


def framework_request(corpus: Path, framework: str) -> dict[str, Any]:
    """The spans of an agent's run as one export request."""
    path = corpus / "langfuse-framework-traces" / f"{framework}.trace.json"
    observations = json.loads(path.read_text())["observations"]
    return {"resourceSpans": [{"scopeSpans": [_scope_spans(one)]} for one in observations]}


def _scope_spans(observation: dict[str, Any]) -> dict[str, Any]:
    """The span that an observation was made from."""
    metadata = observation["metadata"] or {}
    metadata = json.loads(metadata) if isinstance(metadata, str) else metadata
    sent = metadata.get("attributes") or {}
    scope = {"name": metadata["scope"]["name"]}
    if scope["name"] == "langfuse-sdk":
        sent = dict(_langfuse_attributes(observation))
    return {
        "scope": scope,
        "spans": [
            {
                "traceId": observation["traceId"],
                "spanId": observation["id"],
                "parentSpanId": observation.get("parentObservationId"),
                "name": observation["name"],
                "startTimeUnixNano": _nano(observation["startTime"]),
                "endTimeUnixNano": _nano(observation["endTime"]),
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


def _langfuse_attributes(observation: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "langfuse.observation.type", observation["type"].lower()
    if observation["model"]:
        yield "langfuse.observation.model.name", observation["model"]
        yield "langfuse.observation.usage_details", json.dumps(observation["usageDetails"])


def _nano(instant: str) -> str:
    return str(int(datetime.fromisoformat(instant).timestamp() * 1000) * 1_000_000)
