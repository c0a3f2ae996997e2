"""The sender's side of the outbox: what is due, claimed, delivered, tried again or given up.

A claim is a lease: it is committed before the attempt, and whoever dies with it loses it after
`LEASE`. So a notification is attempted by one process at a time, and none is forgotten. Each
function is one statement that commits by itself on an autocommit connection. Blocking.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg.rows import class_row

from ingest_api.notifying.kinds import ChannelKind

# Longer than any attempt takes: 10 s, and as long for a resolver that does not answer.
LEASE: Final = timedelta(seconds=40)
GIVE_UP_AFTER: Final = timedelta(hours=24)
KEPT: Final = timedelta(days=90)
# A few failed attempts are a hiccup: an outage of a receiver is told after that.
STUCK_AFTER: Final = timedelta(minutes=5)

WAITING: Final = "delivered_at is null and given_up_at is null"
# Of one alert the earlier message goes first, so a later one is not due while one waits.
IS_DUE: Final = f"""
n.delivered_at is null and n.given_up_at is null
and n.next_attempt_at <= %(now)s and (n.claimed_until is null or n.claimed_until <= %(now)s)
and c.is_enabled and (c.paused_until is null or c.paused_until <= %(now)s)
and not exists (
    select from app.notifications as earlier
    where earlier.channel_id = n.channel_id and earlier.dedup_key = n.dedup_key
        and earlier.notification_id < n.notification_id
        and {WAITING}
)
"""
# A channel whose last attempt lies longest back comes first, so that no dead one starves another.
DUE_CHANNELS: Final = f"""
select n.channel_id from app.notifications as n join app.notification_channels as c
    using (channel_id)
where {IS_DUE}
group by n.channel_id order by min(n.attempt_count), min(n.next_attempt_at)
"""  # noqa: S608 - constants
CLAIM: Final = f"""
with due as (
    select notification_id from app.notifications as n join app.notification_channels as c
        using (channel_id)
    where n.channel_id = %(channel_id)s and {IS_DUE}
    order by n.notification_id limit 1
    for update of n skip locked
),
claimed as (
    update app.notifications as n set
        attempt_count = attempt_count + 1,
        may_have_arrived = may_have_arrived or claimed_until is not null,
        claimed_until = %(claimed_until)s
    from due where n.notification_id = due.notification_id
    returning n.*
)
select claimed.notification_id, claimed.channel_id, claimed.idempotency_key, claimed.payload,
    claimed.created_at, claimed.attempt_count, claimed.may_have_arrived,
    c.kind, c.settings, c.secret, c.secret_env
from claimed join app.notification_channels as c using (channel_id)
"""  # noqa: S608 - constants
MARK_DELIVERED: Final = f"""
update app.notifications set delivered_at = %(now)s, claimed_until = null, last_error = null
where notification_id = %(notification_id)s and {WAITING}
"""  # noqa: S608 - constants
# The count of attempts fences off a sender that comes back after its claim has passed to another.
MARK_FAILED: Final = f"""
with failed as (
    update app.notifications set
        claimed_until = null,
        last_error = %(error)s,
        may_have_arrived = may_have_arrived or %(may_have_arrived)s,
        next_attempt_at = %(next_attempt_at)s,
        given_up_at = case when %(gives_up)s then %(now)s end
    where notification_id = %(notification_id)s and attempt_count = %(attempt_count)s and {WAITING}
    returning channel_id
)
update app.notification_channels as c set paused_until = %(paused_until)s
from failed where c.channel_id = failed.channel_id and %(paused_until)s::timestamptz is not null
"""  # noqa: S608 - constants
GIVE_UP_OLD: Final = f"""
update app.notifications set given_up_at = %(now)s, claimed_until = null,
    last_error = coalesce(last_error, 'no attempt was made in time')
where {WAITING} and created_at < %(oldest)s
    and (claimed_until is null or claimed_until <= %(now)s)
"""  # noqa: S608 - constants
PRUNE: Final = """
delete from app.notifications
where created_at < %s and (delivered_at is not null or given_up_at is not null)
"""
STUCK: Final = f"""
select c.name, count(*) as stuck_count,
    (array_agg(coalesce(last_error, 'no attempt was made yet')
        order by attempt_count desc, notification_id))[1] as last_error,
    (array_agg(notification_id::text order by notification_id))[1:20] as sample_ids
from app.notifications as n join app.notification_channels as c using (channel_id)
where c.is_enabled and (
    ({WAITING} and n.created_at <= %(stuck_since)s) or n.given_up_at > %(given_up_since)s
)
group by c.channel_id, c.name order by c.name, c.channel_id
"""  # noqa: S608 - constants
COUNT_RECENT: Final = "select count(*) from app.notifications where created_at > %s"


@dataclass(frozen=True)
class Claim:
    """One notification that is ours to attempt, and the channel that it goes to.

    Attributes:
        attempt_count: Attempts that have begun, this one among them.
        may_have_arrived: Whether an earlier attempt ended without an answer.
    """

    notification_id: int
    channel_id: UUID
    idempotency_key: str
    payload: dict[str, Any]
    created_at: datetime
    attempt_count: int
    may_have_arrived: bool
    kind: ChannelKind
    settings: dict[str, Any]
    secret: bytes | None = field(repr=False)
    secret_env: dict[str, str]


@dataclass(frozen=True)
class Failure:
    """What an attempt came to, and what follows.

    Attributes:
        error: For people; no address and no secret.
        may_have_arrived: Whether the receiver may have taken it all the same.
        paused_until: Until when the whole channel rests; None: it does not.
    """

    error: str
    next_attempt_at: datetime
    may_have_arrived: bool = False
    gives_up: bool = False
    paused_until: datetime | None = None


@dataclass(frozen=True)
class StuckChannel:
    """A channel whose notifications are not delivered."""

    name: str
    stuck_count: int
    last_error: str
    sample_ids: list[str]


def due_channels(connection: psycopg.Connection, now: datetime) -> list[UUID]:
    """Channels for which something is due."""
    return [channel_id for (channel_id,) in connection.execute(DUE_CHANNELS, {"now": now})]


def claim_next(connection: psycopg.Connection, channel_id: UUID, now: datetime) -> Claim | None:
    """The next notification of a channel, ours for `LEASE`; None where nothing is due."""
    values = {"channel_id": channel_id, "now": now, "claimed_until": now + LEASE}
    with connection.cursor(row_factory=class_row(Claim)) as cursor:
        return cursor.execute(CLAIM, values).fetchone()


def mark_delivered(connection: psycopg.Connection, claim: Claim, now: datetime) -> None:
    """The receiver has taken it."""
    values = {"notification_id": claim.notification_id, "now": now}
    connection.execute(MARK_DELIVERED, values)


def mark_failed(
    connection: psycopg.Connection, claim: Claim, failure: Failure, now: datetime
) -> None:
    """The attempt failed."""
    values = {
        **vars(failure),
        "notification_id": claim.notification_id,
        "attempt_count": claim.attempt_count,
        "now": now,
    }
    connection.execute(MARK_FAILED, values)


def give_up_old(connection: psycopg.Connection, now: datetime) -> int:
    """Give up what has waited for `GIVE_UP_AFTER`; how many that were."""
    return connection.execute(GIVE_UP_OLD, {"now": now, "oldest": now - GIVE_UP_AFTER}).rowcount


def prune(connection: psycopg.Connection, now: datetime) -> None:
    """Forget what was settled, `KEPT` after it was written."""
    connection.execute(PRUNE, [now - KEPT])


def find_stuck(connection: psycopg.Connection, now: datetime) -> list[StuckChannel]:
    """Channels for which something waits too long, or was given up in the last day."""
    values = {"stuck_since": now - STUCK_AFTER, "given_up_since": now - GIVE_UP_AFTER}
    with connection.cursor(row_factory=class_row(StuckChannel)) as cursor:
        return cursor.execute(STUCK, values).fetchall()


def count_recent(connection: psycopg.Connection, now: datetime) -> int:
    """Notifications that were written in the last day."""
    row = connection.execute(COUNT_RECENT, [now - GIVE_UP_AFTER]).fetchone()
    return row[0] if row else 0
