from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import psycopg
import pytest
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider

from dbt_project.golden.ledger import NOON, create_project, event, insert_events
from orchestration.pricing.catalog import Catalog
from orchestration.pricing.own_prices import read_own_prices
from orchestration.pricing.refresh import Refresh, read_unresolved, refresh_prices

SOON = NOON + timedelta(minutes=1)


def catalog(version: str, input_usd: int) -> Catalog:
    prices = ModelPrice(input_mtok=Decimal(input_usd))
    model = ModelInfo("gpt-4o", ClauseEquals("gpt-4o"), prices=prices)
    return Catalog(version, [Provider("openai", "OpenAI", "openai", models=[model])])


def test_a_change_adds_rows_and_edits_none(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        insert_events(connection, [event(), event(request_model="unknown")])
        assert refresh_prices(connection, catalog("1", 1), SOON) == Refresh(2, 1)
        assert refresh_prices(connection, catalog("1", 1), SOON) == Refresh(0, 0)
        assert refresh_prices(connection, catalog("2", 1), SOON) == Refresh(0, 0)
        assert refresh_prices(connection, catalog("3", 2), SOON) == Refresh(0, 1)
        prices = connection.execute(
            "select usd_per_million, catalog_version from pricing.model_prices order by created_at"
        ).fetchall()
        assert prices == [(1, "1"), (2, "3")]
        with pytest.raises(psycopg.errors.RaiseException, match="never edited"):
            connection.execute("update pricing.model_prices set usd_per_million = 0")


def test_our_own_prices_are_written_once_and_resolve_what_the_catalog_lacks(
    database_url: str,
) -> None:
    own = read_own_prices()
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        jamba = event(provider_name="ai21", request_model="Jamba-Large-1.7-2025-07")
        insert_events(connection, [jamba, event(provider_name="ai21", request_model="j2-ultra")])
        assert refresh_prices(connection, catalog("1", 1), SOON, own) == Refresh(2, len(own))
        assert refresh_prices(connection, catalog("1", 1), SOON, own) == Refresh(0, 0)
        assert read_unresolved(connection) == {"unknown_provider": ["ai21 j2-ultra"]}
        dearer = [own[0]._replace(price=replace(own[0].price, usd=Decimal(3))), *own[1:]]
        assert refresh_prices(connection, catalog("1", 1), SOON, dearer) == Refresh(0, 2)


def test_calls_loaded_after_the_bound_wait_for_the_next_refresh(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        create_project(connection)
        insert_events(connection, [event()])
        assert refresh_prices(connection, catalog("1", 1), NOON) == Refresh(0, 0)
        assert refresh_prices(connection, catalog("1", 1), SOON) == Refresh(1, 1)
