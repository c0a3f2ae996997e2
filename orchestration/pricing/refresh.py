"""Resolves newly observed models and inserts their dated prices; edits nothing."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import class_row, tuple_row

from orchestration.pricing.catalog import SOURCE, Catalog, Match, Observed, PriceRow, resolve
from orchestration.pricing.own_prices import ReviewedPrice, insert_own_prices

LAST_REFRESH = """
    select source || ' ' || catalog_version, observed_before from pricing.catalog_refreshes
    order by refresh_id desc limit 1
"""
NEWLY_OBSERVED = """
    select distinct provider_name, request_model, response_model from raw.llm_events
    where loaded_at >= %s and loaded_at < %s
"""
KNOWN = """
    select distinct on (provider_name, request_model, response_model)
        provider_name, request_model, response_model,
        catalog_provider, catalog_model, unmatched_reason
    from pricing.model_matches
    order by provider_name, request_model, response_model, resolved_at desc
"""
INSERT_MATCH = """
    insert into pricing.model_matches (
        provider_name, request_model, response_model, catalog_provider, catalog_model,
        unmatched_reason, source, catalog_version
    ) values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
# psycopg has no time 24:00: an open end stands for it in Python.
CURRENT_PRICES = """
    select catalog_provider, catalog_model, token_kind, service_tier, tier_start_tokens,
        daily_start_time, nullif(daily_end_time, '24:00') as daily_end_time, usd_per_million,
        valid_from, valid_to
    from pricing.model_prices
    where (catalog_provider, catalog_model, source) = (%(provider)s, %(model)s, %(source)s)
        and created_at = (
            select max(created_at) from pricing.model_prices
            where (catalog_provider, catalog_model, source)
                = (%(provider)s, %(model)s, %(source)s)
        )
"""
INSERT_PRICE = """
    insert into pricing.model_prices (
        catalog_provider, catalog_model, token_kind, service_tier, tier_start_tokens,
        daily_start_time, daily_end_time, usd_per_million, valid_from, valid_to,
        source, catalog_version
    ) values (%s, %s, %s, %s, %s, %s, coalesce(%s, time '24:00'), %s, %s, %s, %s, %s)
"""
# Refreshes that changed nothing are kept only while they carry the watermark.
LOG_REFRESH = """
    with forgotten as (
        delete from pricing.catalog_refreshes where match_count = 0 and price_count = 0
    )
    insert into pricing.catalog_refreshes
        (source, catalog_version, observed_before, match_count, price_count)
    values (%s, %s, %s, %s, %s)
"""
# Of the newest answers, those that leave a combination without any price: not in the catalog, and
# by no name in a book of ours. The same rule in SQL: macros/price_books.sql.
UNRESOLVED = """
    with newest as (
        select distinct on (provider_name, request_model, response_model) *
        from pricing.model_matches
        order by provider_name, request_model, response_model, resolved_at desc
    )
    select unmatched_reason, provider_name,
        coalesce(response_model, request_model) as model
    from newest
    where unmatched_reason is not null and not exists (
        select from pricing.model_prices as p
        where source <> 'genai-prices' and catalog_provider = provider_name and (
            lower(catalog_model) in (lower(response_model), lower(request_model))
            or (
                right(catalog_model, 1) = '*' and (
                    starts_with(lower(response_model), lower(rtrim(catalog_model, '*')))
                    or starts_with(lower(request_model), lower(rtrim(catalog_model, '*')))
                )
            )
        )
    )
    order by 1, 2, 3
"""
LONG_AGO = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

Connection = psycopg.Connection[Any]
Answer = tuple[str | None, str | None, str | None]  # catalog provider, catalog model, reason


@dataclass(frozen=True)
class Refresh:
    """What a refresh added, in rows."""

    match_count: int
    price_count: int


def refresh_prices(
    connection: Connection,
    catalog: Catalog,
    loaded_before: datetime,
    own_prices: Sequence[ReviewedPrice] = (),
) -> Refresh:
    """Resolve every model seen in rows loaded before `loaded_before`, in one transaction.

    Reads only rows loaded since the refresh before. A catalog of another version resolves
    every combination anew; what comes out as before is not written again.
    """
    with connection.transaction():
        version, observed_until = _last_refresh(connection)
        known = _known(connection)
        seen = _newly_observed(connection, observed_until, loaded_before)
        is_new_catalog = version != _version_name(catalog)
        observed = seen | known.keys() if is_new_catalog else seen - known.keys()
        matches = [resolve(catalog, combination) for combination in sorted(observed, key=str)]
        changed = [match for match in matches if known.get(match.observed) != _answer(match)]
        refresh = Refresh(
            _insert_matches(connection, catalog, changed),
            _insert_prices(connection, catalog, matches)
            + insert_own_prices(connection, own_prices),
        )
        _log(connection, catalog, max(observed_until, loaded_before), refresh)
    return refresh


def is_known_version(connection: Connection, catalog: Catalog) -> bool:
    """Whether the last refresh used this version of the catalog."""
    return _last_refresh(connection)[0] == _version_name(catalog)


def read_unresolved(connection: Connection) -> dict[str, list[str]]:
    """By reason, the observed models (as `provider model`) that no book has a price for."""
    unresolved: dict[str, list[str]] = {}
    for reason, provider_name, model in connection.execute(UNRESOLVED):
        unresolved.setdefault(reason, []).append(f"{provider_name} {model}")
    return unresolved


def _last_refresh(connection: Connection) -> tuple[str, datetime]:
    row = connection.cursor(row_factory=tuple_row).execute(LAST_REFRESH).fetchone()
    return (row[0], row[1]) if row else ("", LONG_AGO)


def _version_name(catalog: Catalog) -> str:
    return f"{SOURCE} {catalog.version}"


def _newly_observed(connection: Connection, since: datetime, until: datetime) -> set[Observed]:
    return {Observed(*row) for row in connection.execute(NEWLY_OBSERVED, [since, until])}


def _known(connection: Connection) -> dict[Observed, Answer]:
    return {Observed(*row[:3]): (row[3], row[4], row[5]) for row in connection.execute(KNOWN)}


def _answer(match: Match) -> Answer:
    return (match.catalog_provider, match.catalog_model, match.unmatched_reason)


def _insert_matches(connection: Connection, catalog: Catalog, matches: list[Match]) -> int:
    rows = [(*m.observed, *_answer(m), SOURCE, catalog.version) for m in matches]
    connection.cursor().executemany(INSERT_MATCH, rows)
    return len(rows)


def _insert_prices(connection: Connection, catalog: Catalog, matches: Iterable[Match]) -> int:
    revisions = {
        (m.catalog_provider, m.catalog_model): m.prices for m in matches if m.catalog_model
    }
    rows = [
        (*astuple(price), SOURCE, catalog.version)
        for (provider, model), prices in revisions.items()
        if set(prices) != _current_prices(connection, provider, model)
        for price in prices
    ]
    connection.cursor().executemany(INSERT_PRICE, rows)
    return len(rows)


def _current_prices(
    connection: Connection, provider: str | None, model: str | None
) -> set[PriceRow]:
    cursor = connection.cursor(row_factory=class_row(PriceRow))
    key = {"provider": provider, "model": model, "source": SOURCE}
    return set(cursor.execute(CURRENT_PRICES, key))


def _log(connection: Connection, catalog: Catalog, until: datetime, refresh: Refresh) -> None:
    counts = (refresh.match_count, refresh.price_count)
    connection.execute(LOG_REFRESH, [SOURCE, catalog.version, until, *counts])
