"""Events that the marts hold back, and their release by an operator."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

HELD: Final = """
select held.received_at, held.started_at, projects.name as project_name, held.event_id,
    held.broken_rules
from staging.stg_ingest__held_events as held
inner join app.projects as projects using (project_id)
where held.released_at is null
    and not exists (
        select from app.held_event_releases as releases
        where releases.project_id = held.project_id
            and releases.event_id = held.event_id
            and releases.started_at = held.started_at
    )
    and (%(rule_name)s::text is null or %(rule_name)s = any(held.broken_rules))
    and (%(project_id)s::uuid is null or held.project_id = %(project_id)s)
order by held.received_at desc, held.event_id
limit %(limit)s
"""
# What is released already keeps its first reason.
RELEASE: Final = """
insert into app.held_event_releases (project_id, event_id, started_at, reason, released_by)
select project_id, event_id, started_at, %(reason)s, %(released_by)s
from staging.stg_ingest__held_events
where released_at is null
    and %(rule_name)s = any(broken_rules)
    and (%(project_id)s::uuid is null or project_id = %(project_id)s)
    and (%(event_ids)s::uuid[] is null or event_id = any(%(event_ids)s))
on conflict do nothing
"""


@dataclass(frozen=True)
class HeldEvent:
    """An event that no mart counts, and the rules that it breaks."""

    received_at: datetime
    started_at: datetime
    project_name: str
    event_id: UUID
    broken_rules: list[str]


class ReleaseError(ValueError):
    """A release that means nothing; the message says what to correct."""


@dataclass(frozen=True)
class Release:
    """Which held events are let into the marts, why, and who wants it.

    Attributes:
        rule_name: The rule that they break; an event that breaks others too is released as well.
        project_id: None means all projects.
        event_ids: None means all that break the rule.

    Raises:
        ReleaseError: no reason or nobody.
    """

    rule_name: str
    reason: str
    released_by: str
    project_id: UUID | None = None
    event_ids: tuple[UUID, ...] | None = None

    def __post_init__(self) -> None:
        if not self.reason.strip() or not self.released_by.strip():
            raise ReleaseError("Say why, and who wants it: both stay beside the event.")


def list_held_events(
    connection: psycopg.Connection,
    limit: int,
    rule_name: str | None = None,
    project_id: UUID | None = None,
) -> list[HeldEvent]:
    """Events that nobody has released, the newest first.

    Raises:
        psycopg.errors.UndefinedTable: the marts were never built.
    """
    values = {"rule_name": rule_name, "project_id": project_id, "limit": limit}
    with connection.cursor(row_factory=class_row(HeldEvent)) as cursor:
        return cursor.execute(HELD, values).fetchall()


def release_events(connection: psycopg.Connection, release: Release) -> int:
    """Store the release, which the next build of the marts carries out; gives the events."""
    values = {
        "rule_name": release.rule_name,
        "reason": release.reason,
        "released_by": release.released_by,
        "project_id": release.project_id,
        "event_ids": None if release.event_ids is None else list(release.event_ids),
    }
    return connection.execute(RELEASE, values).rowcount
