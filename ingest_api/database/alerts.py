"""Alerts: the one place that reads and writes them and the results of rules. Blocking.

Whoever changes a state holds `EVALUATION_LOCK`, so that two evaluations never meet.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ingest_api.alerts.episodes import Episode, EpisodeState

EVALUATION_LOCK: Final = 7_233_003
COLUMNS: Final = tuple(one.name for one in fields(Episode))
JSON_COLUMNS: Final = ("definition", "notes")
# Written by people, never by an evaluation.
ACKNOWLEDGEMENT: Final = ("acknowledged_by", "acknowledged_at")

Acknowledged = Literal["acknowledged", "already_over", "not_found"]

LOCK: Final = "select pg_try_advisory_xact_lock(%s)"
OPEN: Final = sql.SQL("select {columns} from app.alert_events where state in ('pending', 'firing')")
LATELY_RESOLVED: Final = """
select rule_id, group_value, max(resolved_at) from app.alert_events
where state = 'resolved' and rule_id is not null and resolved_at > %s
group by 1, 2
"""
SAVE: Final = sql.SQL("""
insert into app.alert_events ({columns}) values ({values})
on conflict (alert_event_id) do update set ({changed}) = row({excluded})
""")
RESULT: Final = """
insert into app.alert_rule_results (rule_id, evaluated_at, judged_until, verdict, reason, value,
    group_count, met_groups)
values (%(rule_id)s, %(evaluated_at)s, %(judged_until)s, %(verdict)s, %(reason)s, %(value)s,
    %(group_count)s, %(met_groups)s)
on conflict (rule_id) do update set (evaluated_at, judged_until, verdict, reason, value,
    group_count, met_groups) = (excluded.evaluated_at, excluded.judged_until, excluded.verdict,
    excluded.reason, excluded.value, excluded.group_count, excluded.met_groups)
"""
LIST: Final = sql.SQL("""
select {columns} from app.alert_events
where (%(project_id)s::uuid is null or project_id = %(project_id)s)
    and (%(states)s::text[] is null or state = any(%(states)s))
order by pending_since desc, alert_event_id
limit %(limit)s
""")
ACKNOWLEDGE: Final = """
update app.alert_events
set acknowledged_by = coalesce(acknowledged_by, %(by)s),
    acknowledged_at = coalesce(acknowledged_at, now())
where alert_event_id = %(id)s and state in ('pending', 'firing')
    and (%(project_id)s::uuid is null or project_id = %(project_id)s)
"""
EXISTS: Final = """
select exists (
    select from app.alert_events where alert_event_id = %(id)s
        and (%(project_id)s::uuid is null or project_id = %(project_id)s)
)
"""


class Key(NamedTuple):
    """What there is at most one open alert of."""

    rule_id: UUID
    group_value: str


@dataclass(frozen=True)
class Result:
    """What the newest window of a rule said; fields as in `app.alert_rule_results`."""

    rule_id: UUID
    evaluated_at: datetime
    judged_until: datetime
    verdict: str
    reason: str | None
    value: Any
    group_count: int
    met_groups: list[str]


def try_lock(connection: psycopg.Connection) -> bool:
    """Whether nobody else evaluates until this transaction ends."""
    row = connection.execute(LOCK, [EVALUATION_LOCK]).fetchone()
    return bool(row and row[0])


def open_alerts(connection: psycopg.Connection) -> list[Episode]:
    """All that are pending or firing, those of rules that are gone too."""
    with connection.cursor(row_factory=class_row(Episode)) as cursor:
        return cursor.execute(OPEN.format(columns=_names(COLUMNS))).fetchall()


def lately_resolved(connection: psycopg.Connection, since: datetime) -> dict[Key, datetime]:
    """When alerts last resolved, of those that did after `since`."""
    rows = connection.execute(LATELY_RESOLVED, [since])
    return {Key(rule_id, group): resolved_at for rule_id, group, resolved_at in rows}


def save_alerts(connection: psycopg.Connection, episodes: Iterable[Episode]) -> None:
    """Write alerts as they are now; leaves alone who has acknowledged them."""
    changed = [name for name in COLUMNS if name not in ("alert_event_id", *ACKNOWLEDGEMENT)]
    query = SAVE.format(
        columns=_names(COLUMNS),
        values=sql.SQL(", ").join(map(sql.Placeholder, COLUMNS)),
        changed=_names(changed),
        excluded=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in changed),
    )
    with connection.cursor() as cursor:
        cursor.executemany(query, map(_values, episodes))


def drop_alert(connection: psycopg.Connection, episode: Episode) -> None:
    """Forget a pending alert whose condition did not last."""
    connection.execute(
        "delete from app.alert_events where alert_event_id = %s and state = 'pending'",
        [episode.alert_event_id],
    )


def read_results(connection: psycopg.Connection) -> dict[UUID, Result]:
    """By rule, what its newest window said."""
    names = _names([one.name for one in fields(Result)])
    query = sql.SQL("select {} from app.alert_rule_results").format(names)
    with connection.cursor(row_factory=class_row(Result)) as cursor:
        return {one.rule_id: one for one in cursor.execute(query)}


def save_results(connection: psycopg.Connection, results: Iterable[Result]) -> None:
    """Write what windows said."""
    with connection.cursor() as cursor:
        cursor.executemany(RESULT, [vars(one) for one in results])


def list_alerts(
    connection: psycopg.Connection,
    project_id: UUID | None = None,
    states: Sequence[EpisodeState] | None = None,
    limit: int = 100,
) -> list[Episode]:
    """Alerts, the newest first."""
    values: Mapping[str, Any] = {
        "project_id": project_id,
        "states": list(states) if states else None,
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(Episode)) as cursor:
        return cursor.execute(LIST.format(columns=_names(COLUMNS)), values).fetchall()


def acknowledge(
    connection: psycopg.Connection, alert_event_id: UUID, by: str, project_id: UUID | None = None
) -> Acknowledged:
    """Note who has seen an alert; it reminds nobody any more. The first one stays."""
    values = {"id": alert_event_id, "by": by, "project_id": project_id}
    if connection.execute(ACKNOWLEDGE, values).rowcount:
        return "acknowledged"
    row = connection.execute(EXISTS, values).fetchone()
    return "already_over" if row and row[0] else "not_found"


def _values(episode: Episode) -> dict[str, Any]:
    values = {name: getattr(episode, name) for name in COLUMNS}
    return values | {name: Jsonb(values[name]) for name in JSON_COLUMNS}


def _names(names: Iterable[str]) -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, names))
