"""Rows for the suites: clean ones, and clean ones with a fault."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql

NOW = datetime.now(UTC)
CLEAN_EVENT: dict[str, Any] = {
    "tenant_id": uuid4(),
    "project_id": uuid4(),
    "provider_name": "anthropic",
    "request_model": "claude-sonnet-4-5",
    "operation_name": "chat",
    "started_at": NOW - timedelta(minutes=1),
    "ended_at": NOW - timedelta(seconds=58),
    "duration_seconds": 2.0,
    "time_to_first_chunk_seconds": 0.4,
    "input_tokens": 1000,
    "output_tokens": 200,
    "cache_read_input_tokens": 600,
    "cache_write_input_tokens": 400,
    "cache_write_1h_input_tokens": 100,
    "reasoning_output_tokens": 200,
    "input_audio_tokens": 0,
    "output_audio_tokens": 10,
    "usage_source": "provider",
    "usage_semantics": "inclusive",
    "service_tier": "default",
    "reported_cost_usd": 0,
    "received_at": NOW,
    "loaded_at": NOW,
    "http_status_code": 200,
    "user_id": "someone",
}
COSTS = (
    "uncached_input", "cache_read", "cache_write_5m", "cache_write_1h", "input_audio",
    "input_image", "output", "output_audio", "request",
)  # fmt: skip
CREATE_MARTS = f"""
create schema staging;
create view staging.stg_ingest__llm_calls as
    select * from raw.llm_events where operation_name <> 'invoke_agent';
create schema marts;
create table marts.fct_llm_calls (
    project_id uuid, event_id uuid, started_at timestamptz, loaded_at timestamptz,
    cost_computed_at timestamptz, is_error boolean, has_usage boolean, input_tokens bigint,
    uncached_input_tokens bigint, cache_read_input_tokens bigint,
    cache_write_input_tokens bigint, output_tokens bigint, catalog_provider text,
    catalog_model text, total_cost_usd numeric, unpriced_reason text,
    {", ".join(f"{cost}_cost_usd numeric, {cost}_price_id uuid" for cost in COSTS)}
);
create table marts.fct_usage_minutely (
    project_id uuid, usage_minute timestamptz, call_count bigint, input_tokens bigint,
    output_tokens bigint, refreshed_at timestamptz
);
create table marts.fct_usage_daily (
    project_id uuid, usage_date date, call_count bigint, error_count bigint,
    missing_usage_call_count bigint
);
create table marts.fct_project_latency_daily (
    project_id uuid, usage_date date, metric text, bin_index int, call_count bigint
);
create table marts.fct_user_usage_daily (
    project_id uuid, usage_date date, user_id text, call_count bigint
);
create table marts.fct_model_usage_hourly (
    project_id uuid, usage_hour timestamptz, model text, call_count bigint
);
"""
CLEAN_CALL: dict[str, Any] = {
    "project_id": CLEAN_EVENT["project_id"],
    "started_at": CLEAN_EVENT["started_at"],
    "loaded_at": CLEAN_EVENT["loaded_at"],
    "cost_computed_at": NOW,
    "is_error": False,
    "has_usage": True,
    "input_tokens": 1000,
    "uncached_input_tokens": 0,
    "cache_read_input_tokens": 600,
    "cache_write_input_tokens": 400,
    "output_tokens": 200,
    **{f"{cost}_cost_usd": 0 for cost in COSTS},
    "output_cost_usd": "0.003",
    "output_price_id": uuid4(),
    "total_cost_usd": "0.003",
}
UNPRICED = {f"{cost}_cost_usd": None for cost in (*COSTS, "total")}

Insert = Callable[..., str]
InsertRow = Callable[..., None]


@pytest.fixture
def warehouse_url(database_url: str) -> str:
    """A database with the raw tables and, as far as the suites read them, the marts."""
    with psycopg.connect(database_url) as connection:
        connection.execute(CREATE_MARTS)
    return database_url


@pytest.fixture
def insert_event(database_url: str) -> Insert:
    """Insert a clean raw event with some columns changed; gives its id."""
    return lambda **changes: _insert(database_url, "raw.llm_events", CLEAN_EVENT | changes)


@pytest.fixture
def insert_row(warehouse_url: str) -> InsertRow:
    """Insert a row into a table, named with its schema."""
    return lambda table, **row: _insert_row(warehouse_url, table, row)


@pytest.fixture
def insert_call(warehouse_url: str) -> Insert:
    """Insert a clean call of the marts with some columns changed; gives its id."""
    return lambda **changes: _insert(warehouse_url, "marts.fct_llm_calls", CLEAN_CALL | changes)


def _insert(database_url: str, table: str, row: dict[str, Any]) -> str:
    row = {"event_id": str(uuid4()), **row}
    _insert_row(database_url, table, row)
    return str(row["event_id"])


def _insert_row(database_url: str, table: str, row: dict[str, Any]) -> None:
    statement = sql.SQL("insert into {} ({}) values ({})").format(
        sql.Identifier(*table.split(".")),
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(sql.Placeholder() * len(row)),
    )
    with psycopg.connect(database_url) as connection:
        connection.execute(statement, list(row.values()))
