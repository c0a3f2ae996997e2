"""What the live feed would say of raw rows."""

import asyncio
from collections.abc import Iterable
from typing import Any
from uuid import UUID

import msgspec
from psycopg_pool import AsyncConnectionPool

from dbt_project.golden.ledger import PROJECT_ID, TENANT_ID
from ingest_api.estimates import CostEstimates
from ingest_api.events import ABSENT, Event
from ingest_api.price_rules import Estimate


def estimates_of(database_url: str, rows: Iterable[dict[str, Any]]) -> dict[UUID, Estimate]:
    """By event its estimate, from what dbt has built."""
    return asyncio.run(_estimates_of(database_url, rows))


async def _estimates_of(database_url: str, rows: Iterable[dict[str, Any]]) -> dict[UUID, Estimate]:
    async with AsyncConnectionPool(database_url, min_size=1, max_size=1, open=False) as pool:
        estimates = CostEstimates(pool)
        await estimates.refresh()
        return {
            row["event_id"]: estimates.estimate(_as_sent(row), TENANT_ID, PROJECT_ID)
            for row in rows
        }


def _as_sent(row: dict[str, Any]) -> Event:
    """The event that a raw row came from."""
    fields = {name: row[name] for name in Event.__struct_fields__ if row.get(name) is not None}
    details = row.get("usage_details")
    raw = msgspec.Raw(msgspec.json.encode(details)) if details else ABSENT
    return Event(**{**fields, "usage_details": raw})
