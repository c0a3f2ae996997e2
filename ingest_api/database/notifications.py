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

# A channel that is disabled or gone takes nothing, so that nothing piles up for it.
ENQUEUE: Final = """
insert into app.notifications (channel_id, idempotency_key, dedup_key, payload)
select channel_id, %(idempotency_key)s, %(dedup_key)s, %(payload)s::jsonb
from app.notification_channels
where channel_id = any(%(channel_ids)s) and is_enabled
order by channel_id
on conflict (channel_id, idempotency_key) do nothing
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
