"""`llmscope projects`: make and list projects, and limit what they may send in a day."""

from dataclasses import asdict
from typing import Annotated, Final

import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_json, print_table

app = typer.Typer(no_args_is_help=True, help="Make and list projects, and set their daily quotas.")

COLUMNS: Final = (
    "name", "tenant", "is_demo", "max_events_per_day", "active_key_count", "created_at",
    "project_id",
)  # fmt: skip


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show the projects."""
    from ingest_api.database.keys import list_projects

    with open_database() as connection:
        projects = [asdict(project) for project in list_projects(connection)]
    if as_json:
        print_json(projects)
    else:
        print_table(projects, COLUMNS)


@app.command()
def create(name: Annotated[str, typer.Argument(help="Name of the project.")]) -> None:
    """Make a project; one that exists is left as it is.

    \b
    Examples:
      llmscope projects create checkout
      llmscope keys create "checkout service" --project checkout
    """
    from ingest_api.database.keys import ensure_project

    if not name.strip() or not name.isprintable():
        raise CliError("The name of a project must have a letter that can be seen.")
    with open_database() as connection:
        ensure_project(connection, name)
    typer.echo(f"There is a project {name}; make it a key with `llmscope keys create`.")


@app.command()
def limit(
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    max_events_per_day: Annotated[
        int | None,
        typer.Option(min=1, max=2**63 - 1, help="Events per day; a day begins at 00:00 UTC."),
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="Take the quota away.")] = False,
) -> None:
    """Set or take away the daily quota of a project; the API knows it within 10 s.

    \b
    Examples:
      llmscope projects limit checkout --max-events-per-day 1000000
      llmscope projects limit checkout --none
    """
    from ingest_api.database.keys import limit_project

    if none == (max_events_per_day is not None):
        raise CliError("Give either --max-events-per-day or --none.")
    with open_database() as connection:
        limit_project(connection, require_project(connection, name), max_events_per_day)
    words = "no daily quota" if none else f"a quota of {max_events_per_day:,} events a day"
    typer.echo(f"{name} has {words}.")
