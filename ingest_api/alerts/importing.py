"""Rules as files: many at once, told apart by name, and the same again changes nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

import msgspec
import psycopg

from ingest_api.alerts.rules import FIELDS, AlertRule
from ingest_api.database.alert_rules import (
    RuleError,
    RuleRecord,
    add_rule,
    change_rule,
    list_rules,
    remove_rules,
)

Outcome = Literal["created", "changed", "unchanged", "deleted"]


@dataclass(frozen=True)
class Imported:
    """What became, or would become, of one rule.

    Attributes:
        changes: By field, what it was and what it is.
    """

    name: str
    outcome: Outcome
    changes: dict[str, tuple[Any, Any]]
    record: RuleRecord | None = None


@dataclass(frozen=True)
class Owner:
    """Whose rules; a project of None stands for all of the tenant together."""

    tenant_id: UUID
    project_id: UUID | None


def import_rules(
    connection: psycopg.Connection,
    owner: Owner,
    rules: Sequence[AlertRule],
    *,
    is_dry_run: bool = False,
    removes_others: bool = False,
) -> list[Imported]:
    """Make the rules of an owner what `rules` says, all of it or nothing.

    Args:
        connection: To the ledger's database.
        owner: Whose rules; others are left alone.
        rules: Names must differ.
        is_dry_run: Only say what would be done.
        removes_others: Delete the rules that are not among them.

    Raises:
        RuleError: names the rule and what is wrong with it.
    """
    names = [one.name for one in rules]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise RuleError(f"name: {twice[0]!r} is there twice")
    with connection.transaction(force_rollback=is_dry_run):
        known = {one.rule.name: one for one in own_rules(connection, owner)}
        found = [_put(connection, owner, known.get(one.name), one) for one in rules]
        if removes_others:
            found += [
                _remove(connection, known[name]) for name in sorted({*known}.difference(names))
            ]
    return found


def own_rules(connection: psycopg.Connection, owner: Owner) -> list[RuleRecord]:
    """Rules of exactly that owner."""
    found = list_rules(connection, owner.project_id)
    return [
        one for one in found
        if (one.stored.tenant_id, one.stored.project_id) == (owner.tenant_id, owner.project_id)
    ]  # fmt: skip


def _put(
    connection: psycopg.Connection, owner: Owner, known: RuleRecord | None, rule: AlertRule
) -> Imported:
    try:
        if known is None:
            added = add_rule(connection, owner.tenant_id, owner.project_id, rule)
            return Imported(rule.name, "created", {}, added)
        changes = differences(known.rule, rule)
        if not changes:
            return Imported(rule.name, "unchanged", {}, known)
        return Imported(rule.name, "changed", changes, change_rule(connection, known.stored, rule))
    except RuleError as error:
        raise RuleError(f"{rule.name}: {error}") from None


def _remove(connection: psycopg.Connection, known: RuleRecord) -> Imported:
    remove_rules(connection, [known.stored.rule_id])
    return Imported(known.rule.name, "deleted", {})


def differences(old: AlertRule, new: AlertRule) -> dict[str, tuple[Any, Any]]:
    """Pure: by field, what it was and what it is; channels have no order."""
    found = {}
    for name in FIELDS:
        before, after = getattr(old, name), getattr(new, name)
        if name == "channels":
            before, after = sorted(set(before)), sorted(set(after))
        if before != after:
            found[name] = (msgspec.to_builtins(before), msgspec.to_builtins(after))
    return found


def exported(rule: AlertRule) -> dict[str, Any]:
    """Pure: a rule as a file has it, without what is the default."""
    plain: dict[str, Any] = msgspec.to_builtins(rule)
    for field in msgspec.structs.fields(AlertRule):
        default = (
            field.default_factory()
            if field.default_factory is not msgspec.NODEFAULT
            else field.default
        )
        if getattr(rule, field.name) == default:
            del plain[field.name]
    return plain
