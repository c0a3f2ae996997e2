"""Roles that analysts log in with: made, listed and dropped. Blocking.

Migration 0009 has what they may see. A role belongs to the whole server, its tenant to one
database.
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Final, LiteralString

import psycopg
from psycopg import sql
from psycopg.rows import class_row

GROUP: Final = "llmscope_bi"
# Guards against a dashboard that forgot a filter. An analyst can lift them, and sees no more then.
STATEMENT_TIMEOUT: Final = "60s"
IDLE_TIMEOUT: Final = "10min"
MAX_CONNECTIONS: Final = 20

CREATE_ROLE: Final[LiteralString] = (
    "create role {name} login password {password} connection limit {connections} in role {group}"
)
CREATE_GROUP: Final[LiteralString] = "create role {group} nologin"
DROP_ROLE: Final[LiteralString] = "drop role if exists {name}"
CONFIGURE: Final[LiteralString] = "alter role {name} set {setting} = {value}"
SETTINGS: Final = {
    "default_transaction_read_only": "on",
    "statement_timeout": STATEMENT_TIMEOUT,
    "idle_in_transaction_session_timeout": IDLE_TIMEOUT,
}
ADD_USER: Final = """
insert into app.bi_users (role_name, tenant_id)
select %(name)s, tenant_id from app.tenants where name = %(tenant)s
on conflict (role_name) do nothing
"""
FORGET_USER: Final = "delete from app.bi_users where role_name = %s"
END_SESSIONS: Final = "select pg_terminate_backend(pid) from pg_stat_activity where usename = %s"
LIST_USERS: Final = """
select role_name::text as name, t.name as tenant, b.created_at, exists (
        select from pg_auth_members as m
        join pg_roles as login on login.oid = m.member
        join pg_roles as grantee on grantee.oid = m.roleid
        where login.rolname = role_name and grantee.rolname = %(group)s
    ) as is_member
from app.bi_users as b
join app.tenants as t using (tenant_id)
order by 1
"""
ROLE_EXISTS: Final = "select exists (select from pg_roles where rolname = %s)"
SHARE_ALL: Final = "select app.share_all_with_bi()"


class AnalystError(Exception):
    """An analyst's role cannot be made; the message is one sentence with the fix."""


@dataclass(frozen=True)
class Analyst:
    """A role that reads the marts of a tenant.

    Attributes:
        is_member: Whether it belongs to `llmscope_bi`; without that it sees nothing.
    """

    name: str
    tenant: str
    is_member: bool
    created_at: datetime


def create_analyst(connection: psycopg.Connection, name: str, tenant: str) -> str:
    """Make a role and return its password: the only moment at which it can be read.

    Raises:
        AnalystError: the role exists, the tenant does not, or this user may not create roles.
    """
    if _exists(connection, name):
        raise AnalystError(
            f"There is a role {name}: take another name, or let it in with --existing."
        )
    password = secrets.token_urlsafe(24)
    try:
        with connection.transaction():
            _create_role(connection, name, password)
            _add(connection, name, tenant)
    except psycopg.errors.InsufficientPrivilege:
        raise AnalystError(_for_an_administrator(name)) from None
    return password


def admit_role(connection: psycopg.Connection, name: str, tenant: str) -> None:
    """Let a role that an administrator made see the rows of a tenant.

    Raises:
        AnalystError: there is no such role or tenant, or the role is no member of the group.
    """
    if not _exists(connection, name) or not _exists(connection, GROUP):
        raise AnalystError(_for_an_administrator(name))
    with connection.transaction():
        _add(connection, name, tenant)
        [analyst] = [one for one in list_analysts(connection) if one.name == name]
        if not analyst.is_member:
            raise AnalystError(_for_an_administrator(name))


def list_analysts(connection: psycopg.Connection) -> list[Analyst]:
    """All analysts of this database, by name."""
    with connection.cursor(row_factory=class_row(Analyst)) as cursor:
        return cursor.execute(LIST_USERS, {"group": GROUP}).fetchall()


def drop_analyst(connection: psycopg.Connection, name: str) -> None:
    """Take an analyst's rows away at once, end its sessions and drop its role.

    Raises:
        AnalystError: there is no such analyst, or this user may not drop roles.
    """
    if connection.execute(FORGET_USER, [name]).rowcount == 0:
        raise AnalystError(f"There is no analyst {name}: `llmscope bi list-users` shows them.")
    try:
        with connection.transaction():
            connection.execute(END_SESSIONS, [name])
            connection.execute(_statement(DROP_ROLE, name=sql.Identifier(name)))
    except psycopg.Error as error:
        raise AnalystError(
            f"{name} sees no rows any more, but the role could not be dropped: "
            f"{error.diag.message_primary}."
        ) from None


def _create_role(connection: psycopg.Connection, name: str, password: str) -> None:
    group = sql.Identifier(GROUP)
    if not _exists(connection, GROUP):
        connection.execute(_statement(CREATE_GROUP, group=group))
    # Only its hash is sent, which a log of statements may show.
    encrypted = connection.pgconn.encrypt_password(
        password.encode(), name.encode(), b"scram-sha-256"
    )
    role = sql.Identifier(name)
    connection.execute(
        _statement(
            CREATE_ROLE,
            name=role,
            password=sql.Literal(encrypted.decode()),
            connections=sql.Literal(MAX_CONNECTIONS),
            group=group,
        )
    )
    for setting, value in SETTINGS.items():
        connection.execute(
            _statement(
                CONFIGURE, name=role, setting=sql.Identifier(setting), value=sql.Literal(value)
            )
        )


def _add(connection: psycopg.Connection, name: str, tenant: str) -> None:
    if connection.execute(ADD_USER, {"name": name, "tenant": tenant}).rowcount == 0:
        raise AnalystError(f"There is no tenant {tenant}, or {name} is an analyst already.")
    connection.execute(SHARE_ALL)


def _exists(connection: psycopg.Connection, role: str) -> bool:
    row = connection.execute(ROLE_EXISTS, [role]).fetchone()
    return bool(row and row[0])


def _statement(template: LiteralString, **parts: sql.Composable) -> sql.Composed:
    return sql.SQL(template).format(**parts)


def _for_an_administrator(name: str) -> str:
    return (
        "This database user may not create roles: let an administrator run "
        f"`create role {GROUP} nologin; create role {name} login password '...' in role {GROUP};`, "
        "then give the command again with --existing."
    )
