"""Roll-ups of real traces against a plain pass over the files."""

import csv
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import genai_prices
import psycopg
import pytest

from dbt_project.golden.ledger import NOON, PROJECT_ID, TENANT_ID, build, create_project
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

PROMISED_ERROR = 0.02
GAMMA = 1.01 / 0.99
QUANTILES = (0.50, 0.90, 0.95, 0.99)
BLOCK_TOKENS = 512
LOADED_AT = NOON + timedelta(days=2)
COLUMNS = (
    "event_id", "tenant_id", "project_id", "provider_name", "request_model", "operation_name",
    "started_at", "duration_seconds", "input_tokens", "output_tokens", "cache_read_input_tokens",
    "user_id", "usage_source", "usage_semantics", "received_at", "loaded_at",
)  # fmt: skip
# Table, its period as a timestamp, and the same period of a call.
LAYERS: dict[str, tuple[str, Callable[[datetime], datetime]]] = {
    "fct_usage_minutely": ("usage_minute", lambda at: at.replace(second=0, microsecond=0)),
    "fct_usage_hourly": ("usage_hour", lambda at: at.replace(minute=0, second=0, microsecond=0)),
    "fct_usage_daily": (
        "usage_date::timestamp at time zone 'UTC'",
        lambda at: at.replace(hour=0, minute=0, second=0, microsecond=0),
    ),
}
LAYERS["fct_attributed_usage_hourly"] = LAYERS["fct_usage_hourly"]
LAYERS["fct_attributed_usage_daily"] = LAYERS["fct_usage_daily"]
LAYERS["fct_model_usage_quarter_hourly"] = (
    "usage_quarter_hour",
    lambda at: at.replace(minute=at.minute // 15 * 15, second=0, microsecond=0),
)

Call = dict[str, Any]


def azure_calls(folder: Path) -> Iterator[Call]:
    """The trace has no durations: they are made of its tokens."""
    with next((folder / "azure-llm-2023").glob("*.csv")).open() as file:
        for number, row in enumerate(csv.DictReader(file)):
            started_at = datetime.fromisoformat(row["TIMESTAMP"][:26]).replace(tzinfo=UTC)
            sizes = (int(row["ContextTokens"]), int(row["GeneratedTokens"]), 0)
            yield call("openai", "gpt-4o", started_at, sizes, number)


def mooncake_calls(folder: Path) -> Iterator[Call]:
    """Blocks of a prompt that an earlier call had are read from the cache."""
    seen: set[int] = set()
    lines = next((folder / "mooncake").glob("*.jsonl")).read_text().splitlines()
    for number, row in enumerate(map(json.loads, lines)):
        cached = sum(block in seen for block in row["hash_ids"]) * BLOCK_TOKENS
        seen.update(row["hash_ids"])
        # The hour goes over midnight.
        started_at = NOON + timedelta(hours=11.5, milliseconds=row["timestamp"])
        sizes = (row["input_length"], row["output_length"], min(cached, row["input_length"]))
        yield call("anthropic", "claude-haiku-4-5", started_at, sizes, number)


def call(
    provider: str, model: str, started_at: datetime, sizes: tuple[int, int, int], number: int
) -> Call:
    return {
        "provider_name": provider,
        "request_model": model,
        "started_at": started_at,
        "duration_seconds": 0.1 + 0.0001 * sizes[0] + 0.013 * sizes[1],
        "input_tokens": sizes[0],
        "output_tokens": sizes[1],
        "cache_read_input_tokens": sizes[2],
        "user_id": f"user-{number % 50}",
    }


def insert_calls(connection: psycopg.Connection[Any], calls: Iterable[Call]) -> None:
    fixed = {
        "tenant_id": TENANT_ID,
        "project_id": PROJECT_ID,
        "operation_name": "chat",
        "usage_source": "provider",
        "usage_semantics": "inclusive",
        "received_at": LOADED_AT,
        "loaded_at": LOADED_AT,
    }
    statement = f"copy raw.llm_events ({', '.join(COLUMNS)}) from stdin"
    with connection.cursor().copy(statement) as copy:
        for number, one in enumerate(calls):
            row = {**fixed, **one, "event_id": f"{number:032x}"}
            copy.write_row([row[column] for column in COLUMNS])


@cache
def price(model: str, provider: str, kind: str) -> Decimal:
    """USD per token."""
    usages = {
        "input": genai_prices.Usage(input_tokens=1_000_000),
        "cached": genai_prices.Usage(input_tokens=1_000_000, cache_read_tokens=1_000_000),
        "output": genai_prices.Usage(output_tokens=1_000_000),
    }
    priced = genai_prices.calc_price(
        usages[kind], model, provider_id=provider, genai_request_timestamp=NOON
    )
    return priced.total_price / 1_000_000


def cost(one: Call) -> Decimal:
    of = (one["request_model"], one["provider_name"])
    uncached = one["input_tokens"] - one["cache_read_input_tokens"]
    return (
        uncached * price(*of, "input")
        + one["cache_read_input_tokens"] * price(*of, "cached")
        + one["output_tokens"] * price(*of, "output")
    )


def plain_sums(
    calls: Iterable[Call], period: Callable[[datetime], datetime]
) -> dict[tuple[datetime, str], tuple[Any, ...]]:
    sums: dict[tuple[datetime, str], list[Any]] = defaultdict(lambda: [0, 0, 0, 0, Decimal(0)])
    for one in calls:
        values = (1, one["input_tokens"], one["output_tokens"], one["cache_read_input_tokens"])
        group = sums[period(one["started_at"]), one["request_model"]]
        group[:] = [have + more for have, more in zip(group, (*values, cost(one)), strict=True)]
    return {key: tuple(values) for key, values in sums.items()}


def rolled_up_sums(
    connection: psycopg.Connection[Any], table: str, period: str
) -> dict[tuple[datetime, str], tuple[Any, ...]]:
    rows = connection.execute(
        f"""select {period}, model, sum(call_count), sum(input_tokens), sum(output_tokens),
                sum(cache_read_input_tokens), sum(total_cost_usd)
            from marts.{table} group by 1, 2"""
    )
    return {(at, model): tuple(values) for at, model, *values in rows}


def bin_quantile(bins: Counter[int], quantile: float) -> float:
    rank, total = 0, sum(bins.values())
    for index in sorted(bins):
        rank += bins[index]
        if rank >= quantile * total:
            return 2 * GAMMA**index / (GAMMA + 1)
    raise AssertionError("no bins")


def assert_within_promise(found: float, seconds: list[float], quantile: float) -> None:
    exact = sorted(seconds)[math.ceil(quantile * len(seconds)) - 1]
    assert abs(found / exact - 1) <= PROMISED_ERROR, (found, exact, quantile)


def assert_histograms_are_right(connection: psycopg.Connection[Any], calls: list[Call]) -> None:
    for table, (period, floor) in LAYERS.items():
        if not table.startswith("fct_usage"):
            continue
        bins: dict[Any, Counter[int]] = defaultdict(Counter)
        for at, model, index, count in connection.execute(
            f"""select {period}, model, bin_index, call_count
                from marts.{table.replace("usage", "latency")} where metric = 'duration'"""
        ):
            bins[at, model][index] += count
        seconds: dict[Any, list[float]] = defaultdict(list)
        for one in calls:
            key = (floor(one["started_at"]), one["request_model"])
            seconds[key].append(one["duration_seconds"])
        assert bins.keys() == seconds.keys()
        for key, group in bins.items():
            assert sum(group.values()) == len(seconds[key])
            for quantile in QUANTILES:
                assert_within_promise(bin_quantile(group, quantile), seconds[key], quantile)


def assert_reported_percentiles_are_right(
    connection: psycopg.Connection[Any], calls: list[Call]
) -> None:
    reported = connection.execute(
        """select usage_date, model, p50_duration_seconds, p90_duration_seconds,
               p95_duration_seconds, p99_duration_seconds
           from reports.rpt_latency_daily"""
    ).fetchall()
    assert len(reported) == 3  # one model for a day, the other over midnight
    for date, model, *percentiles in reported:
        seconds = [
            one["duration_seconds"]
            for one in calls
            if (one["started_at"].date(), one["request_model"]) == (date, model)
        ]
        for quantile, found in zip(QUANTILES, percentiles, strict=True):
            assert_within_promise(found, seconds, quantile)


@pytest.mark.timeout(300)
def test_roll_ups_hold_exactly_what_a_plain_pass_over_the_files_finds(
    database_url: str, tmp_path: Path, corpus_path: Path
) -> None:
    if not (corpus_path / "mooncake").is_dir():
        pytest.skip(f"no traces in {corpus_path}: set LLMSCOPE_CORPUS")
    calls = [*azure_calls(corpus_path), *mooncake_calls(corpus_path)]
    with psycopg.connect(database_url) as connection:
        create_project(connection)
        insert_calls(connection, calls)
        refresh_prices(connection, bundled_catalog(), LOADED_AT + timedelta(hours=1))
    build(database_url, tmp_path, LOADED_AT + timedelta(hours=1))
    with psycopg.connect(database_url) as connection:
        for table, (period, floor) in LAYERS.items():
            assert rolled_up_sums(connection, table, period) == plain_sums(calls, floor), table
        assert_histograms_are_right(connection, calls)
        assert_reported_percentiles_are_right(connection, calls)
