from datetime import UTC, date, datetime, time
from decimal import Decimal

import pytest
from genai_prices.types import (
    ClauseStartsWith,
    ConditionalPrice,
    ModelInfo,
    ModelPrice,
    PriceVariant,
    Provider,
    StartDateConstraint,
    Tier,
    TieredPrices,
    TimeOfDateConstraint,
)

from orchestration.pricing.catalog import (
    FIRST_INSTANT,
    Catalog,
    Observed,
    PriceRow,
    bundled_catalog,
    resolve,
)

JUNE = datetime(2026, 6, 1, tzinfo=UTC)


def usd(price: str) -> ModelPrice:
    return ModelPrice(input_mtok=Decimal(price))


def rows_of(model: ModelInfo) -> list[PriceRow]:
    provider = Provider("acme", "Acme", "acme", models=[model])
    return list(resolve(Catalog("1", [provider]), Observed("acme", model.id, None)).prices)


def model(
    prices: ModelPrice | list[ConditionalPrice], variants: list[PriceVariant] | None = None
) -> ModelInfo:
    return ModelInfo("m", ClauseStartsWith("m"), prices=prices, price_variants=variants)


def test_a_price_with_a_start_date_ends_the_one_before() -> None:
    dated = ConditionalPrice(StartDateConstraint(date(2026, 6, 1)), prices=usd("2"))
    rows = rows_of(model([ConditionalPrice(prices=usd("3")), dated]))
    assert [(r.usd_per_million, r.valid_from, r.valid_to) for r in rows] == [
        (Decimal(3), FIRST_INSTANT, JUNE),
        (Decimal(2), JUNE, None),
    ]


def test_an_off_peak_price_across_midnight_leaves_disjoint_windows() -> None:
    nightly = ConditionalPrice(TimeOfDateConstraint(time(22), time(6)), prices=usd("1"))
    rows = rows_of(model([ConditionalPrice(prices=usd("2")), nightly]))
    assert [(r.usd_per_million, r.daily_start_time, r.daily_end_time) for r in rows] == [
        (Decimal(1), time(0), time(6)),
        (Decimal(2), time(6), time(22)),
        (Decimal(1), time(22), None),
    ]


def test_each_tier_is_a_row_with_its_threshold() -> None:
    tiered = TieredPrices(Decimal(3), [Tier(200_000, Decimal(6))])
    rows = rows_of(model(ModelPrice(input_mtok=tiered)))
    assert [(r.tier_start_tokens, r.usd_per_million) for r in rows] == [(0, 3), (200_000, 6)]


def test_a_batch_price_stands_beside_the_default_price() -> None:
    rows = rows_of(model(usd("2"), [PriceVariant({"processing": "batch"}, usd("1"))]))
    assert [(r.service_tier, r.usd_per_million) for r in rows] == [("default", 2), ("batch", 1)]


def test_neighbouring_periods_of_equal_price_are_one_row() -> None:
    same = ConditionalPrice(StartDateConstraint(date(2026, 6, 1)), prices=usd("3"))
    rows = rows_of(model([ConditionalPrice(prices=usd("3")), same]))
    assert [(r.valid_from, r.valid_to) for r in rows] == [(FIRST_INSTANT, None)]


@pytest.mark.parametrize(
    ("observed", "catalog_provider", "catalog_model", "reason"),
    [
        (Observed("openai", "gpt-4o", "gpt-4o-2024-08-06"), "openai", "gpt-4o", None),
        (Observed("openai", "gpt-4o", "unheard-of"), "openai", "gpt-4o", None),
        (Observed("azure.ai.openai", "gpt-4o", None), "azure", "openai/gpt-4o", None),
        (Observed("mistral_ai", "mistral-nonesuch-9", None), "mistral", None, "unknown_model"),
        (Observed("ai21", "jamba-large", None), None, None, "unknown_provider"),
        (Observed("hugging_face", "gpt-oss", None), None, None, "unknown_provider"),
    ],
)
def test_an_observed_model_is_resolved_or_has_a_reason(
    observed: Observed,
    catalog_provider: str | None,
    catalog_model: str | None,
    reason: str | None,
) -> None:
    match = resolve(bundled_catalog(), observed)
    found = (match.catalog_provider, match.catalog_model, match.unmatched_reason)
    assert found == (catalog_provider, catalog_model, reason)


def test_a_model_without_any_price_is_not_free() -> None:
    catalog = Catalog("1", [Provider("acme", "Acme", "acme", models=[model(ModelPrice())])])
    assert resolve(catalog, Observed("acme", "m", None)).unmatched_reason == "no_price"
