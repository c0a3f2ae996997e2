"""Alert rules: the one place that adds, reads, changes and removes them. Blocking."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from ingest_api.alerts.rules import FIELDS, AlertRule, StoredRule

ALL_PROJECTS: Final = "(all projects)"
MAX_RULES: Final = 1000
COLUMNS: Final = tuple(name for name in FIELDS if name != "channels")
JSON_COLUMNS: Final = ("silences", "mutes")

CHANNEL_NAMES: Final = sql.SQL("""array(
    select c.name from app.alert_rule_channels as rc
    join app.notification_channels as c using (channel_id)
    where rc.rule_id = r.rule_id order by c.name
) as channels""")
SELECT: Final = sql.SQL("""
select r.rule_id, r.tenant_id, r.project_id, {columns}, {channels}, r.created_at, r.updated_at,
    coalesce(p.name, '(all projects)') as project, x.evaluated_at, x.judged_until, x.verdict,
    x.reason, x.value, x.group_count,
    (select count(*) from app.alert_events as e
        where e.rule_id = r.rule_id and e.state = 'firing') as firing_count
from app.alert_rules as r
left join app.projects as p using (project_id)
left join app.alert_rule_results as x using (rule_id)
where {condition}
order by p.name nulls first, r.name, r.rule_id
""")
OWNED: Final = sql.SQL("""
(%(project_id)s::uuid is null or r.project_id = %(project_id)s)
and (%(rule_id)s::uuid is null or r.rule_id = %(rule_id)s)
""")
ENABLED: Final = sql.SQL("r.is_enabled")
INSERT: Final = sql.SQL("""
insert into app.alert_rules (tenant_id, project_id, {columns})
values (%(tenant_id)s, %(project_id)s, {values}) returning rule_id
""")
UPDATE: Final = sql.SQL("""
update app.alert_rules set ({columns}, updated_at) = ({values}, now()) where rule_id = %(rule_id)s
""")
UNDECLARED: Final = """
select key from unnest(%(keys)s::text[]) as key where not exists (
    select from app.projects
    where tenant_id = %(tenant_id)s and key = any(rollup_tags)
        and (%(project_id)s::uuid is null or project_id = %(project_id)s)
)
"""
# Of a project's own channels and of those for all projects, the own one of a name comes first.
CHANNELS: Final = """
select distinct on (name) name, channel_id from app.notification_channels
where tenant_id = %(tenant_id)s and name = any(%(names)s)
    and (project_id is null or project_id = %(project_id)s)
order by name, project_id nulls last
"""
COUNT: Final = """
select count(*) from app.alert_rules
where tenant_id = %(tenant_id)s and project_id is not distinct from %(project_id)s
"""


class RuleError(ValueError):
    """The rule cannot be stored; the message says what to do."""


@dataclass(frozen=True)
class LastResult:
    """What the newest window of a rule said; fields as in `app.alert_rule_results`."""

    evaluated_at: datetime
    judged_until: datetime
    verdict: str
    reason: str | None
    value: Decimal | None
    group_count: int


@dataclass(frozen=True)
class RuleRecord:
    """A stored rule and how it fares.

    Attributes:
        result: None: it was never evaluated.
        firing_count: Its alerts that fire.
    """

    stored: StoredRule
    project: str
    created_at: datetime
    updated_at: datetime
    result: LastResult | None
    firing_count: int

    @property
    def rule(self) -> AlertRule:
        """What it says."""
        return self.stored.rule


def list_rules(
    connection: psycopg.Connection, project_id: UUID | None = None, rule_id: UUID | None = None
) -> list[RuleRecord]:
    """Rules of one project, or all of them; by project and name."""
    return _select(connection, OWNED, {"project_id": project_id, "rule_id": rule_id})


def enabled_rules(connection: psycopg.Connection) -> list[RuleRecord]:
    """What is to be evaluated."""
    return _select(connection, ENABLED, {})


def find_rule(
    connection: psycopg.Connection, rule_id: UUID, project_id: UUID | None = None
) -> RuleRecord | None:
    """A rule, where it is of that project."""
    return next(iter(list_rules(connection, project_id, rule_id)), None)


def add_rule(
    connection: psycopg.Connection, tenant_id: UUID, project_id: UUID | None, rule: AlertRule
) -> RuleRecord:
    """Store a rule; it is evaluated within a minute.

    Args:
        connection: To the ledger's database.
        tenant_id: Whose it is.
        project_id: None: all projects of the tenant together.
        rule: What it says.

    Raises:
        RuleError: its name is taken, or a tag or a channel is none.
    """
    owner = {"tenant_id": tenant_id, "project_id": project_id}
    with connection.transaction():
        found = connection.execute(COUNT, owner).fetchone()
        if found and found[0] >= MAX_RULES:
            raise RuleError(f"there are {MAX_RULES} rules, and may be no more: delete one")
        channel_ids = _channel_ids(connection, owner, rule)
        _check_tags(connection, owner, rule)
        row = _write(connection, INSERT, rule, owner).fetchone()
        assert row is not None  # noqa: S101 - an insert without conflict returns its row
        _tell(connection, row[0], channel_ids)
    added = find_rule(connection, row[0])
    assert added is not None  # noqa: S101 - it was just stored
    return added


def change_rule(connection: psycopg.Connection, stored: StoredRule, rule: AlertRule) -> RuleRecord:
    """Put `rule` in the place of a stored one.

    Raises:
        RuleError: as in `add_rule`.
    """
    owner = {"tenant_id": stored.tenant_id, "project_id": stored.project_id}
    with connection.transaction():
        channel_ids = _channel_ids(connection, owner, rule)
        _check_tags(connection, owner, rule)
        _write(connection, UPDATE, rule, {"rule_id": stored.rule_id})
        connection.execute("delete from app.alert_rule_channels where rule_id = %s",
                           [stored.rule_id])  # fmt: skip
        _tell(connection, stored.rule_id, channel_ids)
        if rule.subject != stored.rule.subject or rule.window_seconds != stored.rule.window_seconds:
            # What its last window said was said of another figure.
            connection.execute(
                "delete from app.alert_rule_results where rule_id = %s", [stored.rule_id]
            )
    changed = find_rule(connection, stored.rule_id)
    assert changed is not None  # noqa: S101 - it was just stored
    return changed


def enable_rules(
    connection: psycopg.Connection,
    rule_ids: Sequence[UUID],
    project_id: UUID | None = None,
    *,
    is_enabled: bool,
) -> set[UUID]:
    """Enable or disable rules, of that project where one is given; gives those that there are."""
    rows = connection.execute(
        "update app.alert_rules set is_enabled = %s, updated_at = now() "
        "where rule_id = any(%s) and (%s::uuid is null or project_id = %s) returning rule_id",
        [is_enabled, list(rule_ids), project_id, project_id],
    )
    return {rule_id for (rule_id,) in rows}


def remove_rules(
    connection: psycopg.Connection, rule_ids: Sequence[UUID], project_id: UUID | None = None
) -> set[UUID]:
    """Delete rules, of that project where one is given; gives those that there were."""
    rows = connection.execute(
        "delete from app.alert_rules "
        "where rule_id = any(%s) and (%s::uuid is null or project_id = %s) returning rule_id",
        [list(rule_ids), project_id, project_id],
    )
    return {rule_id for (rule_id,) in rows}


def project_name(connection: psycopg.Connection, project_id: UUID | None) -> str:
    """What a project is called; None stands for all of a tenant."""
    row = connection.execute(
        "select name from app.projects where project_id = %s", [project_id]
    ).fetchone()
    return str(row[0]) if row else ALL_PROJECTS


def channels_of(connection: psycopg.Connection, rule_id: UUID) -> list[UUID]:
    """Who is told."""
    rows = connection.execute(
        "select channel_id from app.alert_rule_channels where rule_id = %s", [rule_id]
    )
    return [channel_id for (channel_id,) in rows]


def _select(
    connection: psycopg.Connection, condition: sql.SQL, values: Mapping[str, Any]
) -> list[RuleRecord]:
    columns = sql.SQL(", ").join(sql.Identifier("r", name) for name in COLUMNS)
    query = SELECT.format(columns=columns, channels=CHANNEL_NAMES, condition=condition)
    with connection.cursor(row_factory=dict_row) as cursor:
        return [_record(row) for row in cursor.execute(query, values)]


def _record(row: dict[str, Any]) -> RuleRecord:
    rule = msgspec.convert({name: row[name] for name in FIELDS}, AlertRule)
    stored = StoredRule(
        rule_id=row["rule_id"], tenant_id=row["tenant_id"], project_id=row["project_id"], rule=rule
    )
    names = LastResult.__dataclass_fields__
    result = LastResult(**{name: row[name] for name in names}) if row["evaluated_at"] else None
    return RuleRecord(
        stored, row["project"], row["created_at"], row["updated_at"], result, row["firing_count"]
    )


def _write(
    connection: psycopg.Connection, template: sql.SQL, rule: AlertRule, keys: Mapping[str, Any]
) -> psycopg.Cursor[Any]:
    names = sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
    values = sql.SQL(", ").join(map(sql.Placeholder, COLUMNS))
    plain = {name: getattr(rule, name) for name in COLUMNS}
    as_json = {name: Jsonb(msgspec.to_builtins(plain[name])) for name in JSON_COLUMNS}
    try:
        return connection.execute(
            template.format(columns=names, values=values), {**plain, **as_json, **keys}
        )
    except psycopg.errors.UniqueViolation:
        raise RuleError(f"name: there is a rule {rule.name!r} already") from None


def _channel_ids(
    connection: psycopg.Connection, owner: Mapping[str, Any], rule: AlertRule
) -> list[UUID]:
    rows = connection.execute(CHANNELS, {**owner, "names": rule.channels}).fetchall()
    found: dict[str, UUID] = dict(rows)
    if unknown := [name for name in rule.channels if name not in found]:
        raise RuleError(f"channels: there is no channel {', '.join(map(repr, unknown))}")
    return [found[name] for name in dict.fromkeys(rule.channels)]


def _check_tags(connection: psycopg.Connection, owner: Mapping[str, Any], rule: AlertRule) -> None:
    undeclared = connection.execute(UNDECLARED, {**owner, "keys": rule.tag_keys}).fetchall()
    if undeclared:
        raise RuleError(f"tag {undeclared[0][0]}: the project does not declare it for its roll-ups")


def _tell(connection: psycopg.Connection, rule_id: UUID, channel_ids: Sequence[UUID]) -> None:
    connection.execute(
        "insert into app.alert_rule_channels (rule_id, channel_id) select %s, unnest(%s::uuid[])",
        [rule_id, list(channel_ids)],
    )
