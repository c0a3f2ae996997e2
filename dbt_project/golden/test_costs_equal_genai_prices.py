"""Our SQL against `genai_prices`, on real answers of many providers."""

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from genai_prices.data_snapshot import DataSnapshot, get_snapshot

from benchmarks.cost.calls import made_calls
from dbt_project.golden.estimates import estimates_of
from dbt_project.golden.ledger import NOON, PROJECT_ID, build, create_project, insert_events
from dbt_project.golden.real_usage import (
    Row,
    as_event,
    catalog_cost,
    expected_counts,
    is_read_as_expected,
    is_read_by_a_candidate,
    read_counts,
    read_rows,
    recorded_price,
)
from orchestration.pricing.catalog import Catalog, bundled_catalog
from orchestration.pricing.catalog_files import read_catalog
from orchestration.pricing.refresh import refresh_prices

TOLERANCE_USD = Decimal("1e-9")
LOADED = NOON + timedelta(hours=1)
# Answers of Bedrock with cache writes, which the corpus does not read there.
MOST_READ_LESS = 4
# When the prices of the corpus were computed: before the cuts of August 2026.
PINNED = datetime(2026, 7, 20, tzinfo=UTC)
OLDER = NOON - timedelta(days=700, hours=9)

Costs = dict[uuid.UUID, tuple[Decimal | None, str | None]]


@pytest.fixture
def rows(corpus_path: Path) -> list[Row]:
    return read_rows(corpus_path)


def build_costs(
    database_url: str, target: Path, catalog: Catalog, events: Iterable[dict[str, Any]]
) -> Costs:
    """By event: total cost, and why there is none."""
    with psycopg.connect(database_url) as connection:
        create_project(connection)
        insert_events(connection, events)
        refresh_prices(connection, catalog, LOADED)
    build(database_url, target, LOADED)
    with psycopg.connect(database_url) as connection:
        found = connection.execute(
            "select event_id, total_cost_usd, unpriced_reason"
            " from marts.fct_llm_calls where project_id = %s",
            [PROJECT_ID],
        )
        return {event_id: (cost, reason) for event_id, cost, reason in found}


def is_equal(cost: Decimal | None, reason: str | None, expected: Decimal | None) -> bool:
    """Whether a cost is the expected one; none is expected where there is a reason, and no zero."""
    if expected is None:
        return cost is None and reason is not None
    return cost is not None and abs(cost - expected) <= TOLERANCE_USD


def test_usage_is_read_from_every_body(rows: list[Row]) -> None:
    known = [row for row in rows if row["expected_usage"]]
    fewer = [
        (row["id"], name, expected, read_counts(row)[name])
        for row in known
        for name, expected in expected_counts(row).items()
        if expected and expected != read_counts(row)[name]
    ]
    assert fewer == []
    others = [row for row in known if not is_read_as_expected(row)]
    assert [row["id"] for row in others if not is_read_by_a_candidate(row)] == []


@pytest.mark.timeout(300)
def test_costs_equal_the_prices_of_the_corpus(
    database_url: str, tmp_path: Path, corpus_path: Path, rows: list[Row]
) -> None:
    """On every row that it prices; where it reads less, `calc_price` alone is the measure."""
    catalog = read_catalog(corpus_path / "genai-prices" / "prices")
    snapshot = DataSnapshot(catalog.providers, from_auto_update=False)
    events = [as_event(row, PINNED) for row in rows]
    ours = build_costs(database_url, tmp_path, catalog, events)
    wrong, equal_count, priced = [], 0, [row for row in rows if row["total_price"] is not None]
    for row in rows:
        cost, reason = ours[row["event_id"]]
        calculated = catalog_cost(snapshot, row, PINNED)
        if not is_equal(cost, reason, calculated):
            wrong.append((row["id"], row["model"], "calc_price", calculated, cost, reason))
    for row in priced:
        cost, reason = ours[row["event_id"]]
        recorded = recorded_price(row)
        # A model without any price in the catalog: zero there, none here.
        expected = None if recorded == 0 and reason == "no_price" else recorded
        if is_equal(cost, reason, expected):
            equal_count += 1
        elif is_read_as_expected(row):
            wrong.append((row["id"], row["model"], "corpus", recorded, cost, reason))
    assert wrong == []
    assert len(priced) - MOST_READ_LESS <= equal_count > 0.7 * len(rows)


@pytest.mark.timeout(300)
def test_costs_and_estimates_equal_those_of_todays_catalog(
    database_url: str, tmp_path: Path, rows: list[Row]
) -> None:
    times = (NOON, OLDER)
    events = [as_event(_at(row, time), time) for row in rows for time in times]
    made = made_calls(NOON)
    events += [call.event for call in made]
    ours = build_costs(database_url, tmp_path, bundled_catalog(), events)
    estimated = estimates_of(database_url, events)
    assert estimated == ours
    costs = [(call, ours[call.event["event_id"]][0]) for call in made]
    wrong: list[Any] = [(c.feature, c.expected, cost) for c, cost in costs if cost != c.expected]
    for time in times:
        for row in rows:
            cost, reason = ours[_at(row, time)["event_id"]]
            expected = catalog_cost(get_snapshot(), row, time)
            if not is_equal(cost, reason, expected):
                wrong.append((row["id"], time, row["model"], expected, cost, reason))
    assert wrong == []
    assert sum(cost is not None for cost, _ in ours.values()) > 0.7 * len(events)


def _at(row: Row, time: datetime) -> Row:
    return {**row, "event_id": uuid.uuid5(row["event_id"], str(time))}
