"""What the demo's project may cost in a month, and the tags by which its usage is split."""

from datetime import timedelta
from decimal import Decimal
from typing import Final

import psycopg

from deploy.demo.project import DemoProject
from ingest_api.database.budgets import (
    BudgetScope,
    NewBudget,
    add_budget,
    first_of_month,
    list_budgets,
)
from ingest_api.database.keys import set_rollup_tags

HISTORY: Final = timedelta(days=30)
TENANT_OF: Final = "select tenant_id from app.projects where project_id = %s"
TAGS: Final = ("team",)
# One that is kept, one that is nearly used up, one that the runaway loop of the history breaks.
BUDGETS: Final = (
    ("Everything", Decimal(400), BudgetScope()),
    ("Code review", Decimal(60), BudgetScope(service_name="code-review")),
    ("Team search", Decimal(30), BudgetScope(tag_key="team", tag_value="search")),
)


def set_budgets(connection: psycopg.Connection, project: DemoProject) -> None:
    """Declare the tags, and make the budgets where the project has none."""
    set_rollup_tags(connection, project.project_id, TAGS)
    if list_budgets(connection, project.project_id):
        return
    row = connection.execute(TENANT_OF, [project.project_id]).fetchone()
    assert row is not None  # noqa: S101 - the caller has just found the project
    first_month = first_of_month(project.created_date - HISTORY)
    for name, month_usd, scope in BUDGETS:
        new = NewBudget(row[0], project.project_id, name, month_usd, first_month, scope=scope)
        add_budget(connection, new)
