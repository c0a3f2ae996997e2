"""The outbox on a real database: what is written, and for whom."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import psycopg
import pytest

from ingest_api.database.keys import ensure_tenant
from ingest_api.database.notifications import (
    Notification,
    enqueue,
    operator_channel_ids,
    read_payload,
)

FIRING = Notification(
    kind="alert_firing",
    idempotency_key="spend/1/firing",
    severity="critical",
    title="Spend is above 100 USD",
    text="Project main has spent 120.50 USD today.",
    figures=(("spent", "120.50 USD"), ("limit", "100 USD")),
    occurred_at=datetime(2026, 11, 23, 10, tzinfo=UTC),
    dedup_key="spend/1",
    url="http://127.0.0.1:8400/reports/",
    data={"value_usd": Decimal("120.50"), "since": datetime(2026, 11, 23, tzinfo=UTC)},
)
INSERT_CHANNEL = """
insert into app.notification_channels (tenant_id, name, kind, is_enabled, tells_operators)
values (%s, %s, 'webhook', %s, %s) returning channel_id
"""


@pytest.fixture
def connection(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url) as connection:
        yield connection


def add(
    connection: psycopg.Connection, name: str, *, enabled: bool = True, operators: bool = False
) -> UUID:
    values = [ensure_tenant(connection), name, enabled, operators]
    row = connection.execute(INSERT_CHANNEL, values).fetchone()
    assert row is not None
    return UUID(str(row[0]))


def written(connection: psycopg.Connection) -> list[tuple[UUID, str]]:
    return connection.execute(
        "select channel_id, idempotency_key from app.notifications order by notification_id"
    ).fetchall()


def test_each_channel_gets_one_row_per_idempotency_key(connection: psycopg.Connection) -> None:
    first, second = add(connection, "first"), add(connection, "second")
    resolved = replace(FIRING, kind="alert_resolved", idempotency_key="spend/1/resolved")

    assert enqueue(connection, [first], FIRING) == 1
    assert enqueue(connection, [first, second, first], FIRING) == 1
    assert enqueue(connection, [first], replace(FIRING, title="told otherwise")) == 0
    assert enqueue(connection, [first], resolved) == 1

    assert written(connection) == [
        (first, "spend/1/firing"),
        (second, "spend/1/firing"),
        (first, "spend/1/resolved"),
    ]


def test_a_channel_that_is_disabled_or_gone_takes_nothing(connection: psycopg.Connection) -> None:
    assert enqueue(connection, [add(connection, "off", enabled=False), uuid4()], FIRING) == 0
    assert enqueue(connection, [], FIRING) == 0


def test_what_is_rolled_back_was_never_written(connection: psycopg.Connection) -> None:
    channel = add(connection, "first")
    connection.commit()

    enqueue(connection, [channel], FIRING)
    connection.rollback()

    assert written(connection) == []


def test_what_is_read_is_what_was_written(connection: psycopg.Connection) -> None:
    enqueue(connection, [add(connection, "first")], FIRING)

    ((payload,),) = connection.execute("select payload from app.notifications").fetchall()

    data = {"value_usd": "120.50", "since": "2026-11-23T00:00:00Z"}
    assert read_payload(payload) == replace(FIRING, data=data)


def test_operators_hear_through_enabled_channels_alone(connection: psycopg.Connection) -> None:
    add(connection, "of a project")
    told = add(connection, "operators", operators=True)
    add(connection, "off", enabled=False, operators=True)

    assert operator_channel_ids(connection) == [told]


def test_deleting_a_channel_takes_its_notifications_along(connection: psycopg.Connection) -> None:
    channel = add(connection, "first")
    enqueue(connection, [channel], FIRING)

    connection.execute("delete from app.notification_channels where channel_id = %s", [channel])

    assert written(connection) == []
