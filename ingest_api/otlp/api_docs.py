"""What the OTLP routes say about themselves in the OpenAPI document."""

from collections.abc import Sequence
from typing import Any, Final

from ingest_api import errors
from ingest_api.errors import Problem
from ingest_api.openapi import ERROR_HEADERS, OPTIONAL_LIMIT_HEADERS
from ingest_api.otlp.decoding import JSON, PROTOBUF

Responses = dict[int | str, dict[str, Any]]

BODY_PROBLEMS: Final = (
    errors.MalformedBodyError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
    errors.BadParameterError,
)
STORE_PROBLEMS: Final = (
    *BODY_PROBLEMS,
    errors.RateLimitedError,
    errors.QuotaExceededError,
    errors.UnavailableError,
)
STATUS_SCHEMA: Final = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string", "description": "What is wrong and what to do."}},
    "additionalProperties": False,
}


def _attribute(key: str, kind: str, value: str) -> dict[str, Any]:
    return {"key": key, "value": {kind: value}}


EXAMPLE_SPAN: Final = {
    "traceId": "5b8efff798038103d269b633813fc60c",
    "spanId": "eee19b7ec3c1b174",
    "name": "chat gpt-4o-mini",
    "startTimeUnixNano": "1795423553808173820",
    "endTimeUnixNano": "1795423554829732779",
    "attributes": [
        _attribute("gen_ai.operation.name", "stringValue", "chat"),
        _attribute("gen_ai.provider.name", "stringValue", "openai"),
        _attribute("gen_ai.request.model", "stringValue", "gpt-4o-mini"),
        _attribute("gen_ai.usage.input_tokens", "intValue", "1200"),
        _attribute("gen_ai.usage.output_tokens", "intValue", "300"),
    ],
}
EXAMPLE_TRACES: Final = {
    "resourceSpans": [
        {
            "resource": {"attributes": [_attribute("service.name", "stringValue", "chat")]},
            "scopeSpans": [{"scope": {"name": "my.instrumentation"}, "spans": [EXAMPLE_SPAN]}],
        }
    ]
}


def request_body(field: str, example: Any) -> dict[str, Any]:
    """An export request. Each element of `field` is judged by itself, so any is allowed."""
    schema = {"type": "object", "properties": {field: {"type": ["array", "null"]}}}
    return {"requestBody": {"required": True, "content": _content(schema, example)}}


def ignored_body(example: Any) -> dict[str, Any]:
    """An export request of which nothing is kept."""
    return {"requestBody": {"required": True, "content": _content({"type": "object"}, example)}}


def responses(
    description: str, message: str, problems: Sequence[type[Problem]], *, is_limited: bool
) -> Responses:
    """The answers of an export route: one that accepts, and one for each status of `problems`."""
    texts = {"rejectedSpans": {"type": "string"}, "errorMessage": {"type": "string"}}
    partial = {"type": "object", "additionalProperties": False, "properties": texts}
    schema = {
        "type": "object",
        "additionalProperties": False,
        "properties": {"partialSuccess": partial},
    }
    accepted = {
        "description": description,
        "headers": OPTIONAL_LIMIT_HEADERS if is_limited else {},
        "content": _content(schema, {"partialSuccess": {"errorMessage": message}}),
    }
    return {200: accepted, **_error_responses(problems)}


def _error_responses(problems: Sequence[type[Problem]]) -> Responses:
    answers: Responses = {}
    for problem in problems:
        answer = answers.setdefault(problem.status, {"description": ""})
        words = (problem.__doc__ or "").strip()
        answer["description"] = f"{answer['description']} {words}".strip()
        answer["headers"] = dict(ERROR_HEADERS.get(problem.status, {}))
        answer["content"] = _content(STATUS_SCHEMA, {"message": problem.example})
    return answers


def _content(schema: dict[str, Any], example: Any) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {JSON: {"schema": schema, "example": example}, PROTOBUF: binary}
