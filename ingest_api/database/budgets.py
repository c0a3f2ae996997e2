"""Budgets: the one place that adds, lists and ends them. Blocking."""

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

MONTH: Final = re.compile(r"2\d{3}-(0[1-9]|1[0-2])", re.ASCII)

State = Literal["planned", "active", "ended"]
EndOutcome = Literal["ended", "not_found"]

COLUMNS: Final = """
budget_id, b.name, month_usd, valid_from, valid_to, provider_name, model, service_name, user_id,
tag_key, tag_value, b.created_at, coalesce(p.name, '(all projects)') as project,
case when valid_to <= (now() at time zone 'UTC')::date then 'ended'
    when valid_from > (now() at time zone 'UTC')::date then 'planned'
    else 'active' end as state
"""
INSERT: Final = f"""
with b as (
    insert into app.budgets (tenant_id, project_id, name, month_usd, valid_from, valid_to,
        provider_name, model, service_name, user_id, tag_key, tag_value)
    values (%(tenant_id)s, %(project_id)s, %(name)s, %(month_usd)s, %(valid_from)s, %(valid_to)s,
        %(provider_name)s, %(model)s, %(service_name)s, %(user_id)s, %(tag_key)s, %(tag_value)s)
    returning *
)
select {COLUMNS} from b left join app.projects as p using (project_id)
"""  # noqa: S608 - the columns are a constant
LIST: Final = f"""
select {COLUMNS} from app.budgets as b left join app.projects as p using (project_id)
where %(project_id)s::uuid is null or b.project_id = %(project_id)s
order by p.name nulls first, b.name, valid_from, budget_id
"""  # noqa: S608 - the columns are a constant
# Ending a budget again may only make it shorter, so that repeating a request is harmless.
END: Final = """
update app.budgets
set valid_to = least(coalesce(valid_to, 'infinity'), greatest(valid_from, %(month)s))
where budget_id = %(budget_id)s and (%(project_id)s::uuid is null or project_id = %(project_id)s)
"""
IS_DECLARED: Final = """
select exists (
    select from app.projects
    where tenant_id = %(tenant_id)s and %(tag_key)s = any(rollup_tags)
        and (%(project_id)s::uuid is null or project_id = %(project_id)s)
)
"""


class UndeclaredTagError(ValueError):
    """The roll-ups of the project do not split by that tag; the message says what to do."""


class BudgetScope(NamedTuple):
    """The calls that a budget is for; None takes all."""

    provider_name: str | None = None
    model: str | None = None
    service_name: str | None = None
    user_id: str | None = None
    tag_key: str | None = None
    tag_value: str | None = None


ALL_CALLS: Final = BudgetScope()


@dataclass(frozen=True)
class NewBudget:
    """What a budget is to allow.

    Attributes:
        project_id: None: all projects of the tenant together.
        month_usd: USD per calendar month, UTC.
        valid_from: First day of the first month.
        valid_to: First day of the first month without it; None: until it is ended.
    """

    tenant_id: UUID
    project_id: UUID | None
    name: str
    month_usd: Decimal
    valid_from: date
    valid_to: date | None = None
    scope: BudgetScope = ALL_CALLS


@dataclass(frozen=True)
class Budget:
    """A stored budget; fields as in `NewBudget` and `BudgetScope`."""

    budget_id: UUID
    project: str
    name: str
    month_usd: Decimal
    valid_from: date
    valid_to: date | None
    provider_name: str | None
    model: str | None
    service_name: str | None
    user_id: str | None
    tag_key: str | None
    tag_value: str | None
    state: State
    created_at: datetime


def add_budget(connection: psycopg.Connection, new: NewBudget) -> Budget:
    """Store a budget; the next build of the marts reckons it from its first month.

    Raises:
        UndeclaredTagError: its tag is none that the project declares.
    """
    values = {**asdict(new), **new.scope._asdict()}
    if new.scope.tag_key is not None:
        row = connection.execute(IS_DECLARED, values).fetchone()
        if row is None or not row[0]:
            raise UndeclaredTagError(
                f"tag {new.scope.tag_key}: the project does not declare it for its roll-ups"
            )
    with connection.cursor(row_factory=class_row(Budget)) as cursor:
        return cursor.execute(INSERT, values).fetchall()[0]


def list_budgets(connection: psycopg.Connection, project_id: UUID | None = None) -> list[Budget]:
    """Budgets of one project, or all of them, by project and name."""
    with connection.cursor(row_factory=class_row(Budget)) as cursor:
        return cursor.execute(LIST, {"project_id": project_id}).fetchall()


def end_budgets(
    connection: psycopg.Connection,
    budget_ids: Sequence[UUID],
    month: date,
    project_id: UUID | None = None,
) -> list[tuple[UUID, EndOutcome]]:
    """End budgets before the month that begins on `month`; one that begins later never holds.

    Args:
        connection: To the ledger's database.
        budget_ids: The budgets.
        month: First day of the first month without them.
        project_id: Only budgets of this project are found; None: any.
    """
    outcomes: list[tuple[UUID, EndOutcome]] = []
    for budget_id in budget_ids:
        values = {"budget_id": budget_id, "month": month, "project_id": project_id}
        found = connection.execute(END, values).rowcount
        outcomes.append((budget_id, "ended" if found else "not_found"))
    return outcomes


def first_of_month(day: date) -> date:
    """Pure: the first day of the month of `day`."""
    return day.replace(day=1)


def next_month(day: date) -> date:
    """Pure: the first day of the month after that of `day`."""
    return date(day.year + day.month // 12, day.month % 12 + 1, 1)


def read_month(text: str) -> date:
    """Pure: the first day of a month written as 2026-11.

    Raises:
        ValueError: it is none.
    """
    if not MONTH.fullmatch(text):
        raise ValueError(f"{text!r} is no month: write it as 2026-11")
    return date.fromisoformat(f"{text}-01")
