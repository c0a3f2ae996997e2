"""An outbox on a real database: channels with secrets, notifications, and a sender with a clock."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import psycopg

from ingest_api.database.channels import NewChannel, StoredSetup, put_channel
from ingest_api.database.keys import ensure_tenant
from ingest_api.database.notifications import Notification, enqueue
from ingest_api.notifying.kinds import ChannelKind
from ingest_api.notifying.networks import TargetPolicy, read_networks
from ingest_api.notifying.secrets import SecretBox, new_key
from orchestration.alerting.sending import Delivery, Sender, send_due

LOOPBACK = TargetPolicy(read_networks(["127.0.0.0/8"]))
ROWS = """
select idempotency_key, attempt_count, delivered_at is not null as is_delivered,
    given_up_at is not null as is_given_up, last_error, may_have_arrived
from app.notifications order by notification_id
"""


def firing(number: int = 1, *, alert: str = "spend") -> Notification:
    """A notification of an alert that fires."""
    return Notification(
        kind="alert_firing",
        idempotency_key=f"{alert}/{number}/firing",
        severity="critical",
        title="Spend is above 100 USD",
        text="Project main has spent 120.50 USD today.",
        figures=(("spent", "120.50 USD"), ("limit", "100 USD")),
        occurred_at=datetime(2026, 11, 23, 10, tzinfo=UTC),
        dedup_key=f"{alert}/{number}",
        url="http://127.0.0.1:8400/reports/alerts",
        chart_url="http://127.0.0.1:8400/reports/costs",
        runbook_url="https://wiki.example.com/spend",
        data={"value_usd": "120.50"},
    )


@dataclass
class Clock:
    """A clock that stands until it is moved."""

    now: datetime = field(default_factory=lambda: datetime.now(UTC) + timedelta(seconds=1))

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **units: float) -> None:
        self.now += timedelta(**units)


@dataclass
class OutboxCase:
    """Attributes:
    connection: Autocommit.
    """

    database_url: str
    connection: psycopg.Connection
    clock: Clock = field(default_factory=Clock)
    key: str = field(default_factory=new_key)
    policy: TargetPolicy = LOOPBACK
    environment: Mapping[str, str] = field(default_factory=dict)
    tls: ssl.SSLContext = field(default_factory=httpx.create_ssl_context)
    attempt_seconds: float = 2.0

    @property
    def box(self) -> SecretBox:
        return SecretBox([self.key])

    @property
    def sender(self) -> Sender:
        return Sender(
            lambda: self.box,
            self.environment,
            self.policy,
            self.tls,
            self.clock,
            attempt_seconds=self.attempt_seconds,
        )

    def ensure_tenant(self) -> UUID:
        """The single tenant, made where it is missing."""
        return ensure_tenant(self.connection)

    def add_channel(
        self,
        kind: ChannelKind,
        name: str = "ops",
        *,
        settings: Mapping[str, Any] | None = None,
        secret_env: Mapping[str, str] | None = None,
        tells_operators: bool = False,
        **secrets: str,
    ) -> UUID:
        """A channel of all projects."""
        setup = StoredSetup(settings or {}, self.box.encrypt(secrets), secret_env or {})
        new = NewChannel(self.ensure_tenant(), None, name, kind, setup, tells_operators)
        return put_channel(self.connection, new).channel_id

    def write(self, notification: Notification, *channel_ids: UUID) -> None:
        """Put a notification into the outbox."""
        enqueue(self.connection, channel_ids, notification)

    def send(self, seconds: float = 20.0) -> Delivery:
        """What a tick of the sensor does."""
        return send_due(self.connection, self.sender, seconds)

    def rows(self) -> list[dict[str, Any]]:
        """The outbox."""
        with self.connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            return cursor.execute(ROWS).fetchall()

    def row(self) -> dict[str, Any]:
        """The only row of the outbox."""
        (row,) = self.rows()
        return row
