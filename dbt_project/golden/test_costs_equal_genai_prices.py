"""Our SQL against `genai_prices.calc_price`, on real responses of many providers."""

import json
import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import genai_prices
import psycopg
import pytest

from dbt_project.golden.ledger import NOON, build, create_project, event, insert_events
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

TOLERANCE_USD = Decimal("1e-9")
COLUMN_OF_USAGE = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_input_tokens",
    "cache_write_tokens": "cache_write_input_tokens",
    "cache_write_1h_tokens": "cache_write_1h_input_tokens",
    "output_reasoning_tokens": "reasoning_output_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "output_audio_tokens": "output_audio_tokens",
    "input_image_tokens": "input_image_tokens",
}


def as_event(row: dict[str, Any], started_at: datetime) -> dict[str, Any]:
    usage = row["expected_usage"] or {}
    body = row["body"]
    tokens = {ours: usage.get(theirs) for theirs, ours in COLUMN_OF_USAGE.items()}
    return event(
        event_id=uuid.uuid5(uuid.NAMESPACE_URL, row["id"]),
        provider_name=row["provider"] or "unnamed",
        request_model=row["model"] or "unnamed",
        started_at=started_at,
        usage_details=body.get("usage") or body.get("usageMetadata"),
        **tokens,
    )


def catalog_cost(row: dict[str, Any], started_at: datetime) -> Decimal | None:
    """What genai-prices says; null where it says nothing, or zero for want of any price."""
    if not (row["expected_usage"] and row["provider"] and row["model"]):
        return None
    try:
        priced = genai_prices.calc_price(
            genai_prices.Usage(**row["expected_usage"]),
            row["model"],
            provider_id=row["provider"],
            genai_request_timestamp=started_at,
        )
    except (LookupError, ValueError):
        return None
    return priced.total_price if vars(priced.model_price) else None


@pytest.fixture
def usages(corpus_path: Path) -> list[dict[str, Any]]:
    file = corpus_path / "genai-prices" / "usages.jsonl"
    if not file.exists():
        pytest.skip(f"{file} is not on this machine; set LLMSCOPE_CORPUS to the folder of it")
    return [json.loads(line) for line in file.read_text().splitlines()]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("started_at", [NOON, NOON - timedelta(days=700, hours=9)])
def test_costs_equal_those_of_genai_prices(
    database_url: str, tmp_path: Path, usages: list[dict[str, Any]], started_at: datetime
) -> None:
    with psycopg.connect(database_url) as connection:
        create_project(connection)
        insert_events(connection, [as_event(row, started_at) for row in usages])
        refresh_prices(connection, bundled_catalog(), NOON + timedelta(hours=1))
    build(database_url, tmp_path, NOON + timedelta(hours=1))
    with psycopg.connect(database_url) as connection:
        ours = {
            event_id: (cost, reason)
            for event_id, cost, reason in connection.execute(
                "select event_id, total_cost_usd, unpriced_reason from marts.fct_llm_calls"
            )
        }
    wrong = []
    priced_count = 0
    for row in usages:
        expected = catalog_cost(row, started_at)
        cost, reason = ours[uuid.uuid5(uuid.NAMESPACE_URL, row["id"])]
        priced_count += expected is not None
        is_equal = (
            reason is not None and cost is None
            if expected is None
            else cost is not None and abs(cost - expected) <= TOLERANCE_USD
        )
        if not is_equal:
            wrong.append((row["id"], row["model"], expected, cost, reason))
    assert wrong == []
    assert priced_count > 0.7 * len(usages)
