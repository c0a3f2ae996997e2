"""`llmscope keys`: make, list and revoke API keys, straight in the database."""

import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Final, cast
from uuid import UUID

import psycopg
import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.output import print_json, print_rows

if TYPE_CHECKING:
    from ingest_api.auth import Scope

app = typer.Typer(
    no_args_is_help=True,
    help="Make, list and revoke API keys.\n\n"
    "A key is random, stored only as a hash, and for one project.",
)

UNITS: Final = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
COLUMNS: Final = (
    "key_prefix", "name", "project", "scopes", "max_events_per_second", "max_burst_events",
    "state", "expires_at", "created_at", "api_key_id",
)  # fmt: skip


class ScopeName(StrEnum):
    """What a key may do."""

    INGEST = "ingest"
    READ = "read"
    ADMIN = "admin"


ProjectOption = Annotated[str, typer.Option(help="Name of the project.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for, such as `checkout service`.")],
    project: ProjectOption = "main",
    scope: Annotated[
        list[ScopeName] | None,
        typer.Option(help="What it may do; give it several times. [default: ingest]"),
    ] = None,
    expires_in: Annotated[
        str, typer.Option(help="How long it works: 30m, 12h, 90d, 52w. Default: for ever.")
    ] = "",
    expires_at: Annotated[
        str, typer.Option(help="Until when it works, with an offset: 2027-01-01T00:00:00Z.")
    ] = "",
    max_events_per_second: Annotated[
        int | None,
        typer.Option(min=1, max=2_147_483_647, help="Events per second. Default: no limit."),
    ] = None,
    max_burst_events: Annotated[
        int | None,
        typer.Option(min=1, max=2_147_483_647, help="Events at once. Default: one second's worth."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Make a key and print it: the only moment at which it can be read.

    \b
    Examples:
      llmscope keys create "checkout service"
      llmscope keys create dashboards --scope read --expires-in 90d
      llmscope keys create batch --max-events-per-second 500 --max-burst-events 5000
      export LLMSCOPE_API_KEY=$(llmscope keys create laptop --scope ingest --scope read)
    """
    from ingest_api.database.keys import KeyLimits, create_key, find_key_ids

    if max_burst_events and not max_events_per_second:
        raise CliError("--max-burst-events needs --max-events-per-second beside it.")
    expiry = read_expiry(expires_in, expires_at, datetime.now(UTC))
    scopes = cast("list[Scope]", [one.value for one in scope or [ScopeName.INGEST]])
    with open_database() as connection:
        project_id = require_project(connection, project)
        key = create_key(
            connection, project_id, name, scopes=scopes, expires_at=expiry,
            limits=KeyLimits(max_events_per_second, max_burst_events),
        )  # fmt: skip
        api_key_id = find_key_ids(connection, key)[-1]
    if as_json:
        print_json({"api_key_id": api_key_id, "key": key, "project": project, "scopes": scopes})
        return
    until = "" if expiry is None else f" until {expiry:%Y-%m-%d %H:%M}Z"
    typer.echo(f"Key for {project}, {'/'.join(scopes)}{until}; shown once:", err=True)
    typer.echo(key)


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the keys: prefix, scopes, limits, state. The keys themselves are stored nowhere."""
    from ingest_api.database.keys import list_keys

    with open_database() as connection:
        if project is not None:
            require_project(connection, project)
        keys = [asdict(key) for key in list_keys(connection, project)]
    print_rows(keys, COLUMNS, as_json=as_json)


@app.command()
def revoke(
    key: Annotated[str, typer.Argument(help="Prefix or id of the key, as `keys list` shows it.")],
) -> None:
    """Revoke a key for good.

    \b
    Examples:
      llmscope keys revoke llms_Ab3dE6g
      llmscope keys revoke 0f3c6f0e-3b1c-4f0e-9a4e-2b8a5b1c9d7e
    """
    from ingest_api.database.keys import find_key_ids, revoke_key

    with open_database() as connection:
        revoke_key(connection, sole_key(key, find_key_ids(connection, key)))
    typer.echo("Revoked. Every API process refuses the key within 10 s.")


def sole_key(given: str, found: list[UUID]) -> UUID:
    """The one key that was named.

    Raises:
        CliError: none or several were.
    """
    if not found:
        raise CliError(f"There is no key {given[:12]}: `llmscope keys list` shows them.")
    if len(found) > 1:
        ids = ", ".join(map(str, found))
        raise CliError(f"{given[:12]} names several keys: give one of their ids, {ids}.")
    return found[0]


def require_project(connection: psycopg.Connection, name: str) -> UUID:
    """Id of the project.

    Raises:
        CliError: there is none of that name.
    """
    from ingest_api.database.keys import find_project

    project_id = find_project(connection, name)
    if project_id is None:
        raise CliError(
            f"There is no project {name}: make it with `llmscope projects create {name}`."
        )
    return project_id


def read_expiry(expires_in: str, expires_at: str, now: datetime) -> datetime | None:
    """Pure: when the key ends; None for never.

    Raises:
        CliError: both were given, or one cannot be read or lies in the past.
    """
    if expires_in and expires_at:
        raise CliError("--expires-in and --expires-at say the same thing: give one of them.")
    if expires_in:
        match = re.fullmatch(r"([1-9]\d{0,4})([mhdw])", expires_in)
        if match is None:
            raise CliError(f"--expires-in is {expires_in!r}: write it as 30m, 12h, 90d or 52w.")
        return now + timedelta(**{UNITS[match[2]]: int(match[1])})
    if not expires_at:
        return None
    expiry = read_time("--expires-at", expires_at)
    if expiry <= now:
        raise CliError("--expires-at lies in the past: the key would never work.")
    return expiry


def read_time(option: str, text: str) -> datetime:
    """Pure: a time with its offset.

    Raises:
        CliError: it is none.
    """
    words = f"{option} is {text!r}: write it with its offset, as 2026-11-23T10:00:00Z."
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise CliError(words) from None
    if time.tzinfo is None:
        raise CliError(words)
    return time
