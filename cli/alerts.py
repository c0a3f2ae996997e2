"""`llmscope alerts`: rules, what they say, would say and would have said, and who is told."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final
from uuid import UUID

import typer

from cli.alert_files import make_rule, read_change, read_duration, read_rules, write_rules
from cli.alert_queries import (
    difference_lines,
    owner_of,
    plain,
    read_text,
    require_rule,
    rule_row,
    switch,
)
from cli.budgets import read_tag
from cli.connection import open_database
from cli.errors import CliError
from cli.keys import JsonOption, require_project
from cli.output import print_json, print_table

app = typer.Typer(
    no_args_is_help=True,
    help="Alert rules, and the alerts that they raise.\n\n"
    "Rules are judged by the minute. Who is told: `llmscope channels`. docs/alerts.md says what "
    "each metric means and how to remedy it.",
)

ALERT_COLUMNS: Final = (
    "state", "severity", "rule", "group", "value", "threshold", "since", "acknowledged_by",
    "alert_event_id",
)  # fmt: skip
RULE_COLUMNS: Final = (
    "project", "name", "condition", "window", "severity", "enabled", "verdict", "value", "firing",
    "channels",
)  # fmt: skip
GROUP_COLUMNS: Final = ("group_value", "verdict", "value", "call_count", "reason", "message")
PAST_COLUMNS: Final = ("fired_at", "resolved_at", "group_value", "value", "is_silent")

Name = Annotated[str, typer.Argument(help="Name of the rule.")]
Project = Annotated[str, typer.Option(help="Name of the project.")]
AllProjects = Annotated[
    bool, typer.Option("--all-projects", help="Rules for all projects together.")
]
Only = Annotated[str | None, typer.Option(help="Only these calls.")]


@app.command("list")
def list_(
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    state: Annotated[
        str | None, typer.Option(help="pending, firing, resolved or missed. [default: all]")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="Alerts, at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """Show alerts, the newest first."""
    from ingest_api.alerts.words import compared, instant
    from ingest_api.database.alerts import list_alerts

    if state not in (None, "pending", "firing", "resolved", "missed"):
        raise CliError(f"--state is {state!r}: it is pending, firing, resolved or missed.")
    with open_database() as connection:
        project_id = None if project is None else require_project(connection, project)
        found = list_alerts(connection, project_id, [state] if state else None, limit)  # type: ignore[list-item]
    if as_json:
        print_json([plain(asdict(one)) for one in found])
        return
    rows = [
        {
            **asdict(one),
            "rule": one.rule_name,
            "group": one.group_value,
            "value": compared(one.rule, one.value),
            "threshold": f"{one.rule.direction} {compared(one.rule, one.threshold)}",
            "since": instant(one.fired_at or one.pending_since),
        }
        for one in found
    ]
    print_table(rows, ALERT_COLUMNS)


@app.command()
def acknowledge(
    alert_event_id: Annotated[str, typer.Argument(help="As `alerts list` shows it.")],
    by: Annotated[str, typer.Option(help="Who has seen it.")],
) -> None:
    """Note who has seen an alert: it reminds nobody any more."""
    from ingest_api.database.alerts import acknowledge as note

    try:
        wanted = UUID(alert_event_id)
    except ValueError:
        raise CliError(f"{alert_event_id!r} is no id: `alerts list` shows them.") from None
    with open_database() as connection:
        outcome = note(connection, wanted, by)
    if outcome != "acknowledged":
        words = "is over already" if outcome == "already_over" else "does not exist"
        raise CliError(f"Alert {wanted} {words}: `llmscope alerts list` shows them.")
    typer.echo("Acknowledged.")


@app.command()
def rules(
    project: Annotated[str | None, typer.Option(help="Of this project only.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the rules, and what their newest window said."""
    import msgspec

    from ingest_api.database.alert_rules import list_rules

    with open_database() as connection:
        project_id = None if project is None else require_project(connection, project)
        found = list_rules(connection, project_id)
    if as_json:
        print_json(
            [
                {
                    "rule_id": str(one.stored.rule_id),
                    "project": one.project,
                    **msgspec.to_builtins(one.rule),
                    "result": plain(asdict(one.result)) if one.result else None,
                    "firing_count": one.firing_count,
                }
                for one in found
            ]
        )
    else:
        print_table([rule_row(one) for one in found], RULE_COLUMNS)


@app.command()
def add(
    name: Name,
    metric: Annotated[str, typer.Argument(help="What is watched: cost, error_rate ...")],
    above: Annotated[str | None, typer.Option(help="Alert above this.")] = None,
    below: Annotated[str | None, typer.Option(help="Alert below this.")] = None,
    window: Annotated[str, typer.Option(help="As 5m, 1h or 2d.")] = "1h",
    group_by: Annotated[str | None, typer.Option(help="user_id, model, tag:team ...")] = None,
    lasting: Annotated[str, typer.Option("--for", help="How long it must hold.")] = "0",
    severity: Annotated[str, typer.Option(help="info, warning, error, critical.")] = "warning",
    channel: Annotated[list[str] | None, typer.Option(help="Who is told; repeat it.")] = None,
    provider: Only = None,
    model: Only = None,
    user: Only = None,
    environment: Only = None,
    service: Only = None,
    tag: Annotated[str | None, typer.Option(help="Only calls with this tag: team=search.")] = None,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="Any other field: cool_down_seconds=600.")
    ] = None,
    project: Project = "main",
    all_projects: AllProjects = False,
) -> None:
    """Add a rule.

    \b
    Examples:
      llmscope alerts add "spend" cost --above 50 --window 1h --channel ops
      llmscope alerts add "spend of a user" cost --above 5 --group-by user_id --for 5m
      llmscope alerts add "silence" calls --below 1 --window 10m --service support-chat
      llmscope alerts add "budgets" budget_use --above 0.8 --severity error
    """
    from ingest_api.database.alert_rules import RuleError, add_rule

    if (above is None) == (below is None):
        raise CliError("Give --above or --below, and not both.")
    tag_key, tag_value = read_tag(tag)
    rule = make_rule(
        {
            "name": name, "metric": metric, "threshold": above or below,
            "direction": "above" if below is None else "below", "group_by": group_by,
            "window_seconds": read_duration("--window", window),
            "for_seconds": read_duration("--for", lasting), "severity": severity,
            "channels": channel or [], "provider_name": provider, "model": model, "user_id": user,
            "environment": environment, "service_name": service, "tag_key": tag_key,
            "tag_value": tag_value, **dict(map(read_change, setting or [])),
        }
    )  # fmt: skip
    with open_database() as connection:
        owner = owner_of(connection, project, all_projects)
        try:
            add_rule(connection, owner.tenant_id, owner.project_id, rule)
        except RuleError as error:
            raise CliError(f"{error}.") from None
    typer.echo(f"Rule {name} is judged within a minute; `llmscope alerts test` shows it now.")


@app.command()
def change(
    name: Name,
    changes: Annotated[list[str], typer.Argument(help="As threshold=20 for_seconds=300.")],
    project: Project = "main",
    all_projects: AllProjects = False,
) -> None:
    """Change fields of a rule.

    \b
    Examples:
      llmscope alerts change spend threshold=20 for_seconds=300
      llmscope alerts change spend "channels=[ops, finance]" runbook_url=https://example.com/spend
    """
    import msgspec

    from ingest_api.database.alert_rules import RuleError, change_rule

    with open_database() as connection:
        record = require_rule(connection, name, owner_of(connection, project, all_projects))
        fields = msgspec.to_builtins(record.rule) | dict(map(read_change, changes))
        try:
            change_rule(connection, record.stored, make_rule(fields))
        except RuleError as error:
            raise CliError(f"{error}.") from None
    typer.echo(f"Changed {name}.")


@app.command()
def enable(name: Name, project: Project = "main", all_projects: AllProjects = False) -> None:
    """Judge a rule again."""
    switch(name, project, all_projects, is_enabled=True)


@app.command()
def disable(name: Name, project: Project = "main", all_projects: AllProjects = False) -> None:
    """Do not judge a rule; its alerts are over within a minute."""
    switch(name, project, all_projects, is_enabled=False)


@app.command()
def delete(name: Name, project: Project = "main", all_projects: AllProjects = False) -> None:
    """Delete a rule; its alerts are over within a minute, and stay to be looked at."""
    from ingest_api.database.alert_rules import remove_rules

    with open_database() as connection:
        record = require_rule(connection, name, owner_of(connection, project, all_projects))
        remove_rules(connection, [record.stored.rule_id])
    typer.echo(f"Deleted {name}.")


@app.command("test")
def try_now(
    name: Name,
    project: Project = "main",
    all_projects: AllProjects = False,
    as_json: JsonOption = False,
) -> None:
    """Judge a rule now, without any effect."""
    from ingest_api.alerts.reading import Reader
    from ingest_api.alerts.trial import try_rule

    with open_database() as connection:
        record = require_rule(connection, name, owner_of(connection, project, all_projects))
        found = try_rule(Reader(connection), record.stored, datetime.now(UTC))
    if found is None:
        raise CliError("The marts are not built yet: the first build follows the first events.")
    groups = [{**one.judgement._asdict(), **asdict(one)} for one in found.groups]
    if as_json:
        print_json(plain({**asdict(found), "groups": groups}))
        return
    typer.echo(f"Window from {found.window_start:%Y-%m-%d %H:%M} to {found.window_end:%H:%M} UTC.")
    print_table([plain(one) for one in groups], GROUP_COLUMNS)


@app.command()
def backtest(
    name: Name,
    days: Annotated[int, typer.Option(min=1, max=30, help="How far to look back.")] = 30,
    project: Project = "main",
    all_projects: AllProjects = False,
    as_json: JsonOption = False,
) -> None:
    """Show when a rule would have fired."""
    from ingest_api.alerts.backtest import BacktestError
    from ingest_api.alerts.backtest import backtest as judge_past
    from ingest_api.alerts.reading import Reader

    now = datetime.now(UTC).replace(second=0, microsecond=0)
    with open_database() as connection:
        record = require_rule(connection, name, owner_of(connection, project, all_projects))
        try:
            found = judge_past(Reader(connection), record.stored, now, days)
        except BacktestError as error:
            raise CliError(f"{error}.") from None
    rows = [plain(asdict(one)) for one in found.alerts]
    if as_json:
        print_json(rows)
        return
    typer.echo(f"{len(rows)} alerts from {found.start:%Y-%m-%d %H:%M} UTC on.")
    print_table(rows, PAST_COLUMNS)


@app.command()
def export(project: Project = "main", all_projects: AllProjects = False) -> None:
    """Print the rules as YAML, which `alerts import` reads."""
    from ingest_api.alerts.importing import exported, own_rules

    with open_database() as connection:
        found = own_rules(connection, owner_of(connection, project, all_projects))
    typer.echo(write_rules([exported(one.rule) for one in found]), nl=False)


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="YAML as of `alerts export`; - is stdin.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    remove_others: Annotated[bool, typer.Option(help="Delete rules not in the file.")] = False,
    project: Project = "main",
    all_projects: AllProjects = False,
) -> None:
    """Make the rules those of a file, all or none; the same file again changes nothing."""
    from ingest_api.alerts.importing import import_rules
    from ingest_api.database.alert_rules import RuleError

    wanted = read_rules(read_text(path))
    with open_database() as connection:
        owner = owner_of(connection, project, all_projects)
        try:
            found = import_rules(
                connection, owner, wanted, is_dry_run=dry_run, removes_others=remove_others
            )
        except RuleError as error:
            raise CliError(f"{error}.") from None
    for line in difference_lines(found):
        typer.echo(line)
