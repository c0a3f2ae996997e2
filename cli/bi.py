"""`llmscope bi`: analysts' read-only access to the database (docs/bi.md)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Annotated, Final

import psycopg
import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import JsonOption
from cli.output import print_json, print_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Let analysts and BI tools read marts, reports and prices of one tenant.\n\n"
    "Each is a role of the database with a password of its own; it reads and writes nothing else.",
)

COLUMNS: Final = ("name", "tenant", "is_member", "created_at")
# What needs no quotes in any tool, and is no name of the server's own.
NAME: Final = re.compile(r"(?!pg_)[a-z][a-z0-9_]{0,62}")

NameArgument = Annotated[str, typer.Argument(help="Name of the role, such as grafana.")]


@app.command()
def create_user(
    name: NameArgument,
    tenant: Annotated[str, typer.Option(help="Whose rows it sees.")] = "default",
    existing: Annotated[
        bool, typer.Option("--existing", help="Let in a role that an administrator has made.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a role that reads the marts of one tenant, and print its password once.

    \b
    Examples:
      llmscope bi create-user grafana
      llmscope bi create-user finance --tenant acme
    """
    from ingest_api.database.analysts import admit_role, create_analyst

    if not NAME.fullmatch(name):
        raise CliError("A name has lower-case letters, digits and _, and begins with a letter.")
    with _opened() as connection:
        if existing:
            admit_role(connection, name, tenant)
            password = None
        else:
            password = create_analyst(connection, name, tenant)
        server = connection.info
        made = {
            "user": name,
            "tenant": tenant,
            "password": password,
            "host": server.host,
            "port": server.port,
            "database": server.dbname,
        }
    if as_json:
        print_json(made)
        return
    place = f"{made['host']}:{made['port']}/{made['database']}"
    typer.echo(f"{name} reads the rows of {tenant} on {place}.")
    if password:
        typer.echo(f"Its password, shown this once: {password}")


@app.command()
def list_users(as_json: JsonOption = False) -> None:
    """Show the roles and their tenants."""
    from ingest_api.database.analysts import list_analysts

    with _opened() as connection:
        analysts = [asdict(analyst) for analyst in list_analysts(connection)]
    print_rows(analysts, COLUMNS, as_json=as_json)


@app.command()
def drop_user(name: NameArgument) -> None:
    """Drop a role; its sessions end."""
    from ingest_api.database.analysts import drop_analyst

    with _opened() as connection:
        drop_analyst(connection, name)
    typer.echo(f"{name} is gone.")


@contextmanager
def _opened() -> Iterator[psycopg.Connection]:
    """A connection that commits what was done even where a later step fails."""
    from ingest_api.database.analysts import AnalystError

    with open_database() as connection:
        connection.autocommit = True
        try:
            yield connection
        except AnalystError as error:
            raise CliError(str(error)) from None
