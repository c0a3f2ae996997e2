"""What the OpenAPI document says of the answers."""

from collections.abc import Sequence
from typing import Any, Final

from ingest_api import errors
from ingest_api.analytics import conversations, costs
from ingest_api.analytics.measures import ALL_FAMILIES, Column, Kind, columns_of
from ingest_api.analytics.plans import TOP_MODEL_FAMILIES
from ingest_api.analytics.shapes import BUCKET_COLUMNS, IS_OTHER, Row, nothing
from ingest_api.openapi import problem_responses

TIME: Final = {"type": "string", "format": "date-time"}
MONEY_PATTERN: Final = r"^-?[0-9]+(\.[0-9]+)?$"
KIND_SCHEMAS: Final[dict[Kind, dict[str, Any]]] = {
    "text": {"type": ["string", "null"]},
    "texts": {"type": "array", "items": {"type": "string"}},
    "time": {"type": ["string", "null"], "format": "date-time"},
    "count": {"type": "integer"},
    "usd": {
        "type": ["string", "null"], "pattern": MONEY_PATTERN,
        "description": "USD as a decimal; null where nothing was priced, which is not zero.",
    },
    "seconds": {"type": ["number", "null"]},
    "flag": {"type": "boolean"},
}  # fmt: skip
PROBLEMS: Final = (
    errors.UnauthorizedError,
    errors.ForbiddenError,
    errors.BadParameterError,
    errors.LimitExceededError,
    errors.UnavailableError,
    errors.QueryTimeoutError,
)
HEADERS: Final = {
    "ETag": {
        "description": "Name of the answer; send it as `If-None-Match`.",
        "schema": {"type": "string", "pattern": '^"[0-9a-f]{32}"$'},
        "required": True,
    },
    "Cache-Control": {
        "description": "Keep it, and ask each time whether it still holds.",
        "schema": {"type": "string", "const": "private, no-cache"},
        "required": True,
    },
    "X-Cache": {
        "description": "Whether a JSON answer came from Redis.",
        "schema": {"type": "string", "enum": ["hit", "miss"]},
    },
}
UNCHANGED: Final = {
    "description": "The answer is still the one that `If-None-Match` names.",
    "headers": {name: HEADERS[name] for name in ("ETag", "Cache-Control")},
}
ENVELOPE: Final = {
    "period": {
        "type": "object",
        "description": "What was asked for, in whole minutes.",
        "required": ["from", "to", "time_zone"],
        "properties": {"from": TIME, "to": TIME, "time_zone": {"type": "string"}},
    },
    "refreshed_at": {
        "type": ["string", "null"], "format": "date-time",
        "description": "The newest stamp of the marts: they hold what was loaded before.",
    },
    "tables": {
        "type": "array", "items": {"type": "string"}, "description": "What was read.",
    },
}  # fmt: skip
EXAMPLE_ENVELOPE: Final = {
    "period": {
        "from": "2026-11-23T00:00:00+01:00",
        "to": "2026-11-24T00:00:00+01:00",
        "time_zone": "Europe/Berlin",
    },
    "refreshed_at": "2026-11-24T07:15:02.123456Z",
    "tables": ["marts.fct_model_usage_hourly"],
}
EXAMPLE_VALUES: Final[dict[str, Any]] = {
    "started_at": "2026-11-23T00:00:00+01:00",
    "ended_at": "2026-11-23T01:00:00+01:00",
    "provider_name": "openai",
    "model": "gpt-4o-mini-2024-07-18",
    "call_count": 1240,
    "error_count": 3,
    "input_tokens": 1_488_000,
    "output_tokens": 372_000,
    "total_cost_usd": "0.4464",
    "uncached_input_cost_usd": "0.2232",
    "output_cost_usd": "0.2232",
    "cost_usd": "0.2232",
    "reported_cost_usd": "0.45",
    "cost_difference_usd": "0.0036",
    "p50_duration_seconds": 1.42,
    "p95_duration_seconds": 6.03,
    "conversation_id": "conversation-7",
    "user_id": "user-42",
    "service_name": "assistant",
    "models": ["gpt-4o-mini-2024-07-18"],
    "first_called_at": "2026-11-23T09:58:00Z",
    "last_called_at": "2026-11-23T10:00:00Z",
    "length_seconds": 121.4,
    "bucket": "output",
    "price_id": "01939b2e-7c9a-7d0e-9d55-0c2f1f2f6a10",
    "price_token_kind": "output",
    "price_usd_per_million": "0.6",
    "price_service_tier": "default",
    "price_valid_from": "2024-07-18T00:00:00Z",
    "price_valid_to": "2026-12-01T00:00:00Z",
    "price_source": "genai-prices",
    "price_catalog_version": "0.0.41",
}

EXAMPLE_CURSOR: Final = "MjAyNi0xMS0yM1QxMDowMDowMCswMDowMCBjb252ZXJzYXRpb24tNw"

# Without a choice of measures in the question, all of them may come.
ALL_FIGURES: Final = columns_of(ALL_FAMILIES)
DIMENSIONS: Final = [Column("provider_name", "text"), Column("model", "text")]


def row_schema(columns: Sequence[Column], *, is_complete: bool = False) -> dict[str, Any]:
    """One row; where the question chooses columns, others may be missing or be its dimensions."""
    schema: dict[str, Any] = {
        "type": "object",
        "properties": {column.name: KIND_SCHEMAS[column.kind] for column in columns},
    }
    if is_complete:
        return {**schema, "required": [column.name for column in columns]}
    return {**schema, "additionalProperties": {"type": ["string", "null"]}}


def example_row(columns: Sequence[Column]) -> Row:
    """A row with a plausible value in each column."""
    plain: dict[Kind, Any] = {"flag": False, "texts": [], "count": 0}
    return {
        column.name: EXAMPLE_VALUES.get(column.name, plain.get(column.kind)) for column in columns
    }


def rows_of(columns: Sequence[Column], *, is_complete: bool = False) -> dict[str, Any]:
    """The schema of a list of rows."""
    return {"type": "array", "items": row_schema(columns, is_complete=is_complete)}


def answers(
    properties: dict[str, Any], example: dict[str, Any], columns: Sequence[Column]
) -> dict[int | str, dict[str, Any]]:
    """All answers of a route.

    Args:
        properties: Members of the JSON answer beside the envelope, by schema.
        example: Their values.
        columns: Of the table that CSV holds in the example.
    """
    schema = {
        "type": "object",
        "required": [*ENVELOPE, *properties],
        "properties": {**ENVELOPE, **properties},
        "additionalProperties": False,
    }
    row = example_row(columns)
    lines = ",".join(row), ",".join("" if value is None else str(value) for value in row.values())
    content = {
        "application/json": {"schema": schema, "example": {**EXAMPLE_ENVELOPE, **example}},
        "text/csv": {"schema": {"type": "string"}, "example": "\r\n".join(lines) + "\r\n"},
        "application/vnd.apache.parquet": {"schema": {"type": "string", "format": "binary"}},
    }
    found = {"description": "The answer.", "headers": HEADERS, "content": content}
    return {200: found, 304: UNCHANGED, **problem_responses(*PROBLEMS)}


def _overview() -> dict[int | str, dict[str, Any]]:
    models = [*DIMENSIONS, *columns_of(TOP_MODEL_FAMILIES)]
    totals = row_schema(ALL_FIGURES)
    properties = {
        "current": totals, "previous": totals, "top_models": rows_of(models, is_complete=True),
    }  # fmt: skip
    example = {
        "current": example_row(ALL_FIGURES),
        "previous": nothing(ALL_FIGURES),
        "top_models": [example_row(models)],
    }
    return answers(properties, example, [Column("period", "text"), *ALL_FIGURES])


def _listing(
    columns: Sequence[Column], figures: Sequence[Column]
) -> dict[int | str, dict[str, Any]]:
    row = example_row([*columns, *figures])
    schema = rows_of([*columns, *figures, *DIMENSIONS])
    return answers({"rows": schema}, {"rows": [row]}, [*columns, *figures])


def _conversations() -> dict[int | str, dict[str, Any]]:
    properties = {
        "rows": rows_of(conversations.COLUMNS, is_complete=True),
        "next_cursor": {
            "type": ["string", "null"],
            "description": "Gets the next page; null on the last one.",
        },
    }
    example = {"rows": [example_row(conversations.COLUMNS)], "next_cursor": EXAMPLE_CURSOR}
    return answers(properties, example, conversations.COLUMNS)


def _costs() -> dict[int | str, dict[str, Any]]:
    models = [*DIMENSIONS, *columns_of(costs.MODEL_FAMILIES)]
    properties = {
        "rows": rows_of(costs.COLUMNS, is_complete=True),
        "models": rows_of(models, is_complete=True),
    }
    example = {"rows": [example_row(costs.COLUMNS)], "models": [example_row(models)]}
    return answers(properties, example, costs.COLUMNS)


OVERVIEW: Final = _overview()
TIMESERIES: Final = _listing([*BUCKET_COLUMNS, Column("model", "text"), IS_OTHER], ALL_FIGURES)
BREAKDOWN: Final = _listing(DIMENSIONS, ALL_FIGURES)
TOP: Final = _listing([Column("model", "text"), IS_OTHER], ALL_FIGURES)
CONVERSATIONS: Final = _conversations()
COSTS: Final = _costs()
