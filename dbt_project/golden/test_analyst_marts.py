"""The marts for analysts, on two days of demo traffic, against plain passes over the calls."""

import csv
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from dbt_project.golden import focus
from dbt_project.golden.analysts import Built, build_ledger, fresh_database
from tests.running import RunningPlatform

pytestmark = pytest.mark.timeout(600)  # the first test waits for three builds

ADVICE = {
    "cache_repeated_prefixes", "batch_calls", "stop_paid_retries", "cap_long_outputs",
    "use_cheaper_model",
}  # fmt: skip
CLOSE = Decimal("1e-12")


@pytest.fixture(scope="module")
def built(services: RunningPlatform, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with fresh_database(services.database_url, "analysts") as url:
        yield build_ledger(url, tmp_path_factory.mktemp("dbt"))


@pytest.fixture(scope="module")
def calls(built: Built) -> list[dict[str, Any]]:
    return [row for (row,) in built.rows("select to_jsonb(c) from marts.fct_llm_calls as c")]


def test_late_calls_come_out_as_in_a_full_build(built: Built) -> None:
    for mart, rows in built.at_once.items():
        assert rows, f"{mart} is empty"
        assert built.in_steps[mart] == rows, mart


def test_every_kind_of_advice_is_given_and_its_query_gives_its_figures(built: Built) -> None:
    advice = built.rows(
        "select advice_kind, saving_usd, evidence, proof_sql from marts.fct_cost_advice"
    )
    assert {kind for kind, *_ in advice} == ADVICE
    for kind, saving, evidence, proof in advice:
        assert saving >= Decimal("0.01"), kind
        assert built.rows(proof) == [(saving, evidence)], proof


def test_conversations_are_what_their_calls_are(built: Built, calls: list[dict[str, Any]]) -> None:
    expected: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for call in calls:
        if call["conversation_id"]:
            expected[call["conversation_id"]].append(call)
    found = built.rows(
        """select conversation_id, call_count, error_count, output_tokens, total_cost_usd, models,
               unpriced_call_count
           from marts.fct_conversations"""
    )
    assert len(found) == len(expected)
    for conversation_id, *figures in found:
        of_it = expected[conversation_id]
        costs = [
            Decimal(str(c["total_cost_usd"])) for c in of_it if c["total_cost_usd"] is not None
        ]
        assert figures == [
            len(of_it),
            sum(call["is_error"] for call in of_it),
            sum(call["output_tokens"] for call in of_it),
            sum(costs) if costs else None,
            sorted({call["model"] for call in of_it}),
            sum(c["unpriced_reason"] not in (None, "no_usage") for c in of_it),
        ]


def test_users_are_counted_from_their_first_call(built: Built, calls: list[dict[str, Any]]) -> None:
    by_user: dict[str, list[datetime]] = defaultdict(list)
    for call in calls:
        if call["user_id"]:
            by_user[call["user_id"]].append(datetime.fromisoformat(call["started_at"]))
    found = built.rows(
        "select user_id, first_seen_at, last_seen_at, cohort_month, call_count from marts.dim_users"
    )
    assert sorted(found) == sorted(
        (user, min(at), max(at), min(at).astimezone(UTC).date().replace(day=1), len(at))
        for user, at in by_user.items()
    )
    cohorts = built.rows("select cohort_user_count, retention_ratio from reports.rpt_user_cohorts")
    assert [count for count, ratio in cohorts if ratio == 1] == [len(by_user)]


def test_caching_is_judged_by_the_prices_of_each_call(
    built: Built, calls: list[dict[str, Any]]
) -> None:
    # USD per million tokens: uncached input, cache read, write for 5 minutes, write for an hour.
    prices = {"claude-sonnet-4-5-20250929": (3, "0.3", "3.75", 6)}
    for model, figures in prices.items():
        uncached, read, short, long = map(Decimal, figures)
        saved = premium = Decimal(0)
        for call in calls:
            if call["model"] == model and call["total_cost_usd"] is not None:
                hour = call["cache_write_1h_input_tokens"]
                saved += call["cache_read_input_tokens"] * (uncached - read)
                premium += (call["cache_write_input_tokens"] - hour) * (short - uncached)
                premium += hour * (long - uncached)
        found = built.rows(
            """select sum(saved_usd), sum(cache_write_premium_usd)
               from marts.fct_cache_effectiveness_daily where model = %s""",
            model,
        )
        assert found == [(saved / 1_000_000, premium / 1_000_000)]
    wasted = built.rows(
        """select sum(wasted_usd) > 0, bool_and(wasted_usd <= cache_write_premium_usd)
           from marts.fct_cache_effectiveness_daily where starts_with(model, 'claude-opus')"""
    )
    assert wasted == [(True, True)]


def test_a_budget_is_projected_as_the_docs_say(built: Built, calls: list[dict[str, Any]]) -> None:
    spend: dict[Any, Decimal] = defaultdict(Decimal)
    for call in calls:
        day = datetime.fromisoformat(call["started_at"]).astimezone(UTC).date()
        spend[day] += Decimal(str(call["total_cost_usd"] or 0))
    rows = built.rows(
        """select usage_date, spent_usd, burn_rate_usd, projected_month_usd, projected_overrun_usd
           from marts.fct_budget_use_daily where budget_name = 'all' order by usage_date"""
    )
    first = rows[0][0]
    assert first.day == 1
    for day, spent, burn, projected, overrun in rows:
        to_date = [spend[first + timedelta(days=n)] for n in range((day - first).days + 1)]
        of_month = to_date[-day.day :]
        before = to_date[:-1][-7:]
        rate = sum(before) / len(before) if before else to_date[-1]
        days_left = ((day.replace(day=28) + timedelta(days=4)).replace(day=1) - day).days - 1
        expected = sum(of_month[:-1]) + max(of_month[-1], rate) + rate * days_left
        assert spent == sum(of_month)
        assert abs(burn - rate) < CLOSE
        assert abs(projected - expected) < CLOSE
        assert abs(overrun - max(expected - 50, Decimal(0))) < CLOSE


def test_a_budget_of_a_tag_takes_the_calls_that_carry_it(
    built: Built, calls: list[dict[str, Any]]
) -> None:
    expected = sum(
        Decimal(str(call["total_cost_usd"] or 0))
        for call in calls
        if call["tags"].get("team") == "search"
    )
    found = built.rows(
        """select sum(cost_usd) from marts.fct_budget_use_daily where budget_name = 'search'"""
    )
    assert found == [(expected,)]


def test_users_services_and_tags_add_up_to_the_ledger(built: Built) -> None:
    ((total,),) = built.rows("select sum(total_cost_usd) from marts.fct_llm_calls")
    for table in ("dim_users", "fct_model_performance_daily"):
        assert built.rows(f"select sum(total_cost_usd) from marts.{table}") == [(total,)]
    for table in ("rpt_usage_daily", "rpt_usage_by_tag_daily", "rpt_cost_by_model"):
        assert built.rows(f"select sum(total_cost_usd) from reports.{table}") == [(total,)]


def test_calls_are_vacuumed_after_so_many_new_ones(built: Built) -> None:
    ((options,),) = built.rows(
        "select reloptions from pg_class where oid = 'marts.fct_llm_calls'::regclass"
    )
    assert sorted(options) == [
        "autovacuum_vacuum_insert_scale_factor=0", "autovacuum_vacuum_insert_threshold=100000",
    ]  # fmt: skip


def test_every_column_in_the_database_says_what_it_holds(built: Built) -> None:
    lacking = built.rows(
        """select attrelid::regclass::text, attname from pg_attribute
           join pg_class on pg_class.oid = attrelid
           where relnamespace::regnamespace::text
                   in ('staging', 'intermediate', 'marts', 'reports')
               and relkind in ('r', 'v') and attnum > 0 and not attisdropped
               and coalesce(col_description(attrelid, attnum), '') = ''"""
    )
    assert lacking == []


def export(built: Built, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "DATABASE_URL": built.url, "LLMSCOPE_HOME": str(built.target)}
    command = [sys.executable, "-m", "cli", "export", "focus", "--from", "2026-01-01", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def test_focus_exports_conform_and_hold_every_priced_cent(built: Built, tmp_path: Path) -> None:
    ((total, unpriced),) = built.rows(
        "select sum(total_cost_usd), sum(unpriced_call_count)::bigint from marts.fct_usage_daily"
    )
    done = export(built)
    rows = list(csv.DictReader(done.stdout.splitlines()))
    assert f"they have no price: {unpriced:,} calls" in done.stderr
    assert sum(Decimal(row["BilledCost"]) for row in rows) == total
    file = tmp_path / "focus.parquet"
    export(built, "--format", "parquet", "--out", str(file))
    table = pq.read_table(file)
    assert table.num_rows == len(rows)
    assert abs(sum(table["BilledCost"].to_pylist()) - total) < CLOSE
    columns = list(rows[0])
    assert columns == table.column_names == focus.ORDER
    for name, (kind, allows_null) in focus.COLUMNS.items():
        values = [row[name] for row in rows]
        assert allows_null or all(values), name
        assert all(focus.CSV_FORMS[kind](value) for value in values if value), name
        assert focus.ARROW_TYPES[kind](table.schema.field(name).type), name
    for name, allowed in focus.ALLOWED.items():
        assert {row[name] for row in rows} == allowed
    for row in rows:
        expected = Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"])
        assert abs(Decimal(row["ListCost"]) - expected) < Decimal("1e-9")
