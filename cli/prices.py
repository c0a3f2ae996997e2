"""`llmscope prices`: the price books of projects and tenants, straight in the database."""

import getpass
from collections.abc import Callable, Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final
from uuid import UUID

import psycopg
import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import read_time, require_project
from cli.output import print_json, print_rows, print_table
from cli.price_queries import model_prices, unpriced_models

if TYPE_CHECKING:
    from ingest_api.database.prices import Author, Book, Entry, StoredPrice
    from ingest_api.prices.book import Price
    from ingest_api.prices.price_csv import Line

app = typer.Typer(
    no_args_is_help=True,
    help="Negotiated prices, and prices of models of your own.\n\n"
    "A price is for one project, or with --for-tenant for all of them. It rules calls that are "
    "loaded from then on, and those without a cost; computed costs change only by a restatement.",
)

COLUMNS: Final = (
    "project", "provider_name", "model", "token_kind", "usd", "unit", "service_tier",
    "tier_start_tokens", "valid_from", "valid_to",
)  # fmt: skip
UNPRICED_COLUMNS: Final = (
    "provider_name", "request_model", "response_model", "reason", "call_count", "last_called_at",
)  # fmt: skip


class Form(StrEnum):
    """How a list is printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


ProjectOption = Annotated[str, typer.Option(help="Name of the project.")]
TenantOption = Annotated[bool, typer.Option("--for-tenant", help="For every project instead.")]
ReasonOption = Annotated[str, typer.Option(help="Why, kept with the price.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Provider = Annotated[str, typer.Argument(help="Provider as in the events, such as `openai`.")]
Model = Annotated[str, typer.Argument(help="Model, or its beginning and *, such as `llama-3*`.")]


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option(help="What calls of it can take.")] = None,
    form: Annotated[Form, typer.Option("--format", help="How to print.")] = Form.TABLE,
    with_history: Annotated[bool, typer.Option(help="With what was replaced.")] = False,
) -> None:
    """Show the overrides. What `--format csv` prints, `prices import` reads."""
    from ingest_api.database.prices import list_prices
    from ingest_api.prices.price_csv import write_lines

    with open_database() as connection:
        tenant_id, project_id = _ids(connection, project)
        rows = list_prices(connection, tenant_id, project_id, with_history=with_history)
    if form is Form.CSV:
        typer.echo(write_lines(map(_line, rows)), nl=False)
    elif form is Form.JSON:
        print_json([{**asdict(row), "usd": str(row.usd), **_plain(row)} for row in rows])
    else:
        print_table([{**asdict(row), **_shown(row)} for row in rows], COLUMNS)


@app.command()
def add(
    provider_name: Provider,
    model: Model,
    price: Annotated[
        list[str],
        typer.Option(help="KIND=USD, several times: for 1M tokens, 1K calls, or 1 hour."),
    ],
    project: ProjectOption = "main",
    for_tenant: TenantOption = False,
    service_tier: Annotated[str, typer.Option(help="default, batch, flex, priority.")] = "default",
    above: Annotated[int, typer.Option(help="For calls with more input tokens than this.")] = 0,
    valid_from: Annotated[str, typer.Option("--from", help="Default: now.")] = "",
    valid_to: Annotated[str, typer.Option("--to", help="Default: for ever.")] = "",
    reason: ReasonOption = "",
) -> None:
    """Set prices of one model.

    \b
    Examples:
      llmscope prices add openai 'gpt-4o*' --price input=2 --price output=8 --reason "contract"
      llmscope prices add openai gpt-4o --price input=1 --price output=4 --service-tier batch
      llmscope prices add own_machine 'llama-3*' --price hour=2.40
    """
    from ingest_api.prices.book import Price, revised

    start = read_time("--from", valid_from) if valid_from else datetime.now(UTC)
    end = read_time("--to", valid_to) if valid_to else None
    pairs = [_pair(one) for one in price]
    prices = [Price(kind, usd, start, end, service_tier, above) for kind, usd in pairs]
    change = partial(revised, changes=prices)
    _change(provider_name, model, None if for_tenant else project, change, reason)


@app.command()
def end(
    provider_name: Provider,
    model: Model,
    project: ProjectOption = "main",
    for_tenant: TenantOption = False,
    at: Annotated[str, typer.Option(help="When, with an offset. Default: now.")] = "",
    reason: ReasonOption = "",
) -> None:
    """End the override of a model: calls that start later take the next book with a price."""
    from ingest_api.prices.book import ended

    ends_at = read_time("--at", at) if at else datetime.now(UTC)
    change = partial(ended, at=ends_at)
    _change(provider_name, model, None if for_tenant else project, change, reason)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(help="CSV file, as `prices list --format csv` prints.")],
    reason: ReasonOption = "",
) -> None:
    """Set all prices of a file, or none: every error is told with its line and column."""
    from ingest_api.database.prices import revise
    from ingest_api.prices.book import PriceError
    from ingest_api.prices.price_csv import read_lines

    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CliError(f"{file} cannot be read: {error}") from None
    lines, errors = read_lines(text, datetime.now(UTC))
    for wrong in errors:
        typer.echo(
            f"{file}:{wrong.line}: {wrong.column} {wrong.reason}".replace(":  ", ": "), err=True
        )
    if errors:
        raise CliError(f"Nothing was imported: mend {len(errors)} lines and try again.")
    with open_database() as connection:
        try:
            changed = revise(connection, _changes(connection, lines), _author(reason))
        except PriceError as error:
            raise CliError(f"Nothing was imported: {error}.") from None
    typer.echo(f"{len(lines)} prices read, {changed} models changed.")


@app.command()
def show_unpriced(as_json: JsonOption = False) -> None:
    """Show the models whose calls have no cost, and why: the ones to add a price for."""
    with open_database() as connection:
        rows = unpriced_models(connection)
    print_rows(rows, UNPRICED_COLUMNS, as_json=as_json)


@app.command()
def resolve(
    provider_name: Provider,
    model: Annotated[str, typer.Argument(help="Model as a call names it.")],
    project: ProjectOption = "main",
    as_json: JsonOption = False,
) -> None:
    """Show what a call of a model would cost now, as of the last build, and from which book."""
    with open_database() as connection:
        project_id = require_project(connection, project)
        rows = model_prices(connection, project_id, provider_name, model)
    if not rows:
        raise CliError(
            f"{provider_name} {model} has no price, or was never called: "
            "`llmscope prices show-unpriced` tells why, `llmscope prices add` gives it one."
        )
    if as_json:
        print_json([{**row, "usd_per_million": str(row["usd_per_million"])} for row in rows])
    else:
        print_table(rows, tuple(rows[0]))


def _change(
    provider_name: str,
    model: str,
    project: str | None,
    change: "Callable[[list[Price]], list[Price]]",
    reason: str,
) -> None:
    from ingest_api.database.prices import Entry, revise
    from ingest_api.prices.book import PriceError, check_name

    with open_database() as connection:
        try:
            check_name("provider_name", provider_name)
            check_name("model", model)
            entry = Entry(_book(connection, project), provider_name, model)
            changed = revise(connection, {entry: change}, _author(reason))
        except PriceError as error:
            raise CliError(f"{error}.") from None
    typer.echo("The next build uses it." if changed else "It was so already.")


def _changes(
    connection: psycopg.Connection, lines: "Iterable[Line]"
) -> "dict[Entry, Callable[[list[Price]], list[Price]]]":
    from ingest_api.database.prices import Entry
    from ingest_api.prices.book import revised

    prices: dict[Entry, list[Price]] = {}
    for project, provider_name, model, price in lines:
        entry = Entry(_book(connection, project or None), provider_name, model)
        prices.setdefault(entry, []).append(price)
    return {entry: partial(revised, changes=wanted) for entry, wanted in prices.items()}


def _book(connection: psycopg.Connection, project: str | None) -> "Book":
    from ingest_api.database.keys import ensure_tenant
    from ingest_api.database.prices import Book

    project_id = None if project is None else require_project(connection, project)
    return Book(ensure_tenant(connection), project_id)


def _author(reason: str) -> "Author":
    from ingest_api.database.prices import Author

    return Author(getpass.getuser(), reason or None)


def _ids(connection: psycopg.Connection, project: str | None) -> tuple[UUID | None, UUID | None]:
    if project is None:
        return None, None
    book = _book(connection, project)
    return book.tenant_id, book.project_id


def _pair(text: str) -> tuple[str, Decimal]:
    kind, _, usd = text.partition("=")
    try:
        return kind.strip(), Decimal(usd)
    except InvalidOperation:
        raise CliError(f"--price is {text!r}: write it as input=0.25.") from None


def _line(row: "StoredPrice") -> "Line":
    from ingest_api.prices.book import Price
    from ingest_api.prices.price_csv import Line

    price = Price(
        row.token_kind, row.usd, row.valid_from, row.valid_to, row.service_tier,
        row.tier_start_tokens,
    )  # fmt: skip
    return Line(row.project or "", row.provider_name, row.model, price)


def _shown(row: "StoredPrice") -> dict[str, object]:
    from ingest_api.prices.kinds import UNITS

    return {"usd": f"{row.usd.normalize():f}", "unit": UNITS[row.token_kind][1]}


def _plain(row: "StoredPrice") -> dict[str, str]:
    return {"usd_per_million": str(row.usd_per_million)}
