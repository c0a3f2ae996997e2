"""`llmscope held-events`: look at events that the marts hold back, and let them in."""

import getpass
from dataclasses import asdict
from typing import Annotated, Final
from uuid import UUID

import typer

from cli.connection import built_marts, open_database
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Look at events that the marts hold back because their figures would be wrong.\n\n"
    "docs/quality.md names the rules. A raw row never changes: its event stays out until you "
    "release it, or until the sender sends a corrected one under another event_id.",
)

COLUMNS: Final = ("received_at", "started_at", "project_name", "event_id", "broken_rules")

ProjectOption = Annotated[str, typer.Option(help="Only events of this project.")]


@app.command("list")
def list_(
    project: ProjectOption = "",
    rule: Annotated[str, typer.Option(help="Only events that break this rule.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="The newest so many.")] = 100,
    as_json: JsonOption = False,
) -> None:
    """Show the events that are held back, the newest first.

    \b
    Examples:
      llmscope held-events list
      llmscope held-events list --rule usage_semantics_is_known --json
    """
    from ingest_api.database.held_events import list_held_events

    with open_database() as connection:
        project_id = require_project(connection, project) if project else None
        with built_marts():
            found = list_held_events(connection, limit, rule or None, project_id)
    held = [asdict(one) for one in found]
    print_rows(held, COLUMNS, as_json=as_json)


@app.command()
def release(
    rule: Annotated[str, typer.Argument(help="The rule that the events break, as listed.")],
    reason: Annotated[str, typer.Option(help="Why their figures are right; kept beside them.")],
    event_ids: Annotated[
        list[UUID] | None, typer.Option("--event", help="Only this event; may be given again.")
    ] = None,
    project: ProjectOption = "",
    released_by: Annotated[
        str, typer.Option(help="Who decided that. Default: the user of this terminal.")
    ] = "",
    is_agreed: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let events into the marts although they break the rule.

    \b
    Examples:
      llmscope held-events release service_tier_is_known --reason "a tier of our own gateway"
      llmscope held-events release usage_semantics_is_known --reason "means inclusive" \\
        --event 0197c1f2-6a55-7b1e-9d7a-3f2b8a4c5d6e --yes
    """
    from ingest_api.database.held_events import Release, ReleaseError, release_events

    with open_database() as connection:
        try:
            wanted = Release(
                rule_name=rule,
                reason=reason,
                released_by=released_by or getpass.getuser(),
                project_id=require_project(connection, project) if project else None,
                event_ids=tuple(event_ids) if event_ids else None,
            )
        except ReleaseError as error:
            raise CliError(str(error)) from None
        with built_marts():
            count = release_events(connection, wanted)
        if not count:
            raise CliError("No held event is meant by this: see `llmscope held-events list`.")
        if not is_agreed:
            # No transaction is left open while a person thinks.
            connection.rollback()
            if not typer.confirm(f"Release {count:,} events?"):
                typer.echo("Nothing was released.")
                return
            count = release_events(connection, wanted)
    typer.echo(f"{count:,} events are released; the next build takes them into the marts.")
