"""What the OpenAPI document says beyond what FastAPI finds in the routes."""

from typing import Any, Final

import msgspec

from ingest_api import errors, events
from ingest_api.errors import PROBLEM_TYPE_PREFIX, Problem
from ingest_api.ingest import INGEST_BATCH_PATH, INGEST_PATH, NDJSON, IngestAnswer
from ingest_api.routes.alert_documents import rule_schemas
from ingest_api.settings import Settings

DESCRIPTION: Final = """The auditable LLM cost-and-usage ledger in your own Postgres.

Send one event per model call. A 202 means that the event is on disk and will be exactly one row.
Send the key as `Authorization: Bearer llms_...` or `X-API-Key`.

Every answer carries `X-Request-Id`: the one that you sent, where it is of 1 to 128 letters, digits,
dots, underscores and hyphens, else a new one. Every error is a problem document (RFC 9457) whose
`type` never changes. A path that does not exist answers 404 `not-found`, a method that a path does
not have 405 `method-not-allowed` with `Allow`."""
TAGS: Final[list[dict[str, Any]]] = [
    {"name": "events", "description": "Events in, and a look at what has arrived."},
    {"name": "live", "description": "Events as they are accepted."},
    {"name": "otlp", "description": "Model calls from OpenTelemetry's exporters and collectors."},
    {"name": "analytics", "description": "Cost and usage of the key's project, from the marts."},
    {"name": "dead letters", "description": "Events that were acknowledged and cannot be loaded."},
    {"name": "budgets", "description": "What a project may cost in a month."},
    {"name": "notifications", "description": "Where people are told, and what became of it."},
    {"name": "alerts", "description": "Rules, what they would say, and the alerts of them."},
    {"name": "health", "description": "For balancers and for Prometheus. No key is needed."},
]
EXAMPLE_EVENT: Final[dict[str, Any]] = {
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
EXAMPLE_REQUEST_ID: Final = "5f0c1d2e3a4b5c6d-17"
EXAMPLE_REJECTION: Final = {"index": 1, "field": "input_tokens", "reason": "Expected `int` >= 0"}
# Members that only some problems have.
EXAMPLE_EXTRA: Final[dict[type[Problem], dict[str, Any]]] = {
    errors.RejectedEventsError: {"rejected": [{**EXAMPLE_REJECTION, "index": 0}]},
    errors.BadParameterError: {
        "errors": [
            {"field": "limit", "reason": "Input should be less than or equal to 500"},
        ]
    },
    errors.LimitExceededError: {
        "limit": {"name": "max_points", "maximum": 10_000, "asked": 23_760}
    },
}


def _header(description: str, **schema: Any) -> dict[str, Any]:
    return {"description": description, "schema": schema, "required": True}


REQUEST_ID_HEADER: Final = _header(
    "Id of the request, in the server's log too.", type="string", pattern="^[A-Za-z0-9._-]{1,128}$"
)
RETRY_AFTER_HEADER: Final = _header("Seconds to wait.", type="integer", minimum=1)
LIMIT_HEADERS: Final = {
    "RateLimit-Limit": _header(
        "Events at once, or a day where the quota is nearer to its end.", type="integer", minimum=1
    ),
    "RateLimit-Remaining": _header("Events left of it.", type="integer", minimum=0),
    "RateLimit-Reset": _header("Seconds until all of it is back.", type="integer", minimum=0),
}
OPTIONAL_LIMIT_HEADERS: Final = {
    name: {
        **header,
        "required": False,
        "description": f"{header['description']} Limited keys only.",
    }
    for name, header in LIMIT_HEADERS.items()
}
ERROR_HEADERS: Final[dict[int, dict[str, Any]]] = {
    401: {"WWW-Authenticate": _header("How to present a key.", type="string", const="Bearer")},
    415: {"Accept-Encoding": _header("The encodings that are understood.", type="string")},
    429: {"Retry-After": RETRY_AFTER_HEADER, **LIMIT_HEADERS},
    503: {"Retry-After": RETRY_AFTER_HEADER},
}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "additionalProperties": False,
    "properties": {
        "type": {"type": "string", "format": "uri", "description": "Stable name of the error."},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "request_id": {"type": "string", "description": "As in `X-Request-Id`."},
        "rejected": {
            "type": "array",
            "description": "One line per rejected event.",
            "items": {"$ref": "#/components/schemas/Rejection"},
        },
        "errors": {
            "type": "array",
            "description": "One line per wrong parameter.",
            "items": {
                "type": "object",
                "required": ["field", "reason"],
                "properties": {"field": {"type": "string"}, "reason": {"type": "string"}},
            },
        },
        "limit": {
            "type": "object",
            "description": "The limit that was exceeded; `asked` is null where nobody counted on.",
            "required": ["name", "maximum", "asked"],
            "properties": {
                "name": {"type": "string"},
                "maximum": {"type": "integer"},
                "asked": {"type": ["integer", "null"]},
            },
        },
    },
}
INGEST_PROBLEMS: Final = (
    errors.MalformedBodyError,
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BodyTooLargeError,
    errors.UnsupportedEncodingError,
    errors.RejectedEventsError,
    errors.RateLimitedError,
    errors.QuotaExceededError,
    errors.UnavailableError,
)
ENCODINGS: Final = "The body may be compressed: `Content-Encoding: gzip` or `zstd`."


def problem_responses(*problems: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """One documented answer per status, with one named example per problem."""
    answers: dict[int | str, dict[str, Any]] = {}
    for problem in problems:
        answer = answers.setdefault(problem.status, _problem_answer(problem.status))
        words = (problem.__doc__ or "").strip()
        answer["description"] = f"{answer['description']} {words}".strip()
        content = answer["content"]["application/problem+json"]
        content["examples"][problem.type] = {"summary": words, "value": problem_example(problem)}
    return answers


def _problem_answer(status: int) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Problem"}
    return {
        "description": "",
        "headers": dict(ERROR_HEADERS.get(status, {})),
        "content": {"application/problem+json": {"schema": schema, "examples": {}}},
    }


def problem_example(problem: type[Problem]) -> dict[str, Any]:
    """A document of this problem."""
    return {
        "type": PROBLEM_TYPE_PREFIX + problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.example,
        "request_id": EXAMPLE_REQUEST_ID,
        **EXAMPLE_EXTRA.get(problem, {}),
    }


def json_answer(example: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    """The documented answer of a route, with an example."""
    return {status: {"content": {"application/json": {"example": example}}}}


METRICS_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {
        "content": {
            "text/plain": {
                "schema": {"type": "string"},
                "example": "# TYPE llmscope_events_accepted_total counter\n"
                "llmscope_events_accepted_total 1200.0\n",
            }
        }
    }
}


def complete(document: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """FastAPI's document with the routes it does not serve, the schemas and what all share."""
    components = document.setdefault("components", {})
    components.setdefault("schemas", {}).update(_schemas())
    components["responses"] = {
        "NotFound": problem_responses(errors.NotFoundError)[404],
        "MethodNotAllowed": problem_responses(errors.MethodNotAllowedError)[405],
    }
    document["paths"] = {**_ingest_paths(settings), **document["paths"]}
    for path in document["paths"].values():
        for operation in path.values():
            _complete_operation(operation)
    return document


def _complete_operation(operation: dict[str, Any]) -> None:
    internal = problem_responses(errors.InternalError)
    for status, answer in internal.items():
        operation["responses"].setdefault(str(status), answer)
    for answer in operation["responses"].values():
        answer["headers"] = {"X-Request-Id": REQUEST_ID_HEADER, **answer.get("headers", {})}


def _schemas() -> dict[str, Any]:
    """Schemas of the event, of the answer as it is encoded, and of a problem."""
    _, answers = msgspec.json.schema_components(
        [IngestAnswer], ref_template="#/components/schemas/{name}"
    )
    # OpenAPI states the dialect once for the document.
    event = {name: value for name, value in events.json_schema().items() if name != "$schema"}
    return {**answers, **rule_schemas(), "Event": event, "Problem": PROBLEM_SCHEMA}


def _ingest_paths(settings: Settings) -> dict[str, Any]:
    limit = f"At most {settings.max_body_bytes} bytes once decoded."
    single = _ingest_operation(
        "ingest_event",
        "Take one event",
        f"202 means: the event is on disk and will be exactly one row. {limit} {ENCODINGS}",
        _single_content(),
        {"accepted": _answer_example(1)},
    )
    batch = _ingest_operation(
        "ingest_batch",
        "Take many events",
        "A JSON array, or NDJSON: one event a line. A bad event costs its neighbours nothing; an "
        "event without `event_id` gets one, which the answer tells. At most "
        f"{settings.max_batch_events} events. {limit} {ENCODINGS}",
        _batch_content(settings.max_batch_events),
        {"accepted": _answer_example(2), "partly rejected": _answer_example(1, EXAMPLE_REJECTION)},
    )
    return {INGEST_PATH: {"post": single}, INGEST_BATCH_PATH: {"post": batch}}


def _ingest_operation(
    name: str, summary: str, description: str, content: dict[str, Any], answers: dict[str, Any]
) -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/IngestAnswer"}
    accepted = {
        "description": "On disk: what `accepted` names, and nothing of what `rejected` names.",
        "headers": OPTIONAL_LIMIT_HEADERS,
        "content": {"application/json": {"schema": schema, "examples": answers}},
    }
    problems = problem_responses(*INGEST_PROBLEMS)
    return {
        "tags": ["events"],
        "summary": summary,
        "description": description,
        "operationId": name,
        "security": [{"bearer": []}, {"api_key": []}],
        "requestBody": {"required": True, "content": content},
        "responses": {"202": accepted, **{str(s): answer for s, answer in problems.items()}},
    }


def _answer_example(accepted_count: int, *rejected: dict[str, Any]) -> dict[str, Any]:
    ids = [f"01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a1{n}" for n in range(accepted_count)]
    return {"value": {"accepted": ids, "rejected": list(rejected)}}


def _single_content() -> dict[str, Any]:
    schema = {"$ref": "#/components/schemas/Event"}
    smallest = {
        name: EXAMPLE_EVENT[name] for name in ("provider_name", "request_model", "started_at")
    }
    examples = {"a chat": {"value": EXAMPLE_EVENT}, "the least": {"value": smallest}}
    return {"application/json": {"schema": schema, "examples": examples}}


def _batch_content(max_events: int) -> dict[str, Any]:
    schema = {
        "type": "array",
        "items": {"$ref": "#/components/schemas/Event"},
        "maxItems": max_events,
    }
    batch = [
        {**EXAMPLE_EVENT, "event_id": f"01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a1{n}"} for n in (0, 1)
    ]
    batch = batch[:max_events]
    lines = "\n".join(msgspec.json.encode(event).decode() for event in batch)
    text = {"schema": {"type": "string"}, "examples": {"one event a line": {"value": lines}}}
    return {
        "application/json": {"schema": schema, "examples": {"two chats": {"value": batch}}},
        **{content_type.decode(): text for content_type in sorted(NDJSON)},
    }
