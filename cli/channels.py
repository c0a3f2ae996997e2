"""`llmscope channels`: where people are told, straight in the database."""

import sys
import time
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final, TextIO
from uuid import UUID, uuid4

import psycopg
import typer

from cli.budgets import tenant_of
from cli.connection import open_database, read_clone
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_json, print_rows

if TYPE_CHECKING:
    from ingest_api.database.channels import Channel
    from ingest_api.notifying.networks import TargetPolicy
    from ingest_api.notifying.secrets import SecretBox
    from ingest_api.notifying.setting_up import PreparedSetup

app = typer.Typer(
    no_args_is_help=True,
    help="Set up where people are told of alerts, failed checks and failed runs.\n\n"
    "Kinds: slack, email, webhook, pagerduty, teams. What each needs: docs/notifications.md.",
)

COLUMNS: Final = (
    "project", "name", "kind", "settings", "secret_from", "tells_operators", "is_enabled",
    "created_at", "channel_id",
)  # fmt: skip
DELIVERY_COLUMNS: Final = (
    "notification_id", "channel", "kind", "severity", "title", "state", "attempt_count",
    "created_at", "delivered_at", "last_error",
)  # fmt: skip
REFERENCE: Final = "env:"
POLL_SECONDS: Final = 0.5


class KindName(StrEnum):
    """What a channel leads to."""

    SLACK = "slack"
    EMAIL = "email"
    WEBHOOK = "webhook"
    PAGERDUTY = "pagerduty"
    TEAMS = "teams"


NameArgument = Annotated[str, typer.Argument(help="Name or id of the channel.")]
ProjectFilter = Annotated[str | None, typer.Option(help="Of this project only.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="What people call it.")],
    kind: Annotated[KindName, typer.Option(help="What it leads to.")],
    setting: Annotated[
        list[str] | None,
        typer.Option(help="What may be shown, as host=smtp.example.com; give it several times."),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(
            help="url, signing_secret, password or routing_key: `url=env:LLMSCOPE_CHANNEL_OPS` "
            "refers to a variable of the platform; `url` alone asks for it, or reads a line of "
            "standard input."
        ),
    ] = None,
    project: Annotated[str, typer.Option(help="Name of the project.")] = "main",
    operators: Annotated[
        bool,
        typer.Option(
            "--operators", help="Of all projects, and hears of failed checks and failed runs."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Make a channel, or set up anew the one of this name.

    \b
    Examples:
      llmscope channels add team-search --kind slack --secret url
      llmscope channels add ops --kind webhook --secret url=env:LLMSCOPE_CHANNEL_OPS --operators
      llmscope channels add finance --kind email --setting host=smtp.example.com \\
        --setting sender=llmscope@example.com --setting recipients=finance@example.com \\
        --setting username=llmscope --secret password
    """
    from ingest_api.database.channels import NewChannel, put_channel

    if not name.strip() or not name.isprintable() or len(name) > 100:
        raise CliError("The name of a channel must have 1 to 100 letters that can be seen.")
    given = read_secrets(secret or [], sys.stdin)
    found = prepare_setup(kind, read_settings(setting or []), given)
    with open_database() as connection:
        project_id = require_project(connection, project)
        owner = None if operators else project_id
        tenant_id = tenant_of(connection, project_id)
        new = NewChannel(tenant_id, owner, name, kind.value, found.stored, operators)
        channel = put_channel(connection, new)
    if as_json:
        print_json({**row_of(channel), "signing_secret": found.new_signing_secret})
        return
    typer.echo(f"Channel {channel.name} is set up. Try it: llmscope channels test {channel.name!r}")
    if found.new_signing_secret:
        typer.echo(f"Its signing secret, shown this once: {found.new_signing_secret}")


@app.command("list")
def list_(project: ProjectFilter = None, as_json: JsonOption = False) -> None:
    """Show the channels; secrets are never shown."""
    from ingest_api.database.channels import list_channels

    with open_database() as connection:
        project_id = None if project is None else require_project(connection, project)
        rows = [row_of(channel) for channel in list_channels(connection, project_id)]
    print_rows(rows, COLUMNS, as_json=as_json)


@app.command()
def enable(name: NameArgument, project: ProjectFilter = None) -> None:
    """Let a channel take notifications again; what waited for less than a day is sent."""
    switch(name, project, is_enabled=True)


@app.command()
def disable(name: NameArgument, project: ProjectFilter = None) -> None:
    """Keep a channel from notifications: what happens meanwhile is never told there."""
    switch(name, project, is_enabled=False)


@app.command()
def remove(name: NameArgument, project: ProjectFilter = None) -> None:
    """Delete a channel and what waits for it."""
    from ingest_api.database.channels import remove_channel

    with open_database() as connection:
        channel = require_channel(connection, name, project)
        remove_channel(connection, channel.channel_id)
    typer.echo(f"Channel {channel.name} is deleted.")


@app.command("test")
def try_(
    name: NameArgument,
    project: ProjectFilter = None,
    wait_seconds: Annotated[
        float, typer.Option(help="How long to wait for the outcome of the first attempt.")
    ] = 30.0,
) -> None:
    """Send a test notification through the outbox, and tell what became of it."""
    from ingest_api.database.notifications import enqueue, trial_notification

    with open_database() as connection:
        channel = require_channel(connection, name, project)
        trial = trial_notification(channel.name, datetime.now(UTC), uuid4().hex)
        if not enqueue(connection, [channel.channel_id], trial):
            raise CliError(f"{channel.name} is disabled: `llmscope channels enable` it first.")
    deadline = time.monotonic() + wait_seconds
    while (outcome := first_outcome(channel, trial.idempotency_key)) is None:
        if time.monotonic() > deadline:
            raise CliError(
                f"No attempt within {wait_seconds:g} s: is send_notifications_sensor running in "
                "the Dagster UI? The notification waits in the outbox."
            )
        time.sleep(POLL_SECONDS)
    if outcome:
        raise CliError(f"The attempt failed, and is repeated: {outcome}.")
    typer.echo(f"Delivered to {channel.name}.")


@app.command()
def deliveries(
    name: Annotated[str | None, typer.Argument(help="Name or id of a channel.")] = None,
    project: ProjectFilter = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 20,
    as_json: JsonOption = False,
) -> None:
    """Show what was told, newest first, and what became of it."""
    from ingest_api.database.notifications import list_deliveries

    with open_database() as connection:
        channel = None if name is None else require_channel(connection, name, project)
        project_id = None if project is None else require_project(connection, project)
        channel_id = None if channel is None else channel.channel_id
        found = list_deliveries(connection, project_id, channel_id, limit=limit)
    rows = [vars(one) for one in found]
    print_rows(rows, DELIVERY_COLUMNS, as_json=as_json)


@app.command("new-key")
def new_key_() -> None:
    """Print a key for LLMSCOPE_SECRET_KEY; put it in front of the old ones, after a comma."""
    from ingest_api.notifying.secrets import new_key

    typer.echo(new_key())


@app.command("rotate-secrets")
def rotate_secrets_() -> None:
    """Encrypt all secrets anew with the first key of LLMSCOPE_SECRET_KEY."""
    from ingest_api.database.channels import rotate_secrets
    from ingest_api.notifying.secrets import SecretError

    box = open_clone_box()
    with open_database() as connection:
        try:
            count = rotate_secrets(connection, box)
        except SecretError as error:
            raise CliError(f"Nothing was changed: {error}.") from None
    typer.echo(f"Channels encrypted anew: {count}. Older keys can go.")


def prepare_setup(
    kind: KindName, settings: dict[str, Any], given: dict[str, str]
) -> "PreparedSetup":
    """What is stored of what was given: secrets, and references such as env:LLMSCOPE_CHANNEL_OPS.

    Raises:
        CliError: it does not fit.
    """
    from ingest_api.notifying.kinds import ChannelError
    from ingest_api.notifying.secrets import SecretError
    from ingest_api.notifying.setting_up import prepare

    references = {
        field: value.removeprefix(REFERENCE)
        for field, value in given.items()
        if value.startswith(REFERENCE)
    }
    secrets = {field: value for field, value in given.items() if field not in references}
    try:
        return prepare(kind.value, settings, secrets, open_clone_box, target_policy(), references)
    except (ChannelError, SecretError) as error:
        raise CliError(f"{error}.") from None


def open_clone_box() -> "SecretBox":
    """The box of this clone.

    Raises:
        CliError: there is no key.
    """
    from ingest_api.notifying.secrets import SecretError, open_box

    platform, settings = read_clone()
    try:
        return open_box(settings.get("LLMSCOPE_SECRET_KEY", ""), platform.home)
    except SecretError as error:
        raise CliError(f"{error}.") from None


def target_policy() -> "TargetPolicy":
    """What channels may reach.

    Raises:
        CliError: LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS holds something that is no network.
    """
    from ingest_api.notifying.networks import TargetPolicy, read_networks

    _, settings = read_clone()
    given = settings.get("LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS", "")
    try:
        return TargetPolicy(read_networks(given.replace(",", " ").split()))
    except ValueError as error:
        raise CliError(f"LLMSCOPE_WEBHOOK_ALLOWED_NETWORKS: {error}.") from None


def read_settings(pairs: list[str]) -> dict[str, Any]:
    """Pure: settings by name, in their types.

    Raises:
        CliError: one is no pair.
    """
    settings: dict[str, Any] = {}
    for name, value in map(partial(read_pair, "--setting"), pairs):
        if name == "recipients":
            settings[name] = [*settings.get(name, []), value]
        elif name == "verify_certificate":
            settings[name] = value.lower() not in {"false", "no", "0"}
        else:
            settings[name] = int(value) if name == "port" and value.isdecimal() else value
    return settings


def read_secrets(pairs: list[str], stdin: TextIO) -> dict[str, str]:
    """Secrets by name; one without a value is asked for, unseen, or read where nobody types.

    Raises:
        CliError: a value was written on the command line, where others can read it.
    """
    secrets = {}
    for pair in pairs:
        name, _, value = pair.partition("=")
        if value and not value.startswith(REFERENCE):
            raise CliError(
                f"A secret on the command line can be read by others: give `--secret {name}` alone "
                "and type it, or refer to a variable with env:LLMSCOPE_CHANNEL_..."
            )
        secrets[name] = value or ask(name, stdin)
    return secrets


def ask(name: str, stdin: TextIO) -> str:
    """One secret, from the keyboard or as a line of `stdin`."""
    if not stdin.isatty():
        return stdin.readline().strip()
    typed: str = typer.prompt(name, hide_input=True)
    return typed


def read_pair(option: str, text: str) -> tuple[str, str]:
    """Pure: name and value.

    Raises:
        CliError: one is missing.
    """
    name, _, value = text.partition("=")
    if not name or not value:
        raise CliError(f"{option} is {text!r}: write it as host=smtp.example.com.")
    return name, value


def require_channel(connection: psycopg.Connection, given: str, project: str | None) -> "Channel":
    """The channel of a name or an id.

    Raises:
        CliError: there is none, or there are several.
    """
    from ingest_api.database.channels import find_channel, find_channels_by_name

    project_id = None if project is None else require_project(connection, project)
    found = find_channels_by_name(connection, given, project_id)
    if not found:
        try:
            by_id = find_channel(connection, UUID(given), project_id)
        except ValueError:
            by_id = None
        found = [by_id] if by_id else []
    if not found:
        raise CliError(f"There is no channel {given!r}: `llmscope channels list` shows them.")
    if len(found) > 1:
        raise CliError(f"Several projects have a channel {given!r}: add --project, or give its id.")
    return found[0]


def switch(name: str, project: str | None, *, is_enabled: bool) -> None:
    """Enable or disable a channel, and say so."""
    from ingest_api.database.channels import enable_channel

    with open_database() as connection:
        channel = require_channel(connection, name, project)
        enable_channel(connection, channel.channel_id, is_enabled)
    typer.echo(f"Channel {channel.name} is {'enabled' if is_enabled else 'disabled'}.")


def first_outcome(channel: "Channel", key: str) -> str | None:
    """What the first attempt came to: an error, nothing where it arrived; None: not made yet."""
    from ingest_api.database.notifications import list_deliveries

    with open_database() as connection:
        for one in list_deliveries(connection, channel_id=channel.channel_id):
            if one.idempotency_key == key:
                return "" if one.state == "delivered" else one.last_error
    raise CliError(f"{channel.name} was deleted meanwhile.")


def row_of(channel: "Channel") -> dict[str, Any]:
    """Pure: a channel as it is listed."""
    references = [f"{field}={REFERENCE}{name}" for field, name in channel.secret_env.items()]
    stored = ["stored"] if channel.secret is not None else []
    settings = [f"{name}={value}" for name, value in sorted(channel.settings.items())]
    return {
        "project": channel.project,
        "name": channel.name,
        "kind": channel.kind,
        "settings": settings,
        "secret_from": [*stored, *references],
        "tells_operators": channel.tells_operators,
        "is_enabled": channel.is_enabled,
        "created_at": channel.created_at,
        "channel_id": channel.channel_id,
    }
