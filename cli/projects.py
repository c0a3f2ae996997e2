"""`llmscope projects`: make and list projects, their quotas, content, and tags to split by."""

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Final

import typer

from cli.connection import open_database
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Make and list projects; set quotas, tags and what content is stored.",
)

COLUMNS: Final = (
    "name", "tenant", "is_demo", "max_events_per_day", "content_policy", "rollup_tags",
    "active_key_count",
    "created_at", "project_id",
)  # fmt: skip


class Policy(StrEnum):
    """Which prompts and completions a project stores."""

    none = "none"
    events = "events"
    all = "all"


POLICY_WORDS: Final = {
    Policy.none: "no prompts and completions",
    Policy.events: "the prompts and completions that events carry, and none of OpenTelemetry spans",
    Policy.all: "the prompts and completions of events and of OpenTelemetry spans",
}


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show the projects."""
    from ingest_api.database.keys import list_projects

    with open_database() as connection:
        projects = [asdict(project) for project in list_projects(connection)]
    print_rows(projects, COLUMNS, as_json=as_json)


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


@app.command()
def content(
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    policy: Annotated[
        Policy | None,
        typer.Argument(
            help="none: drop them. events: keep what events carry (default). all: take them out of "
            "OpenTelemetry spans too. Left out: show what is set."
        ),
    ] = None,
) -> None:
    """Show or set which prompts and completions a project stores; the API obeys within 10 s.

    What is stored already stays.

    \b
    Examples:
      llmscope projects content checkout
      llmscope projects content checkout none
    """
    from ingest_api.database.keys import list_projects, set_content_policy

    with open_database() as connection:
        project_id = require_project(connection, name)
        if policy is not None:
            set_content_policy(connection, project_id, policy.value)
        (stored,) = [one for one in list_projects(connection) if one.project_id == project_id]
    typer.echo(f"{name} stores {POLICY_WORDS[Policy(stored.content_policy)]}.")


@app.command("set-tags")
def set_tags(
    name: Annotated[str, typer.Argument(help="Name of the project.")],
    tags: Annotated[
        list[str] | None, typer.Argument(help="Keys of tags, such as feature; none for none.")
    ] = None,
) -> None:
    """Declare the tags by which usage and cost of a project are rolled up.

    The next build makes the roll-ups of the project's whole history anew. Declare tags with few
    values: each combination is a row per hour.

    \b
    Examples:
      llmscope projects set-tags checkout feature customer_tier
      llmscope projects set-tags checkout
    """
    from ingest_api.database.keys import MAX_ROLLUP_TAGS, set_rollup_tags

    keys = sorted(set(tags or []))
    if len(keys) > MAX_ROLLUP_TAGS or not all(keys):
        raise CliError(f"Give at most {MAX_ROLLUP_TAGS} keys of tags, none of them empty.")
    with open_database() as connection:
        set_rollup_tags(connection, require_project(connection, name), keys)
    words = f"by {', '.join(keys)}" if keys else "by no tag"
    typer.echo(f"{name} is rolled up {words} from the next build on.")
