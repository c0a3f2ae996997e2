"""Notification channels, and the outbox that every notification goes through."""

from alembic import op

revision = "0010"
down_revision = "0009"

STATEMENTS = """
create table app.notification_channels (
    channel_id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references app.tenants,
    project_id uuid references app.projects on delete cascade,
    name text not null,
    kind text not null check (kind in ('slack', 'email', 'webhook', 'pagerduty', 'teams')),
    settings jsonb not null default '{}',
    secret bytea,
    secret_env jsonb not null default '{}',
    is_enabled boolean not null default true,
    tells_operators boolean not null default false,
    paused_until timestamptz,
    created_at timestamptz not null default now(),
    unique nulls not distinct (tenant_id, project_id, name)
);
create index notification_channels_project on app.notification_channels (project_id);

comment on table app.notification_channels is
    'One row per place that notifications go to: a Slack channel, a mailbox, a webhook.';
comment on column app.notification_channels.project_id is
    'Null: of the operators, for all projects of the tenant';
comment on column app.notification_channels.name is 'What people call it; unique in its project';
comment on column app.notification_channels.settings is 'What may be shown: hosts, addresses';
comment on column app.notification_channels.secret is
    'What is never shown, as JSON encrypted with LLMSCOPE_SECRET_KEY; null: nothing';
comment on column app.notification_channels.secret_env is
    'By field, the environment variable that holds a secret which is not stored';
comment on column app.notification_channels.is_enabled is
    'False: nothing is written for it, and what waits stays';
comment on column app.notification_channels.tells_operators is
    'True: hears of failed checks and failed runs of the whole platform';
comment on column app.notification_channels.paused_until is
    'Until when its receiver asked not to be called; null or past: it may be';
comment on column app.notification_channels.created_at is 'When it was made';

create table app.notifications (
    notification_id bigint generated always as identity primary key,
    channel_id uuid not null references app.notification_channels on delete cascade,
    idempotency_key text not null,
    dedup_key text not null,
    payload jsonb not null,
    created_at timestamptz not null default now(),
    next_attempt_at timestamptz not null default now(),
    attempt_count integer not null default 0,
    claimed_until timestamptz,
    may_have_arrived boolean not null default false,
    delivered_at timestamptz,
    given_up_at timestamptz,
    last_error text,
    unique (channel_id, idempotency_key),
    check (delivered_at is null or given_up_at is null)
);
create index notifications_waiting on app.notifications (channel_id, dedup_key, notification_id)
    where delivered_at is null and given_up_at is null;
create index notifications_given_up on app.notifications (given_up_at)
    where given_up_at is not null;
create index notifications_created on app.notifications (created_at);

comment on table app.notifications is
    'The outbox: one row per notification and channel, written in the transaction that causes it.';
comment on column app.notifications.notification_id is 'Its place in the order of writing';
comment on column app.notifications.idempotency_key is
    'The same in every attempt; receivers drop what they have seen';
comment on column app.notifications.dedup_key is
    'What it is about: of one alert the firing goes before the resolving';
comment on column app.notifications.payload is 'The notification, without its receiver';
comment on column app.notifications.created_at is 'When it was written';
comment on column app.notifications.next_attempt_at is 'Before that it is not attempted';
comment on column app.notifications.attempt_count is 'Attempts that have begun';
comment on column app.notifications.claimed_until is
    'While an attempt is under way, when it is taken for dead; null: none is';
comment on column app.notifications.may_have_arrived is
    'Whether an attempt ended without an answer, so that the next one may repeat it';
comment on column app.notifications.delivered_at is 'When the receiver took it';
comment on column app.notifications.given_up_at is 'When it was given up';
comment on column app.notifications.last_error is
    'What the last attempt failed with; never an address or a secret';
"""


def upgrade() -> None:
    """Create the channels and the outbox."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop the outbox and the channels."""
    op.execute("drop table app.notifications")
    op.execute("drop table app.notification_channels")
