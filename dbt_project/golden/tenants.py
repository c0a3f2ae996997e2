"""Two tenants with the same day of traffic, whose every name tells whose it is."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final
from uuid import UUID, uuid5

import psycopg

from dbt_project.golden.analysts import demo_calls, newest_tuesday, raw_rows
from dbt_project.golden.ledger import build, insert_events
from ingest_api.database.budgets import NewBudget, add_budget
from ingest_api.database.keys import set_rollup_tags
from ingest_api.database.prices import Author, Book, Entry, revise
from ingest_api.database.restatements import Restatement, request_restatement
from ingest_api.prices.book import Price
from orchestration.pricing.catalog import bundled_catalog
from orchestration.pricing.refresh import refresh_prices

MAX_CALLS: Final = 1500
WITHOUT_TESTS: Final = ("--exclude-resource-type", "test")


@dataclass(frozen=True)
class Tenant:
    """A tenant and its one project. `mark` is in all its names, and nowhere else."""

    mark: str
    tenant_id: UUID
    project_id: UUID

    @property
    def name(self) -> str:
        """As `llmscope bi create-user --tenant` takes it."""
        return f"tenant-{self.mark}"

    @property
    def marks(self) -> tuple[str, ...]:
        """Texts by which a row would give the tenant away."""
        return self.mark, str(self.tenant_id), str(self.project_id)


ACME: Final = Tenant("of-acme", UUID(int=0xA), UUID(int=0xA1))
RIVAL: Final = Tenant("of-rival", UUID(int=0xB), UUID(int=0xB1))


def fill(url: str, target: Path) -> None:
    """Load both tenants, build, change a price, restate, and build again."""
    first = newest_tuesday()
    loaded_at = first + timedelta(days=1, minutes=1)
    with psycopg.connect(url, autocommit=True) as connection:
        for tenant in (ACME, RIVAL):
            _create(connection, tenant, first)
            with connection.transaction():
                insert_events(connection, _events(connection, tenant, first, loaded_at))
        refresh_prices(connection, bundled_catalog(), loaded_at + timedelta(minutes=1))
        build(url, target, loaded_at + timedelta(minutes=1), *WITHOUT_TESTS)
        for tenant in (ACME, RIVAL):
            _renegotiate(connection, tenant, first)
        build(url, target, loaded_at + timedelta(minutes=2), *WITHOUT_TESTS)


def _create(connection: psycopg.Connection[Any], tenant: Tenant, first: datetime) -> None:
    connection.execute(
        "insert into app.tenants (tenant_id, name) values (%s, %s)",
        [tenant.tenant_id, tenant.name],
    )
    connection.execute(
        "insert into app.projects (project_id, tenant_id, name) values (%s, %s, %s)",
        [tenant.project_id, tenant.tenant_id, f"project-{tenant.mark}"],
    )
    set_rollup_tags(connection, tenant.project_id, ["team"])
    month = first.date().replace(day=1)
    name = f"budget-{tenant.mark}"
    add_budget(connection, NewBudget(tenant.tenant_id, tenant.project_id, name, Decimal(50), month))
    connection.execute(
        """insert into raw.dead_letters
               (stream, entry_id, tenant_id, project_id, received_at, payload, rejected_reason)
           values ('stream', %s, %s, %s, now(), '{}', 'test')""",
        [f"{tenant.tenant_id.int}-0", tenant.tenant_id, tenant.project_id],
    )


def _events(
    connection: psycopg.Connection[Any], tenant: Tenant, first: datetime, loaded_at: datetime
) -> Iterator[dict[str, Any]]:
    for row in raw_rows(connection, demo_calls(first)[:MAX_CALLS], loaded_at):
        names = {
            name: f"{row[name]}-{tenant.mark}"
            for name in ("user_id", "conversation_id", "service_name", "trace_id")
            if name in row
        }
        event_id = uuid5(tenant.project_id, str(row["event_id"]))
        tags = {**(row.get("tags") or {}), "team": f"team-{tenant.mark}"}
        yield {
            **row, **names, "event_id": event_id, "tags": tags,
            "tenant_id": tenant.tenant_id, "project_id": tenant.project_id,
        }  # fmt: skip


def _renegotiate(connection: psycopg.Connection[Any], tenant: Tenant, first: datetime) -> None:
    entry = Entry(Book(tenant.tenant_id, tenant.project_id), "openai", "gpt-4o-mini")
    price = Price("input", Decimal(3), first)
    revise(connection, {entry: lambda _: [price]}, Author(f"someone-{tenant.mark}", "contract"))
    request_restatement(
        connection,
        Restatement(
            first, first + timedelta(days=1), f"contract-{tenant.mark}", "finance",
            project_id=tenant.project_id,
        ),
    )  # fmt: skip
