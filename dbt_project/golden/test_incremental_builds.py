"""CSV in, several incremental builds, CSV out."""

import csv
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

from dbt_project.golden.ledger import (
    NOON,
    PROJECT_ID,
    build,
    create_project,
    dbt,
    event,
    insert_events,
)
from orchestration.pricing.catalog import Catalog, bundled_catalog
from orchestration.pricing.refresh import refresh_prices

HERE = Path(__file__).parent
FIRST_BUILD = NOON + timedelta(hours=1)
SECOND_BUILD = NOON + timedelta(hours=3)
DAILY = """
    select usage_date, provider_name, model, error_type, unpriced_reason, call_count,
        input_tokens, output_tokens, trim_scale(total_cost_usd), unpriced_call_count,
        late_call_count
    from marts.fct_usage_daily
    order by usage_date, provider_name, model, error_type nulls first, unpriced_reason nulls first
"""
# What a model holds, without the times of its building.
CONTENTS = {
    "fct_llm_calls": "event_id, model, input_tokens, total_cost_usd, unpriced_reason, loaded_at",
    "fct_usage_hourly": "usage_hour, model, unpriced_reason, call_count, total_cost_usd",
    "fct_usage_daily": "usage_date, model, unpriced_reason, call_count, total_cost_usd",
    "fct_latency_hourly": "usage_hour, model, metric, bin_index, call_count",
    "fct_latency_daily": "usage_date, model, metric, bin_index, call_count",
}


def read_events(name: str) -> list[dict[str, Any]]:
    with (HERE / name).open() as file:
        rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
    return [
        event(
            **row | {key: datetime.fromisoformat(row[key]) for key in ("started_at", "loaded_at")}
        )
        for row in rows
    ]


def catalog_with_novel_model() -> Catalog:
    bundled = bundled_catalog()
    prices = ModelPrice(input_mtok=Decimal(1), output_mtok=Decimal(2))
    model = ModelInfo("novel-1", ClauseEquals("novel-1"), prices=prices)
    acme = Provider("acme", "Acme", "acme", models=[model])
    return Catalog("next", [*bundled.providers, acme])


def daily_rows(connection: psycopg.Connection[Any]) -> list[list[str]]:
    return [
        ["" if value is None else str(value) for value in row] for row in connection.execute(DAILY)
    ]


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    return {
        table: connection.execute(
            f"select {columns} from marts.{table} order by {columns}"
        ).fetchall()
        for table, columns in CONTENTS.items()
    }


def expected(name: str) -> list[list[str]]:
    with (HERE / name).open() as file:
        return list(csv.reader(file))[1:]


@pytest.mark.timeout(600)  # six times dbt
def test_late_and_repeated_events_and_late_prices_come_out_as_in_a_full_build(
    database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        build(database_url, tmp_path, NOON)
        assert daily_rows(connection) == []

        create_project(connection)
        insert_events(connection, read_events("calls_1.csv"))
        refresh_prices(connection, bundled_catalog(), FIRST_BUILD)
        build(database_url, tmp_path, FIRST_BUILD)
        assert daily_rows(connection) == expected("expected_after_first_build.csv")

        insert_events(connection, read_events("calls_2.csv"))
        refresh_prices(connection, catalog_with_novel_model(), SECOND_BUILD)
        build(database_url, tmp_path, SECOND_BUILD)
        assert daily_rows(connection) == expected("expected_after_second_build.csv")

        build(database_url, tmp_path, SECOND_BUILD)
        incremental = contents(connection)
        build(database_url, tmp_path, SECOND_BUILD, "--full-refresh")
        assert contents(connection) == incremental

        connection.execute("delete from raw.llm_events")
        argument = f"{{project_id: {PROJECT_ID}}}"
        dbt(database_url, tmp_path, "run-operation", "remove_project", "--args", argument)
        assert not any(contents(connection).values())
        assert connection.execute("select count(*) from reports.rpt_latency_daily").fetchone() == (
            0,
        )
