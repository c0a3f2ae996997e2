"""Projects and API keys: the one place that makes, lists, limits and revokes them. Blocking."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from ingest_api.auth import ContentPolicy, Scope, hash_key, new_key
from ingest_api.database.load_lock import stamp

TENANT: Final = "default"
ALL_SCOPES: Final[tuple[Scope, ...]] = ("ingest", "read", "admin")
# `llms_` and seven more: enough to tell keys apart, useless to guess one of 43 characters.
PREFIX_CHARACTERS: Final = 12
# Each combination of their values is a row per hour, model and user.
MAX_ROLLUP_TAGS: Final = 5

LIST_PROJECTS: Final = """
select project_id, t.name as tenant, p.name, is_demo, max_events_per_day, content_policy,
    rollup_tags, p.created_at,
    (select count(*) from app.api_keys as k
     where k.project_id = p.project_id and revoked_at is null
         and (expires_at is null or expires_at > now())) as active_key_count
from app.projects as p join app.tenants as t using (tenant_id)
order by t.name, p.name
"""
INSERT_KEY: Final = """
insert into app.api_keys
    (project_id, name, key_prefix, key_hash, scopes, expires_at, max_events_per_second,
     max_burst_events)
values (%s, %s, %s, %s, %s, %s, %s, %s)
"""
LIST_KEYS: Final = """
select api_key_id, p.name as project, k.name, key_prefix, scopes, max_events_per_second,
    max_burst_events, k.created_at, expires_at, revoked_at,
    case when revoked_at is not null then 'revoked'
        when expires_at <= now() then 'expired'
        else 'active' end as state
from app.api_keys as k join app.projects as p using (project_id)
where %(project)s::text is null or p.name = %(project)s
order by p.name, k.created_at, api_key_id
"""
MATCHING_KEYS: Final = """
select api_key_id from app.api_keys
where api_key_id::text = lower(%(given)s) or key_prefix = left(%(given)s, %(characters)s)
"""
REVOKE: Final = """
update app.api_keys set revoked_at = coalesce(revoked_at, now()) where api_key_id = %s
"""


class KeyLimits(NamedTuple):
    """What a key may send; None means no limit, and for the burst one second's worth."""

    max_events_per_second: int | None = None
    max_burst_events: int | None = None


NO_LIMITS: Final = KeyLimits()


@dataclass(frozen=True)
class StoredKey:
    """What is known of a key; the key itself is stored nowhere."""

    api_key_id: UUID
    project: str
    name: str
    key_prefix: str
    scopes: list[Scope]
    max_events_per_second: int | None
    max_burst_events: int | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    state: Literal["active", "expired", "revoked"]


@dataclass(frozen=True)
class StoredProject:
    """A project, its daily quota (None: none), and how many of its keys are valid.

    Attributes:
        rollup_tags: Keys of the tags by which its usage and cost are rolled up.
    """

    project_id: UUID
    tenant: str
    name: str
    is_demo: bool
    max_events_per_day: int | None
    content_policy: ContentPolicy
    rollup_tags: list[str]
    created_at: datetime
    active_key_count: int


def ensure_project(connection: psycopg.Connection, name: str, *, is_demo: bool = False) -> UUID:
    """Id of the project `name` of the single tenant, made where it is missing."""
    ensure_tenant(connection)
    connection.execute(
        """insert into app.projects (tenant_id, name, is_demo)
           select tenant_id, %s, %s from app.tenants where name = %s on conflict do nothing""",
        [name, is_demo, TENANT],
    )
    project_id = find_project(connection, name)
    if project_id is None:
        raise RuntimeError(f"project {name} was not created")
    return project_id


def ensure_tenant(connection: psycopg.Connection) -> UUID:
    """Id of the single tenant, made where it is missing."""
    connection.execute(
        "insert into app.tenants (name) values (%s) on conflict do nothing", [TENANT]
    )
    row = connection.execute(
        "select tenant_id from app.tenants where name = %s", [TENANT]
    ).fetchone()
    if row is None:
        raise RuntimeError("the tenant was not created")
    tenant_id: UUID = row[0]
    return tenant_id


def find_project(connection: psycopg.Connection, name: str) -> UUID | None:
    """Id of the project `name` of the single tenant, None where there is none."""
    row = connection.execute(
        """select project_id from app.projects join app.tenants as t using (tenant_id)
           where t.name = %s and projects.name = %s""",
        [TENANT, name],
    ).fetchone()
    return row[0] if row else None


def list_projects(connection: psycopg.Connection) -> list[StoredProject]:
    """All projects, by name."""
    with connection.cursor(row_factory=class_row(StoredProject)) as cursor:
        return cursor.execute(LIST_PROJECTS).fetchall()


def limit_project(
    connection: psycopg.Connection, project_id: UUID, max_events_per_day: int | None
) -> None:
    """Set the daily quota of a project; None takes it away."""
    connection.execute(
        "update app.projects set max_events_per_day = %s where project_id = %s",
        [max_events_per_day, project_id],
    )


def set_content_policy(
    connection: psycopg.Connection, project_id: UUID, policy: ContentPolicy
) -> None:
    """Set which prompts and completions a project stores from now on."""
    connection.execute(
        "update app.projects set content_policy = %s where project_id = %s", [policy, project_id]
    )


def set_rollup_tags(connection: psycopg.Connection, project_id: UUID, keys: Sequence[str]) -> None:
    """Declare the tags to roll up by; the next build sees them for the whole history."""
    with connection.transaction():
        connection.execute(
            """update app.projects set rollup_tags = %s, rollup_tags_changed_at = %s
               where project_id = %s and rollup_tags <> %s""",
            [list(keys), stamp(connection), project_id, list(keys)],
        )


def create_key(
    connection: psycopg.Connection,
    project_id: UUID,
    name: str,
    *,
    scopes: Sequence[Scope] = ALL_SCOPES,
    expires_at: datetime | None = None,
    limits: KeyLimits = NO_LIMITS,
) -> str:
    """Make a key; the only moment at which it can be read."""
    key = new_key()
    values = [project_id, name, key[:PREFIX_CHARACTERS], hash_key(key), list(scopes), expires_at]
    connection.execute(INSERT_KEY, [*values, *limits])
    return key


def list_keys(connection: psycopg.Connection, project: str | None = None) -> list[StoredKey]:
    """Keys of the project of that name, or of all, oldest first."""
    with connection.cursor(row_factory=class_row(StoredKey)) as cursor:
        return cursor.execute(LIST_KEYS, {"project": project}).fetchall()


def find_key_ids(connection: psycopg.Connection, given: str) -> list[UUID]:
    """Ids of the keys that `given` names: an id, or a prefix as `list_keys` shows it."""
    parameters = {"given": given, "characters": PREFIX_CHARACTERS}
    return [one for (one,) in connection.execute(MATCHING_KEYS, parameters)]


def revoke_key(connection: psycopg.Connection, api_key_id: UUID) -> None:
    """Revoke a key; one that is revoked already keeps its time."""
    connection.execute(REVOKE, [api_key_id])
