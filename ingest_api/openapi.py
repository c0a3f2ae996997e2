"""What the routes say about themselves in the OpenAPI document."""

from typing import Any

from ingest_api import events
from ingest_api.errors import PROBLEM_TYPE_PREFIX, Problem

EXAMPLE_EVENT: dict[str, Any] = {
    "event_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "provider_name": "openai",
    "request_model": "gpt-4o-mini",
    "response_model": "gpt-4o-mini-2024-07-18",
    "operation_name": "chat",
    "started_at": "2026-11-23T10:00:00Z",
    "duration_seconds": 1.42,
    "input_tokens": 1200,
    "cache_read_input_tokens": 1024,
    "output_tokens": 300,
    "user_id": "user-42",
    "environment": "production",
    "tags": {"team": "search"},
}
EXAMPLE_REJECTION = {"index": 3, "field": "input_tokens", "reason": "Expected `int`, got `str`"}


def event_schema() -> dict[str, Any]:
    """The event contract without the keyword that OpenAPI states once for the document."""
    return {name: value for name, value in events.json_schema().items() if name != "$schema"}


def single_event_body() -> dict[str, Any]:
    """Request body of the single-event route."""
    content = {"application/json": {"schema": event_schema(), "example": EXAMPLE_EVENT}}
    return {"requestBody": {"required": True, "content": content}}


def batch_body(max_events: int) -> dict[str, Any]:
    """Request body of the batch route."""
    array = {"type": "array", "items": event_schema(), "maxItems": max_events}
    content = {
        "application/json": {"schema": array, "example": [EXAMPLE_EVENT]},
        "application/x-ndjson": {"schema": {"type": "string"}},
    }
    return {"requestBody": {"required": True, "content": content}}


def problem_responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """One documented answer per status; problems that share a status share its description."""
    answers: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        words = (problem.__doc__ or problem.title).strip()
        answer = answers.setdefault(problem.status, {"description": ""})
        answer["description"] = f"{answer['description']} {words}".strip()
        answer["content"] = {
            "application/problem+json": {
                "schema": PROBLEM_SCHEMA,
                "example": {
                    "type": PROBLEM_TYPE_PREFIX + problem.type,
                    "title": problem.title,
                    "status": problem.status,
                    "detail": words,
                },
            }
        }
    return answers


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable name of the error."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "rejected": {
            "type": "array",
            "description": "One line per rejected event.",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer"},
                    "field": {"type": "string"},
                    "reason": {"type": "string"},
                },
            },
        },
    },
}
