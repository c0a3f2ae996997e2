"""What the commands about alert rules share: whose rule is meant, and how it is shown."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import typer

from cli.budgets import tenant_of
from cli.connection import open_database
from cli.errors import CliError
from cli.keys import require_project

if TYPE_CHECKING:
    from ingest_api.alerts.importing import Imported, Owner
    from ingest_api.alerts.rules import AlertRule
    from ingest_api.database.alert_rules import RuleRecord


def difference_lines(found: Sequence["Imported"]) -> list[str]:
    """Pure: what became of each rule, and each changed field."""
    lines = []
    for one in found:
        lines.append(f"{one.outcome} {one.name}")
        lines += [f"  {name}: {was} -> {now}" for name, (was, now) in one.changes.items()]
    return lines


def read_text(path: Path) -> str:
    """The file, or standard input.

    Raises:
        CliError: it cannot be read.
    """
    try:
        return typer.get_text_stream("stdin").read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError):
        raise CliError(f"{path} cannot be read: give a file of UTF-8 text.") from None


def owner_of(connection: psycopg.Connection, project: str, all_projects: bool) -> "Owner":
    """Whose rules are meant."""
    from ingest_api.alerts.importing import Owner

    project_id = require_project(connection, project)
    return Owner(tenant_of(connection, project_id), None if all_projects else project_id)


def require_rule(connection: psycopg.Connection, name: str, owner: "Owner") -> "RuleRecord":
    """A rule by name.

    Raises:
        CliError: there is none.
    """
    from ingest_api.alerts.importing import own_rules

    for one in own_rules(connection, owner):
        if one.rule.name == name:
            return one
    raise CliError(f"There is no rule {name!r}: `llmscope alerts rules` shows them.")


def switch(name: str, project: str, all_projects: bool, *, is_enabled: bool) -> None:
    """Enable or disable a rule."""
    from ingest_api.database.alert_rules import enable_rules

    with open_database() as connection:
        record = require_rule(connection, name, owner_of(connection, project, all_projects))
        enable_rules(connection, [record.stored.rule_id], is_enabled=is_enabled)
    typer.echo(f"{'Enabled' if is_enabled else 'Disabled'} {name}.")


def rule_row(record: "RuleRecord") -> dict[str, Any]:
    """Pure: a rule as it is listed."""
    from datetime import timedelta

    from ingest_api.alerts.words import compared, duration

    rule: AlertRule = record.rule
    by = f" by {rule.group_by}" if rule.group_by else ""
    return {
        "project": record.project,
        "name": rule.name,
        "condition": f"{rule.metric}{by} {rule.direction} {compared(rule, rule.threshold)}",
        "window": duration(timedelta(seconds=rule.window_seconds)),
        "severity": rule.severity,
        "enabled": rule.is_enabled,
        "verdict": record.result.verdict if record.result else None,
        "value": compared(rule, record.result.value) if record.result else None,
        "firing": record.firing_count,
        "channels": rule.channels,
    }


def plain(value: Any) -> Any:
    """Pure: the same with numbers and ids as texts."""
    import msgspec

    return msgspec.to_builtins(value)
