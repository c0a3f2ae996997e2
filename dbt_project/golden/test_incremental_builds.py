"""CSV in, several incremental builds, CSV out."""

import csv
import json
from datetime import UTC, datetime, timedelta
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
from ingest_api.database.keys import set_rollup_tags
from ingest_api.database.restatements import Restatement, request_restatement
from orchestration.pricing.catalog import Catalog, bundled_catalog
from orchestration.pricing.refresh import refresh_prices

HERE = Path(__file__).parent
FIRST_BUILD = NOON + timedelta(hours=1)
SECOND_BUILD = NOON + timedelta(hours=3)
# What is compared with expected_<name>_<build>.csv; sums with their trailing zeros cut off.
EXPECTED = {
    "calls": """
        select event_id, model, input_tokens, output_tokens, trim_scale(total_cost_usd),
            trim_scale(cost_difference_usd), unpriced_reason
        from marts.fct_llm_calls order by event_id
    """,
    "minutes": """
        select to_char(usage_minute, 'YYYY-MM-DD HH24:MI'), model, error_type, unpriced_reason,
            call_count, input_tokens, unpriced_input_tokens, trim_scale(total_cost_usd)
        from marts.fct_usage_minutely order by 1, 2, 3, 4
    """,
    "hours": """
        select to_char(usage_hour, 'YYYY-MM-DD HH24:MI'), model, error_type, unpriced_reason,
            call_count, input_tokens, unpriced_input_tokens, trim_scale(total_cost_usd)
        from marts.fct_usage_hourly order by 1, 2, 3, 4
    """,
    "days": """
        select usage_date, provider_name, model, error_type, unpriced_reason, call_count,
            input_tokens, output_tokens, trim_scale(total_cost_usd), unpriced_call_count,
            late_call_count
        from marts.fct_usage_daily
        order by
            usage_date, provider_name, model, error_type nulls first,
            unpriced_reason nulls first
    """,
    "attributed_days": """
        select usage_date, model, user_id, tags ->> 'feature', tags ->> 'run', call_count,
            input_tokens, trim_scale(total_cost_usd)
        from marts.fct_attributed_usage_daily order by 1, 2, 3, 4
    """,
    "restatements": """
        select event_id, trim_scale(before_cost_usd), trim_scale(after_cost_usd),
            before_unpriced_reason, after_unpriced_reason, reason, requested_by,
            before_price_ids <> after_price_ids
        from marts.fct_cost_restatements order by event_id
    """,
}
STAMPS = {"cost_computed_at", "refreshed_at"}


def read_events(name: str, **fields: Any) -> list[dict[str, Any]]:
    with (HERE / name).open() as file:
        rows = [{key: value or None for key, value in row.items()} for row in csv.DictReader(file)]
    return [event(**{**fields, **typed(row)}) for row in rows]


def typed(row: dict[str, Any]) -> dict[str, Any]:
    times = {key: datetime.fromisoformat(row[key]) for key in row if key.endswith("_at")}
    return row | times | {"tags": json.loads(row["tags"] or "{}")}


def catalog_with_novel_model(usd_per_million: int) -> Catalog:
    bundled = bundled_catalog()
    prices = ModelPrice(
        input_mtok=Decimal(usd_per_million), output_mtok=Decimal(2 * usd_per_million)
    )
    model = ModelInfo("novel-1", ClauseEquals("novel-1"), prices=prices)
    acme = Provider("acme", "Acme", "acme", models=[model])
    return Catalog(f"next {usd_per_million}", [*bundled.providers, acme])


def assert_as_expected(connection: psycopg.Connection[Any], build_name: str) -> None:
    for file in sorted(HERE.glob(f"expected_*_{build_name}.csv")):
        name = file.stem.removeprefix("expected_").removesuffix(f"_{build_name}")
        with file.open() as text:
            expected = list(csv.reader(text))[1:]
        rows = connection.execute(EXPECTED[name]).fetchall()
        found = [["" if value is None else str(value) for value in row] for row in rows]
        assert found == expected, file.name


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[Any]]:
    """All rows of all marts as text, without the times of their building."""
    columns: dict[str, list[str]] = {}
    for table, column in connection.execute(
        """select table_name, column_name from information_schema.columns
           where table_schema = 'marts' order by table_name, ordinal_position"""
    ):
        columns.setdefault(table, []).extend([column] if column not in STAMPS else [])
    return {
        table: connection.execute(
            f"select {', '.join(f'{name}::text' for name in names)} from marts.{table} "
            f"order by {', '.join(map(str, range(1, len(names) + 1)))}"
        ).fetchall()
        for table, names in columns.items()
    }


def newest_cost(connection: psycopg.Connection[Any]) -> Any:
    statement = "select max(cost_computed_at) from marts.fct_llm_calls where total_cost_usd >= 0"
    return connection.execute(statement).fetchone()


@pytest.mark.timeout(600)  # eight times dbt
def test_late_and_repeated_events_late_prices_and_restatements_come_out_as_in_a_full_build(
    database_url: str, tmp_path: Path
) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        build(database_url, tmp_path, NOON)
        left = {table for table, rows in contents(connection).items() if rows}
        assert left <= {"dim_price_lists"}, "public prices alone are nobody's"

        create_project(connection)
        insert_events(connection, read_events("calls_1.csv"))
        refresh_prices(connection, bundled_catalog(), FIRST_BUILD)
        build(database_url, tmp_path, FIRST_BUILD)
        assert_as_expected(connection, "first")

        insert_events(connection, read_events("calls_2.csv"))
        refresh_prices(connection, catalog_with_novel_model(1), SECOND_BUILD)
        build(database_url, tmp_path, SECOND_BUILD)
        assert_as_expected(connection, "second")

        refresh_prices(connection, catalog_with_novel_model(10), SECOND_BUILD)
        insert_events(connection, read_events("calls_3.csv", loaded_at=datetime.now(UTC)))
        set_rollup_tags(connection, PROJECT_ID, ["feature"])
        noon_hour = Restatement(
            NOON, NOON + timedelta(hours=1), "corrected price", "finance", provider_name="acme"
        )
        request_restatement(connection, noon_hour)
        build(database_url, tmp_path, datetime.now(UTC))
        assert_as_expected(connection, "third")

        built_at = newest_cost(connection)
        of_openai = Restatement(
            NOON - timedelta(days=1),
            NOON + timedelta(days=1),
            "again",
            "me",
            provider_name="openai",
        )
        request_restatement(connection, of_openai)
        request_restatement(connection, noon_hour)
        build(database_url, tmp_path, datetime.now(UTC))
        assert_as_expected(connection, "third")
        assert newest_cost(connection) == built_at, "a restatement without a change wrote calls"

        incremental = contents(connection)
        build(database_url, tmp_path, datetime.now(UTC), "--full-refresh")
        assert contents(connection) == incremental

        connection.execute("delete from raw.llm_events")
        argument = f"{{project_id: {PROJECT_ID}}}"
        dbt(database_url, tmp_path, "run-operation", "remove_project", "--args", argument)
        left = {table for table, rows in contents(connection).items() if rows}
        assert left <= {"dim_price_lists"}, "public prices alone are nobody's"
        assert connection.execute("select count(*) from reports.rpt_latency_daily").fetchone() == (
            0,
        )
