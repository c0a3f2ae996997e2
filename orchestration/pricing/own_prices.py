"""Our own reviewed prices, for providers that the catalog lacks: `own_prices.csv`."""

import csv
from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, NamedTuple

import psycopg

from ingest_api.prices.book import Price, check_name, check_price

FILE: Final = Path(__file__).with_name("own_prices.csv")

CURRENT: Final = """
    select catalog_provider, catalog_model, token_kind, usd_per_million, valid_from
    from pricing.model_prices as p
    where source = 'llmscope' and created_at = (
        select max(created_at) from pricing.model_prices as q
        where q.source = 'llmscope' and q.catalog_provider = p.catalog_provider
            and q.catalog_model = p.catalog_model
    )
"""
INSERT: Final = """
    insert into pricing.model_prices (
        catalog_provider, catalog_model, token_kind, usd_per_million, valid_from, source,
        catalog_version, source_url, reviewed_on
    ) values (%s, %s, %s, %s, %s, 'llmscope', '', %s, %s)
"""


class ReviewedPrice(NamedTuple):
    """A price, where it is published, and when somebody last looked there."""

    provider_name: str
    model: str
    price: Price
    source_url: str
    reviewed_on: date

    @property
    def what(self) -> tuple[Any, ...]:
        """What a new look alone does not change."""
        return (self.price.token_kind, self.price.usd_per_million, self.price.valid_from)


def read_own_prices(file: Path = FILE) -> list[ReviewedPrice]:
    """The prices of a file.

    Raises:
        ValueError: one of them means nothing, or has no source.
    """
    with file.open(newline="") as lines:
        return [_read(row) for row in csv.DictReader(lines, strict=True)]


def insert_own_prices(
    connection: psycopg.Connection[Any], own_prices: Iterable[ReviewedPrice]
) -> int:
    """Write the models whose prices differ from their newest revision; the rows written."""
    stored: dict[tuple[str, str], set[tuple[Any, ...]]] = defaultdict(set)
    for provider_name, model, *what in connection.execute(CURRENT):
        stored[provider_name, model].add(tuple(what))
    models: dict[tuple[str, str], list[ReviewedPrice]] = defaultdict(list)
    for one in own_prices:
        models[one.provider_name, one.model].append(one)
    rows = [
        (*key, *one.what, one.source_url, one.reviewed_on)
        for key, prices in models.items()
        if {price.what for price in prices} != stored[key]
        for one in prices
    ]
    connection.cursor().executemany(INSERT, rows)
    return len(rows)


def _read(row: dict[str, str]) -> ReviewedPrice:
    price = Price(row["token_kind"], Decimal(row["usd"]), datetime.fromisoformat(row["valid_from"]))
    check_price(price)
    check_name("provider_name", row["provider_name"])
    check_name("model", row["model"])
    if not row["source_url"].startswith("https://"):
        raise ValueError(f"{row['model']} has no source_url")
    reviewed_on = date.fromisoformat(row["reviewed_on"])
    return ReviewedPrice(row["provider_name"], row["model"], price, row["source_url"], reviewed_on)
