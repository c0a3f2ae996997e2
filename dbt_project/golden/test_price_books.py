"""Prices of projects and tenants: who takes them, from when on, and what they leave alone."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dbt_project.golden.ledger import (
    PROJECT_ID,
    TENANT_ID,
    build,
    create_project,
    event,
    insert_events,
)
from ingest_api.database.prices import Author, Book, Entry, revise
from ingest_api.prices.book import Price, ended, revised
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

OTHER_PROJECT_ID = uuid.UUID(int=3)
STARTED = datetime(2026, 11, 2, 12, tzinfo=UTC)
LONG_BEFORE = datetime(2026, 1, 1, tzinfo=UTC)
NEGOTIATED = Entry(Book(TENANT_ID, PROJECT_ID), "openai", "gpt-4o*")
OWN_MACHINE = Entry(Book(TENANT_ID, None), "own_machine", "llama-3*")
OPERATOR = Author("operator", "contract")
COSTS = """
    select tags ->> 'batch', case when project_id = %s then 'first' else 'second' end,
        request_model, trim_scale(total_cost_usd), unpriced_reason
    from marts.fct_llm_calls
"""
# gpt-4o of the catalog: 1,000 x 2.5 and 100 x 10 USD a million.
CATALOG_USD = Decimal("0.0035")


def calls(batch: str, loaded_at: datetime) -> list[dict[str, Any]]:
    shared = {"started_at": STARTED, "loaded_at": loaded_at, "tags": {"batch": batch}}
    return [
        event(project_id=project_id, **shared, **call)
        for project_id in (PROJECT_ID, OTHER_PROJECT_ID)
        for call in (
            {"request_model": "gpt-4o", "input_tokens": 1000, "output_tokens": 100},
            {
                "provider_name": "own_machine", "request_model": "Llama-3.3-70b",
                "input_tokens": 1000, "output_tokens": 100, "duration_seconds": 1.5,
            },
        )
    ]  # fmt: skip


def costs(connection: psycopg.Connection[Any]) -> dict[tuple[str, str, str], Any]:
    """Cost or reason by batch, project and model."""
    rows = connection.execute(COSTS, [PROJECT_ID]).fetchall()
    assert len({row[:3] for row in rows}) == len(rows)
    return {
        # A third of an hour has no end in decimals.
        (batch, project, model): reason if cost is None else round(cost, 9)
        for batch, project, model, cost, reason in rows
    }


def set_price(
    connection: psycopg.Connection[Any], entry: Entry, valid_from: datetime, **usd: str
) -> None:
    prices = [Price(kind, Decimal(price), valid_from) for kind, price in usd.items()]
    assert revise(connection, {entry: partial(revised, changes=prices)}, OPERATOR) == 1


@pytest.mark.timeout(300)  # four times dbt
def test_an_override_rules_new_calls_and_unpriced_ones_of_its_scope(
    database_url: str, tmp_path: Path
) -> None:
    start = datetime.now(UTC)
    until = start + timedelta(days=1)
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        create_project(connection, OTHER_PROJECT_ID)
        insert_events(connection, calls("before", start))
        refresh_prices(connection, bundled_catalog(), until)
        build(database_url, tmp_path, start + timedelta(minutes=1))
        assert costs(connection) == {
            ("before", project, model): price
            for project in ("first", "second")
            for model, price in [("gpt-4o", CATALOG_USD), ("Llama-3.3-70b", "unknown_provider")]
        }

        set_price(connection, NEGOTIATED, LONG_BEFORE, input="1", output="5")
        set_price(connection, OWN_MACHINE, LONG_BEFORE, hour="3600")
        insert_events(connection, calls("after", start + timedelta(hours=1)))
        build(database_url, tmp_path, start + timedelta(hours=2))
        with_overrides = {
            ("before", "first", "gpt-4o"): CATALOG_USD,
            ("before", "second", "gpt-4o"): CATALOG_USD,
            ("after", "first", "gpt-4o"): Decimal("0.0015"),
            ("after", "second", "gpt-4o"): CATALOG_USD,
            **{
                (batch, project, "Llama-3.3-70b"): Decimal("1.5")
                for batch in ("before", "after")
                for project in ("first", "second")
            },
        }
        assert costs(connection) == with_overrides

        # Known too late for any call that has a cost, and in force before it started.
        set_price(connection, OWN_MACHINE, STARTED - timedelta(days=1), hour="1")
        at_once = partial(ended, at=LONG_BEFORE)
        assert revise(connection, {NEGOTIATED: at_once}, OPERATOR) == 1
        connection.execute("select pg_sleep(0.01)")
        insert_events(connection, calls("ended", start + timedelta(hours=3)))
        build(database_url, tmp_path, start + timedelta(hours=4))
        found = costs(connection)
        assert {key: found[key] for key in with_overrides} == with_overrides
        assert found["ended", "first", "gpt-4o"] == CATALOG_USD
        assert found["ended", "first", "Llama-3.3-70b"] == Decimal("0.000416667")
