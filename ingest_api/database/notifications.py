"""The outbox: notifications are written in the transaction that causes them, and sent later.

What is written is delivered or visibly given up, whatever happens to the process that wrote it;
what is rolled back is never sent. Blocking.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import psycopg
from psycopg.rows import class_row

Kind = Literal[
    "alert_firing",
    "alert_resolved",
    "alert_reminder",
    "check_failed",
    "check_resolved",
    "run_failed",
    "test",
]
Severity = Literal["info", "warning", "error", "critical"]
State = Literal["waiting", "delivered", "given_up"]

# A channel that is disabled or gone takes nothing, so that nothing piles up for it.
ENQUEUE: Final = """
insert into app.notifications (channel_id, idempotency_key, dedup_key, payload)
select channel_id, %(idempotency_key)s, %(dedup_key)s, %(payload)s::jsonb
from app.notification_channels
where channel_id = any(%(channel_ids)s) and is_enabled
order by channel_id
on conflict (channel_id, idempotency_key) do nothing
"""
RECENT: Final = """
select n.notification_id, n.channel_id, c.name as channel, n.payload ->> 'kind' as kind,
    n.payload ->> 'severity' as severity, n.payload ->> 'title' as title, n.idempotency_key,
    case when n.delivered_at is not null then 'delivered'
        when n.given_up_at is not null then 'given_up'
        else 'waiting' end as state,
    n.attempt_count, n.created_at, n.next_attempt_at, n.delivered_at, n.given_up_at, n.last_error
from app.notifications as n join app.notification_channels as c using (channel_id)
where (%(project_id)s::uuid is null or c.project_id = %(project_id)s)
    and (%(channel_id)s::uuid is null or n.channel_id = %(channel_id)s)
    and (%(before_id)s::bigint is null or n.notification_id < %(before_id)s)
order by n.notification_id desc limit %(limit)s
"""
OPERATOR_CHANNELS: Final = """
select channel_id from app.notification_channels
where tells_operators and is_enabled order by created_at, channel_id
"""


@dataclass(frozen=True)
class Notification:
    """What people are told, whatever it is sent through.

    Attributes:
        idempotency_key: Names this message; the same in every attempt to deliver it.
        title: One line.
        text: A few lines of plain text.
        figures: Names and formatted values, most telling first.
        occurred_at: UTC.
        dedup_key: Names the alert: the same in its firing, its reminders and its resolving, which
            reach a channel in the order of their writing.
        url: Where to look.
        chart_url: A page that draws the figures.
        runbook_url: What to do about it.
        data: Machine-readable details, for webhooks; whatever JSON can hold.
    """

    kind: Kind
    idempotency_key: str
    severity: Severity
    title: str
    text: str
    figures: tuple[tuple[str, str], ...]
    occurred_at: datetime
    dedup_key: str
    url: str | None = None
    chart_url: str | None = None
    runbook_url: str | None = None
    data: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """What has become of a notification in one channel."""

    notification_id: int
    channel_id: UUID
    channel: str
    kind: Kind
    severity: Severity
    title: str
    idempotency_key: str
    state: State
    attempt_count: int
    created_at: datetime
    next_attempt_at: datetime
    delivered_at: datetime | None
    given_up_at: datetime | None
    last_error: str | None


def enqueue(
    connection: psycopg.Connection, channel_ids: Sequence[UUID], notification: Notification
) -> int:
    """Write `notification` for each channel that is enabled; it is sent once this commits.

    A channel that has this idempotency key already keeps what it has.

    Returns:
        How many rows are new.
    """
    values = {
        "channel_ids": list(channel_ids),
        "idempotency_key": notification.idempotency_key,
        "dedup_key": notification.dedup_key,
        "payload": msgspec.json.encode(notification).decode(),
    }
    return connection.execute(ENQUEUE, values).rowcount


def read_payload(payload: Mapping[str, Any]) -> Notification:
    """Pure: the notification that `enqueue` has written."""
    return msgspec.convert(payload, Notification)


def operator_channel_ids(connection: psycopg.Connection) -> list[UUID]:
    """Channels that hear of failed checks and failed runs."""
    return [channel_id for (channel_id,) in connection.execute(OPERATOR_CHANNELS)]


def list_deliveries(
    connection: psycopg.Connection,
    project_id: UUID | None = None,
    channel_id: UUID | None = None,
    *,
    before_id: int | None = None,
    limit: int = 50,
) -> list[Delivery]:
    """Notifications of one project's channels, or of all, newest first.

    Args:
        connection: To the ledger's database.
        project_id: Only of this project's channels; None: of all channels.
        channel_id: Only of this channel.
        before_id: Only older ones than this.
        limit: At most so many.
    """
    values = {
        "project_id": project_id,
        "channel_id": channel_id,
        "before_id": before_id,
        "limit": limit,
    }
    with connection.cursor(row_factory=class_row(Delivery)) as cursor:
        return cursor.execute(RECENT, values).fetchall()


def trial_notification(name: str, now: datetime, key: str) -> Notification:
    """Pure: what the test button sends.

    Args:
        name: Of the channel.
        now: UTC.
        key: What tells this press from any other.
    """
    return Notification(
        kind="test",
        idempotency_key=f"test/{key}",
        severity="info",
        title=f"LLMScope reaches {name}",
        text="Somebody pressed the test button. There is nothing to do.",
        figures=(("example", "42.00 USD"),),
        occurred_at=now,
        dedup_key=f"test/{key}",
    )
