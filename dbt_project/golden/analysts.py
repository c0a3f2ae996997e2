"""Two days of demo traffic in a ledger of their own, built in steps and at once."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import UUID

import msgspec
import psycopg

from dbt_project.golden.ledger import TENANT_ID, build, create_project, event, insert_events
from deploy.demo.traffic import SPIKE_DAYS_BEFORE, Traffic
from ingest_api.database.budgets import BudgetScope, NewBudget, add_budget
from ingest_api.database.keys import set_rollup_tags
from ingest_api.database.migrate import migrate
from ingest_api.events import Event
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

DEMO_ID: Final = UUID(int=7)
# What a mart holds, without the times of its building.
MARTS: Final = (
    "intermediate.int_call_evidence_hourly", "intermediate.int_budget_spend_daily",
    "marts.fct_conversations", "marts.fct_user_usage_monthly", "marts.dim_users",
    "marts.fct_cache_effectiveness_daily", "marts.fct_model_performance_daily",
    "marts.fct_budget_use_daily", "marts.fct_cost_advice", "reports.focus_cost_and_usage",
    "reports.rpt_latency_daily", "reports.rpt_user_cohorts", "reports.rpt_data_quality_daily",
)  # fmt: skip


@dataclass(frozen=True)
class Built:
    """A ledger after three builds: of most calls, of late ones, and of everything anew."""

    url: str
    target: Path
    in_steps: dict[str, list[str]]
    at_once: dict[str, list[str]]

    def rows(self, statement: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Rows of one statement."""
        with psycopg.connect(self.url) as connection:
            return connection.execute(statement.encode(), parameters or None).fetchall()


def newest_tuesday() -> datetime:
    """Midnight of a working day that, with the day after it, is over."""
    day = datetime.now(UTC).date() - timedelta(days=2)
    return datetime.combine(day - timedelta(days=(day.weekday() - 1) % 7), time(), UTC)


def demo_calls(first: datetime) -> list[Event]:
    """The day of the runaway loop and the day after it."""
    traffic = Traffic(1, first.date() + timedelta(days=SPIKE_DAYS_BEFORE))
    return [*traffic.day(first.date()), *traffic.day(first.date() + timedelta(days=1))]


def raw_rows(
    connection: psycopg.Connection[Any], calls: Iterable[Event], loaded_at: datetime
) -> Iterator[dict[str, Any]]:
    """`calls` as raw rows, as far as the table has their fields."""
    columns = [
        name
        for (name,) in connection.execute(
            """select column_name from information_schema.columns
               where table_schema = 'raw' and table_name = 'llm_events'"""
        )
    ]
    for call in calls:
        found = {name: getattr(call, name, None) for name in columns}
        usage = bytes(call.usage_details)
        found["usage_details"] = msgspec.json.decode(usage) if usage else None
        known = {name: value for name, value in found.items() if value is not None}
        known |= {"project_id": DEMO_ID, "received_at": loaded_at, "loaded_at": loaded_at}
        yield event(**known)


def add_budgets(connection: psycopg.Connection[Any], first: datetime) -> None:
    """One budget of all calls, one of a tag."""
    month = first.date().replace(day=1)
    for name, scope in (
        ("all", BudgetScope()),
        ("search", BudgetScope(None, None, None, None, "team", "search")),
    ):
        new = NewBudget(TENANT_ID, DEMO_ID, name, Decimal(50), month, scope=scope)
        add_budget(connection, new)


def contents(connection: psycopg.Connection[Any]) -> dict[str, list[str]]:
    """By mart its rows as sorted text, numbers without their trailing zeros."""
    return {
        table: [
            row
            for (row,) in connection.execute(
                f"select (to_jsonb(t) - 'refreshed_at')::text from {table} as t order by 1"  # noqa: S608 - constants
            )
        ]
        for table in MARTS
    }


@contextmanager
def fresh_database(services_url: str, name: str) -> Iterator[str]:
    """A database with all migrations and no rows."""
    with psycopg.connect(services_url, autocommit=True) as connection:
        connection.execute(f"create database {name}".encode())
        url = urlsplit(services_url)._replace(path=f"/{name}").geturl()
        with psycopg.connect(url, autocommit=True) as fresh:
            fresh.execute("create extension if not exists timescaledb")
        migrate(url)
        yield url
        connection.execute(f"drop database {name} with (force)".encode())


def build_ledger(url: str, target: Path) -> Built:
    """Load four calls of five and build, load the others and build, then build everything anew."""
    first = newest_tuesday()
    loads = [first + timedelta(days=2, minutes=1), first + timedelta(days=2, minutes=11)]
    calls = demo_calls(first)
    late = calls[::5]
    early = [call for number, call in enumerate(calls) if number % 5]
    with psycopg.connect(url, autocommit=True) as connection:
        create_project(connection, DEMO_ID)
        set_rollup_tags(connection, DEMO_ID, ["team"])
        for number, (part, loaded_at) in enumerate(zip((early, late), loads, strict=True)):
            with connection.transaction():
                insert_events(connection, raw_rows(connection, part, loaded_at))
            refresh_prices(connection, bundled_catalog(), loaded_at + timedelta(minutes=1))
            build(url, target, loaded_at + timedelta(minutes=1))
            if number == 0:
                # They come after the first build: their whole month is reckoned by the second.
                add_budgets(connection, first)
        in_steps = contents(connection)
        build(url, target, loads[1] + timedelta(minutes=1), "--full-refresh")
        return Built(url, target, in_steps, contents(connection))
