"""The price books of tenants and projects in the ledger: rows are added, never edited. Blocking."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from ingest_api.prices.book import Price
from ingest_api.prices.kinds import UNITS

SOURCE: Final = "override"
# One writer at a time: a revision is made from the one before.
WRITE_LOCK: Final = 7233006

LIST: Final = """
select p.price_id, t.name as tenant, j.name as project, catalog_provider as provider_name,
    catalog_model as model, token_kind, service_tier, tier_start_tokens, usd_per_million,
    valid_from, valid_to, p.created_at, p.created_by, p.reason,
    p.created_at = max(p.created_at) over (
        partition by p.tenant_id, p.project_id, catalog_provider, catalog_model
    ) as is_current
from pricing.model_prices as p
join app.tenants as t using (tenant_id)
left join app.projects as j on j.project_id = p.project_id
where source = 'override'
    and (%(tenant_id)s::uuid is null or p.tenant_id = %(tenant_id)s)
    and (%(project_id)s::uuid is null or p.project_id is null or p.project_id = %(project_id)s)
order by t.name, j.name nulls first, catalog_provider, catalog_model, p.created_at, valid_from,
    service_tier, token_kind, tier_start_tokens
"""
CURRENT: Final = """
select token_kind, usd_per_million, valid_from, valid_to, service_tier, tier_start_tokens
from pricing.model_prices
where source = 'override' and tenant_id = %(tenant_id)s
    and project_id is not distinct from %(project_id)s
    and catalog_provider = %(provider_name)s and catalog_model = %(model)s
    and created_at = (
        select max(created_at) from pricing.model_prices
        where source = 'override' and tenant_id = %(tenant_id)s
            and project_id is not distinct from %(project_id)s
            and catalog_provider = %(provider_name)s and catalog_model = %(model)s
    )
"""
INSERT: Final = """
insert into pricing.model_prices (
    tenant_id, project_id, catalog_provider, catalog_model, token_kind, service_tier,
    tier_start_tokens, usd_per_million, valid_from, valid_to, source, catalog_version, created_at,
    created_by, reason
) values (
    %(tenant_id)s, %(project_id)s, %(provider_name)s, %(model)s, %(token_kind)s, %(service_tier)s,
    %(tier_start_tokens)s, %(usd_per_million)s, %(valid_from)s, %(valid_to)s, 'override', '',
    %(created_at)s, %(created_by)s, %(reason)s
)
"""


class Book(NamedTuple):
    """Whose price: of one project, or of all projects of a tenant."""

    tenant_id: UUID
    project_id: UUID | None


class Entry(NamedTuple):
    """One model in a book; a model that ends in * is every model that begins so."""

    book: Book
    provider_name: str
    model: str


class Author(NamedTuple):
    """Who changes a price, and why."""

    created_by: str
    reason: str | None = None


@dataclass(frozen=True)
class StoredPrice:
    """A row of a book; `project` is None where it holds for the whole tenant."""

    price_id: UUID
    tenant: str
    project: str | None
    provider_name: str
    model: str
    token_kind: str
    service_tier: str
    tier_start_tokens: int
    usd_per_million: Decimal
    valid_from: datetime
    valid_to: datetime | None
    created_at: datetime
    created_by: str | None
    reason: str | None
    is_current: bool

    @property
    def usd(self) -> Decimal:
        """For one unit of the kind: a million tokens, a thousand calls, one hour."""
        return _usd(self.token_kind, self.usd_per_million)


def list_prices(
    connection: psycopg.Connection[Any],
    tenant_id: UUID | None = None,
    project_id: UUID | None = None,
    *,
    with_history: bool = False,
) -> list[StoredPrice]:
    """The overrides of everyone, of a tenant, or those that a project's calls can take.

    Without `with_history` only rows of the newest revisions that hold at some time.
    """
    with connection.cursor(row_factory=class_row(StoredPrice)) as cursor:
        cursor.execute(LIST, {"tenant_id": tenant_id, "project_id": project_id})
        rows = cursor.fetchall()
    return [
        row for row in rows
        if with_history or (row.is_current and row.valid_to != row.valid_from)
    ]  # fmt: skip


def revise(
    connection: psycopg.Connection[Any],
    changes: Mapping[Entry, Callable[[list[Price]], list[Price]]],
    author: Author,
) -> int:
    """Write the next revision of each entry in one transaction, and count the entries changed.

    `changes` makes the next revision of an entry from its current one; what comes out as it was is
    not written again.
    """
    with connection.transaction():
        connection.execute("select pg_advisory_xact_lock(%s)", [WRITE_LOCK])
        row = connection.execute("select clock_timestamp()").fetchone()
        assert row is not None  # noqa: S101 - a select without from gives one row
        return sum(
            _write(connection, entry, change, author, row[0]) for entry, change in changes.items()
        )


def _write(
    connection: psycopg.Connection[Any],
    entry: Entry,
    change: Callable[[list[Price]], list[Price]],
    author: Author,
    created_at: datetime,
) -> bool:
    current = _current(connection, entry)
    prices = change(current)
    if set(prices) == set(current):
        return False
    connection.cursor().executemany(INSERT, _rows(entry, prices, author, created_at))
    return True


def _current(connection: psycopg.Connection[Any], entry: Entry) -> list[Price]:
    rows = connection.execute(CURRENT, _key(entry))
    return [Price(kind, _usd(kind, usd), *rest) for kind, usd, *rest in rows]


def _rows(
    entry: Entry, prices: Iterable[Price], author: Author, created_at: datetime
) -> list[dict[str, Any]]:
    return [
        {
            **_key(entry),
            "token_kind": price.token_kind,
            "service_tier": price.service_tier,
            "tier_start_tokens": price.tier_start_tokens,
            "usd_per_million": price.usd_per_million,
            "valid_from": price.valid_from,
            "valid_to": price.valid_to,
            "created_at": created_at,
            "created_by": author.created_by,
            "reason": author.reason,
        }
        for price in prices
    ]


def _key(entry: Entry) -> dict[str, Any]:
    return {
        "tenant_id": entry.book.tenant_id,
        "project_id": entry.book.project_id,
        "provider_name": entry.provider_name,
        "model": entry.model,
    }


def _usd(token_kind: str, usd_per_million: Decimal) -> Decimal:
    return usd_per_million / (1_000_000 // UNITS[token_kind][0])
