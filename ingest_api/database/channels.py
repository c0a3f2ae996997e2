"""Channels of notifications: the one place that makes, lists and removes them. Blocking.

Secrets come and go here encrypted; who holds the key is the caller's affair.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

from ingest_api.notifying.kinds import ChannelKind
from ingest_api.notifying.secrets import OPERATORS_WEBHOOK, SecretBox

# The operators' first channel, which the environment sets and the platform keeps.
ENVIRONMENT_CHANNEL_ID: Final = UUID(int=1)

COLUMNS: Final = """
c.channel_id, c.tenant_id, c.project_id, coalesce(p.name, '(all projects)') as project, c.name,
c.kind, c.settings, c.secret, c.secret_env, c.is_enabled, c.tells_operators, c.created_at
"""
# A secret must not follow a channel to another host: settings and secrets are replaced together.
PUT: Final = f"""
with c as (
    insert into app.notification_channels
        (tenant_id, project_id, name, kind, settings, secret, secret_env, tells_operators)
    values (%(tenant_id)s, %(project_id)s, %(name)s, %(kind)s, %(settings)s, %(secret)s,
        %(secret_env)s, %(tells_operators)s)
    on conflict (tenant_id, project_id, name) do update set
        kind = excluded.kind, settings = excluded.settings, secret = excluded.secret,
        secret_env = excluded.secret_env, tells_operators = excluded.tells_operators,
        paused_until = null
    returning *
)
select {COLUMNS} from c left join app.projects as p using (project_id)
"""  # noqa: S608 - the columns are a constant
SELECT: Final = f"""
select {COLUMNS} from app.notification_channels as c left join app.projects as p using (project_id)
"""  # noqa: S608 - the columns are a constant
IN_PROJECT: Final = "(%(project_id)s::uuid is null or c.project_id = %(project_id)s)"
LIST: Final = f"{SELECT} where {IN_PROJECT} order by p.name nulls first, c.name, c.channel_id"
FIND: Final = f"{SELECT} where c.channel_id = %(channel_id)s and {IN_PROJECT}"
FIND_BY_NAME: Final = f"{SELECT} where c.name = %(name)s and {IN_PROJECT} order by c.created_at"
ENABLE: Final = f"""
update app.notification_channels as c set is_enabled = %(is_enabled)s, paused_until = null
where c.channel_id = %(channel_id)s and {IN_PROJECT}
"""  # noqa: S608 - the conditions are constants
DELETE: Final = f"""
delete from app.notification_channels as c where c.channel_id = %(channel_id)s and {IN_PROJECT}
"""  # noqa: S608 - the conditions are constants
INSERT_ENVIRONMENT: Final = """
insert into app.notification_channels
    (channel_id, tenant_id, name, kind, secret_env, tells_operators)
select %(channel_id)s, tenant_id, %(name)s, 'webhook', %(secret_env)s, true
from app.tenants order by created_at limit 1
on conflict do nothing
"""
LOCK_SECRETS: Final = """
select channel_id, secret from app.notification_channels where secret is not null for update
"""


class StoredSetup(NamedTuple):
    """What of a channel is stored of settings and secrets.

    Attributes:
        settings: What may be shown.
        secret: What `SecretBox.encrypt` gave.
        secret_env: By field, the variable that holds a secret which is not stored.
    """

    settings: Mapping[str, Any]
    secret: bytes | None = None
    secret_env: Mapping[str, str] = {}


@dataclass(frozen=True)
class NewChannel:
    """A channel to make, or to set up anew.

    Attributes:
        project_id: None: of the operators, for all projects of the tenant.
        tells_operators: Whether it hears of failed checks and failed runs.
    """

    tenant_id: UUID
    project_id: UUID | None
    name: str
    kind: ChannelKind
    setup: StoredSetup
    tells_operators: bool = False


@dataclass(frozen=True)
class Channel:
    """A stored channel; fields as in `NewChannel` and `StoredSetup`."""

    channel_id: UUID
    tenant_id: UUID
    project_id: UUID | None
    project: str
    name: str
    kind: ChannelKind
    settings: dict[str, Any]
    secret: bytes | None = field(repr=False)
    secret_env: dict[str, str]
    is_enabled: bool
    tells_operators: bool
    created_at: datetime


def put_channel(connection: psycopg.Connection, new: NewChannel) -> Channel:
    """Store a channel, or set up anew the one of its name; whether it is enabled stays."""
    values = {
        "tenant_id": new.tenant_id,
        "project_id": new.project_id,
        "name": new.name,
        "kind": new.kind,
        "settings": Jsonb(dict(new.setup.settings)),
        "secret": new.setup.secret,
        "secret_env": Jsonb(dict(new.setup.secret_env)),
        "tells_operators": new.tells_operators,
    }
    with connection.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute(PUT, values).fetchall()[0]


def list_channels(connection: psycopg.Connection, project_id: UUID | None = None) -> list[Channel]:
    """Channels of one project, or all of them, by project and name."""
    with connection.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute(LIST, {"project_id": project_id}).fetchall()


def find_channel(
    connection: psycopg.Connection, channel_id: UUID, project_id: UUID | None = None
) -> Channel | None:
    """One channel; with a project only where it is that one's."""
    values = {"channel_id": channel_id, "project_id": project_id}
    with connection.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute(FIND, values).fetchone()


def find_channels_by_name(
    connection: psycopg.Connection, name: str, project_id: UUID | None = None
) -> list[Channel]:
    """Channels of a name: of one project at most one."""
    with connection.cursor(row_factory=class_row(Channel)) as cursor:
        return cursor.execute(FIND_BY_NAME, {"name": name, "project_id": project_id}).fetchall()


def enable_channel(
    connection: psycopg.Connection,
    channel_id: UUID,
    is_enabled: bool,
    project_id: UUID | None = None,
) -> bool:
    """Let a channel take notifications, or keep it from them; whether there is one."""
    values = {"channel_id": channel_id, "is_enabled": is_enabled, "project_id": project_id}
    return connection.execute(ENABLE, values).rowcount > 0


def remove_channel(
    connection: psycopg.Connection, channel_id: UUID, project_id: UUID | None = None
) -> bool:
    """Delete a channel and what waits for it; whether there was one."""
    values = {"channel_id": channel_id, "project_id": project_id}
    return connection.execute(DELETE, values).rowcount > 0


def keep_environment_channel(connection: psycopg.Connection, *, is_set: bool) -> None:
    """Make or delete the channel behind LLMSCOPE_ALERT_WEBHOOK_URL, as that is set or not."""
    if not is_set:
        remove_channel(connection, ENVIRONMENT_CHANNEL_ID)
        return
    values = {
        "channel_id": ENVIRONMENT_CHANNEL_ID,
        "name": OPERATORS_WEBHOOK,
        "secret_env": Jsonb({"url": OPERATORS_WEBHOOK}),
    }
    connection.execute(INSERT_ENVIRONMENT, values)


def rotate_secrets(connection: psycopg.Connection, box: SecretBox) -> int:
    """Encrypt all secrets anew with the first key; how many there are.

    Raises:
        SecretError: one was encrypted with a key that is lost; nothing is changed then.
    """
    with connection.transaction():
        stored = connection.execute(LOCK_SECRETS).fetchall()
        renewed = [(box.rotate(bytes(secret)), channel_id) for channel_id, secret in stored]
        with connection.cursor() as cursor:
            cursor.executemany(
                "update app.notification_channels set secret = %s where channel_id = %s", renewed
            )
    return len(renewed)
