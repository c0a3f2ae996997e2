"""Rows of the ledger against what the provider answered."""

from collections.abc import Iterable, Sequence
from typing import Any, Final, NamedTuple

import psycopg
from psycopg.rows import dict_row

from tests.exporters.provider import Answer

FACTS: Final = (
    "operation_name", "request_model", "response_model", "response_id", "is_stream",
    "http_status_code", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "cache_write_input_tokens", "reasoning_output_tokens",
)  # fmt: skip
# Absent is as good as none for these.
COUNTS: Final = frozenset(fact for fact in FACTS if fact.endswith("_tokens"))
ROWS: Final = (
    f"select service_name, provider_name, error_type, {', '.join(FACTS)} from raw.llm_events"
)


class Gap(NamedTuple):
    """A fact that an instrumentation does not put on the spans of a kind of call.

    Attributes:
        kind: `plain`, `stream`, `embeddings` or `error`.
    """

    instrumentation: str
    provider_name: str
    kind: str
    fact: str


# With current releases. Whatever else differs is a fault of the mapping.
GAPS: Final = frozenset(
    {
        # A stream's log has the model that was asked for, and no id.
        Gap("logfire", "anthropic", "stream", "response_model"),
        Gap("logfire", "anthropic", "stream", "response_id"),
        Gap("logfire", "openai", "stream", "response_model"),
        Gap("logfire", "openai", "stream", "response_id"),
        # The span of a failed call names a model that answered.
        Gap("logfire", "anthropic", "error", "response_model"),
        Gap("logfire", "openai", "error", "response_model"),
        Gap("openinference", "openai", "plain", "response_id"),
        Gap("openinference", "openai", "stream", "response_id"),
        Gap("openllmetry", "openai", "stream", "reasoning_output_tokens"),
    }
)


class Judgement(NamedTuple):
    """Calls of an instrumentation that are no row, rows that are no call, and other differences."""

    missing: list[Answer]
    surplus: list[dict[str, Any]]
    gaps: set[Gap]


def read_rows(connection: psycopg.Connection[Any], services: Iterable[str]) -> list[dict[str, Any]]:
    """The raw rows of these services."""
    cursor = connection.cursor(row_factory=dict_row)
    return cursor.execute(f"{ROWS} where service_name = any(%s)", [list(services)]).fetchall()


def judge(answers: Sequence[Answer], rows: Sequence[dict[str, Any]]) -> Judgement:
    """Give each answer the row that has its models; each model is asked for once in a process."""
    left = list(rows)
    missing, gaps = [], set()
    for answer in answers:
        row = next((row for row in left if _is_of(row, answer)), None)
        if row is None:
            missing.append(answer)
            continue
        left.remove(row)
        gaps |= {
            Gap(answer.client, answer.provider_name, _kind(answer), fact)
            for fact in FACTS
            if _differs(fact, row, answer)
        }
    return Judgement(missing, left, gaps)


def _is_of(row: dict[str, Any], answer: Answer) -> bool:
    return (
        row["service_name"] == answer.client
        and row["provider_name"] == answer.provider_name
        and (row["error_type"] is None) == (answer.http_status_code is None)
        and (row["request_model"] or row["response_model"])
        in (answer.request_model, answer.response_model)
    )


def _differs(fact: str, row: dict[str, Any], answer: Answer) -> bool:
    said, truth = row[fact], getattr(answer, fact)
    if fact in COUNTS:
        return (said or 0) != (truth or 0)
    if fact == "is_stream":
        return bool(said) != bool(truth)
    return bool(said != truth)


def _kind(answer: Answer) -> str:
    if answer.http_status_code is not None:
        return "error"
    if answer.operation_name == "embeddings":
        return "embeddings"
    return "stream" if answer.is_stream else "plain"
