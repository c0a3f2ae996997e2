"""`llmscope budgets`: what a project may cost in a month."""

from dataclasses import asdict
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import psycopg
import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_json, print_rows

if TYPE_CHECKING:
    from ingest_api.database.budgets import Budget

app = typer.Typer(
    no_args_is_help=True,
    help="Add, list and end monthly budgets.\n\n"
    "How much of them is used stands on the report page Budgets and in "
    "marts.fct_budget_use_daily.",
)

COLUMNS: Final = (
    "project", "name", "month_usd", "used_usd", "projected_usd", "scope", "from_month",
    "end_month", "state", "budget_id",
)  # fmt: skip
MAX_MONTH_USD: Final = Decimal(10) ** 12
# The mart is missing until the first build.
USE: Final = """
select distinct on (budget_id) budget_id, spent_usd, projected_month_usd
from marts.fct_budget_use_daily
where usage_date >= (now() at time zone 'UTC')::date - 1
order by budget_id, usage_date desc
"""
HAS_USE: Final = "select to_regclass('marts.fct_budget_use_daily') is not null"
Filter = Annotated[str | None, typer.Option(help="Only these calls.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What the budget is for.")],
    month_usd: Annotated[str, typer.Option(help="USD per calendar month, UTC.")],
    project: Annotated[str, typer.Option(help="Name of the project.")] = "main",
    all_projects: Annotated[
        bool, typer.Option("--all-projects", help="For all projects together.")
    ] = False,
    from_month: Annotated[str | None, typer.Option(help="First month. [default: this one]")] = None,
    provider: Filter = None,
    model: Filter = None,
    service: Filter = None,
    user: Filter = None,
    tag: Annotated[str | None, typer.Option(help="Only calls with this tag: team=search.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Add a budget. It is never edited: end it and add another.

    \b
    Examples:
      llmscope budgets add everything --month-usd 2000
      llmscope budgets add "support chat" --month-usd 250 --service support-chat
      llmscope budgets add search --month-usd 100 --tag team=search --from-month 2026-12
    """
    from ingest_api.database.budgets import BudgetScope, NewBudget, UndeclaredTagError, add_budget

    scope = BudgetScope(provider, model, service, user, *read_tag(tag))
    amount, first = read_amount(month_usd), month_of("--from-month", from_month)
    if not name.strip() or not name.isprintable():
        raise CliError("The name of a budget must have a letter that can be seen.")
    with open_database() as connection:
        project_id = require_project(connection, project)
        owner = None if all_projects else project_id
        new = NewBudget(tenant_of(connection, project_id), owner, name, amount, first, None, scope)
        try:
            budget = add_budget(connection, new)
        except UndeclaredTagError as error:
            raise CliError(f"{error}.") from None
    if as_json:
        print_json(row_of(budget, {}))
    else:
        typer.echo(f"Budget {budget.name}: {amount:,} USD a month, {budget.budget_id}.")


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the budgets, and how much of the active ones is used."""
    from ingest_api.database.budgets import list_budgets

    with open_database() as connection:
        project_id = None if project is None else require_project(connection, project)
        budgets = list_budgets(connection, project_id)
        use = read_use(connection)
    rows = [row_of(budget, use) for budget in budgets]
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command()
def end(
    budget_id: Annotated[str, typer.Argument(help="Id of the budget, as `budgets list` shows it.")],
    month: Annotated[
        str | None, typer.Option(help="First month without it. [default: the next one]")
    ] = None,
) -> None:
    """End a budget.

    \b
    Examples:
      llmscope budgets end 0f3c6f0e-3b1c-4f0e-9a4e-2b8a5b1c9d7e
      llmscope budgets end 0f3c6f0e-3b1c-4f0e-9a4e-2b8a5b1c9d7e --month 2027-01
    """
    from ingest_api.database.budgets import end_budgets, next_month

    last = next_month(this_month()) if month is None else month_of("--month", month)
    try:
        wanted = UUID(budget_id)
    except ValueError:
        raise CliError(f"{budget_id!r} is no id: `llmscope budgets list` shows them.") from None
    with open_database() as connection:
        ((_, outcome),) = end_budgets(connection, [wanted], last)
    if outcome == "not_found":
        raise CliError(f"There is no budget {wanted}: `llmscope budgets list` shows them.")
    typer.echo(f"Ended: {last:%Y-%m} is the first month without it.")


def read_use(connection: psycopg.Connection) -> dict[UUID, tuple[Decimal, Decimal]]:
    """By budget, USD spent this month and projected for its end; empty before the first build."""
    row = connection.execute(HAS_USE).fetchone()
    if row is None or not row[0]:
        return {}
    return {
        budget_id: (spent, projected) for budget_id, spent, projected in connection.execute(USE)
    }


def row_of(budget: "Budget", use: dict[UUID, tuple[Decimal, Decimal]]) -> dict[str, Any]:
    """Pure: a budget as it is listed."""
    spent, projected = use.get(budget.budget_id, (None, None))
    row = asdict(budget)
    return {
        **row,
        "month_usd": usd(budget.month_usd),
        "used_usd": usd(spent),
        "projected_usd": usd(projected),
        "scope": scope_words(row),
        "from_month": f"{row.pop('valid_from'):%Y-%m}",
        "end_month": f"{budget.valid_to:%Y-%m}" if budget.valid_to else None,
        "valid_from": budget.valid_from.isoformat(),
        "valid_to": budget.valid_to.isoformat() if budget.valid_to else None,
    }


def usd(amount: Decimal | None) -> str | None:
    """Pure: USD to the cent."""
    return None if amount is None else f"{amount:.2f}"


def scope_words(row: dict[str, Any]) -> str:
    """Pure: the calls that a budget is for."""
    names = ("provider_name", "model", "service_name", "user_id")
    words = [f"{name.partition('_')[0]}={row[name]}" for name in names if row[name]]
    if row["tag_key"]:
        words.append(f"{row['tag_key']}={row['tag_value']}")
    return " ".join(words) or "all calls"


def read_amount(text: str) -> Decimal:
    """Pure: USD per month.

    Raises:
        CliError: it is none.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise CliError(f"--month-usd is {text!r}: write it as 250 or 99.50.") from None
    if not amount.is_finite() or not 0 < amount <= MAX_MONTH_USD or amount != round(amount, 6):
        raise CliError("--month-usd must be above 0, with at most six decimal places.")
    return amount


def read_tag(text: str | None) -> tuple[str | None, str | None]:
    """Pure: key and value of a tag.

    Raises:
        CliError: one is missing.
    """
    if text is None:
        return None, None
    key, _, value = text.partition("=")
    if not key or not value:
        raise CliError(f"--tag is {text!r}: write it as team=search.")
    return key, value


def month_of(option: str, text: str | None) -> date:
    """Pure but for the clock: the first day of the month that was given, else of this one.

    Raises:
        CliError: it is no month.
    """
    from ingest_api.database.budgets import read_month

    if text is None:
        return this_month()
    try:
        return read_month(text)
    except ValueError as error:
        raise CliError(f"{option}: {error}.") from None


def this_month() -> date:
    """The first day of this month, UTC."""
    return datetime.now(UTC).date().replace(day=1)


def tenant_of(connection: psycopg.Connection, project_id: UUID) -> UUID:
    """The tenant that owns a project which exists."""
    row = connection.execute(
        "select tenant_id from app.projects where project_id = %s", [project_id]
    ).fetchone()
    assert row is not None  # noqa: S101 - its id was just looked up
    tenant_id: UUID = row[0]
    return tenant_id
