"""Alert rules, what their last evaluation found, and the alerts that they have raised."""

from alembic import op

revision = "0011"
down_revision = "0010"

STATEMENTS = """
create table app.alert_rules (
    rule_id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references app.tenants,
    project_id uuid references app.projects on delete cascade,
    name text not null,
    metric text not null,
    threshold numeric not null,
    direction text not null check (direction in ('above', 'below')),
    provider_name text,
    model text,
    user_id text,
    environment text,
    service_name text,
    tag_key text,
    tag_value text,
    budget text,
    group_by text,
    window_seconds integer not null check (window_seconds between 60 and 2678400),
    compare_to text check (compare_to in ('day_before', 'week_before')),
    minimum_call_count bigint not null default 0,
    for_seconds integer not null default 0,
    severity text not null check (severity in ('info', 'warning', 'error', 'critical')),
    cool_down_seconds integer not null default 0,
    remind_every_seconds integer,
    silences jsonb not null default '[]',
    mutes jsonb not null default '[]',
    message text not null,
    runbook_url text,
    is_enabled boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    unique nulls not distinct (tenant_id, project_id, name),
    check ((tag_key is null) = (tag_value is null))
);
create index alert_rules_project on app.alert_rules (project_id);

comment on table app.alert_rules is
    'One row per rule: what is watched, when that is an alert, and who is told.';
comment on column app.alert_rules.project_id is 'Null: all projects of the tenant together';
comment on column app.alert_rules.name is 'What people call it; unique in its project';
comment on column app.alert_rules.metric is 'What is compared with the threshold';
comment on column app.alert_rules.threshold is
    'USD, a count, seconds, or a ratio, by the metric; a ratio of windows with compare_to';
comment on column app.alert_rules.direction is 'On which side of the threshold the alert is';
comment on column app.alert_rules.provider_name is 'Only calls of this provider; null: all';
comment on column app.alert_rules.model is 'Only calls that this model answered; null: all';
comment on column app.alert_rules.user_id is 'Only calls of this user; null: all';
comment on column app.alert_rules.environment is 'Only calls of this environment; null: all';
comment on column app.alert_rules.service_name is 'Only calls of this service; null: all';
comment on column app.alert_rules.tag_key is
    'Only calls that carry this tag, which the project must have declared for its roll-ups';
comment on column app.alert_rules.tag_value is 'The value of that tag';
comment on column app.alert_rules.budget is 'Only the budget of this name; null: all';
comment on column app.alert_rules.group_by is
    'A column, or tag:<key>: one alert for each value; null: one alert';
comment on column app.alert_rules.window_seconds is 'Whole minutes that are added up';
comment on column app.alert_rules.compare_to is
    'The value is the figure divided by that of the same window a day or a week before';
comment on column app.alert_rules.minimum_call_count is
    'With fewer calls in the window nothing is judged';
comment on column app.alert_rules.for_seconds is
    'How long the condition must hold to fire, and must not hold to resolve';
comment on column app.alert_rules.cool_down_seconds is
    'After it has resolved, an alert does not fire again for so long';
comment on column app.alert_rules.remind_every_seconds is
    'While it fires and nobody has acknowledged it; null: never';
comment on column app.alert_rules.silences is
    'Weekly hours without messages: days, from_time, to_time, time_zone';
comment on column app.alert_rules.mutes is 'Single times without messages: starts_at, ends_at';
comment on column app.alert_rules.message is 'What is said, with named placeholders';
comment on column app.alert_rules.runbook_url is 'What to do about it';
comment on column app.alert_rules.is_enabled is 'False: it is not evaluated';

create table app.alert_rule_channels (
    rule_id uuid not null references app.alert_rules on delete cascade,
    channel_id uuid not null references app.notification_channels on delete cascade,
    primary key (rule_id, channel_id)
);
create index alert_rule_channels_channel on app.alert_rule_channels (channel_id);
comment on table app.alert_rule_channels is 'One row per rule and channel that it tells.';

create table app.alert_rule_results (
    rule_id uuid primary key references app.alert_rules on delete cascade,
    evaluated_at timestamptz not null,
    judged_until timestamptz not null,
    verdict text not null check (verdict in ('met', 'not_met', 'no_data')),
    reason text,
    value numeric,
    group_count integer not null,
    met_groups text[] not null
);
comment on table app.alert_rule_results is
    'One row per rule that was ever evaluated: what its newest window said.';
comment on column app.alert_rule_results.evaluated_at is 'When it was evaluated, by the clock';
comment on column app.alert_rule_results.judged_until is 'End of the newest window';
comment on column app.alert_rule_results.verdict is 'met where it is for any group';
comment on column app.alert_rule_results.reason is 'Why there is no data; null where there is';
comment on column app.alert_rule_results.value is 'Of the group nearest to the alert';
comment on column app.alert_rule_results.group_count is 'Groups that were judged';
comment on column app.alert_rule_results.met_groups is
    'Groups that met the condition; empty text without group_by';

create table app.alert_events (
    alert_event_id uuid primary key default gen_random_uuid(),
    rule_id uuid references app.alert_rules on delete set null,
    tenant_id uuid not null references app.tenants,
    project_id uuid references app.projects on delete cascade,
    rule_name text not null,
    severity text not null,
    group_value text not null default '',
    state text not null check (state in ('pending', 'firing', 'resolved', 'missed')),
    pending_since timestamptz not null,
    fired_at timestamptz,
    clear_since timestamptz,
    resolved_at timestamptz,
    resolved_reason text,
    window_start timestamptz not null,
    window_end timestamptz not null,
    value numeric,
    figure numeric,
    baseline numeric,
    threshold numeric not null,
    call_count bigint not null default 0,
    fired_value numeric,
    query text,
    definition jsonb not null,
    evaluated_at timestamptz not null,
    channel_ids uuid[] not null default '{}',
    told_at timestamptz,
    reminder_count integer not null default 0,
    acknowledged_by text,
    acknowledged_at timestamptz,
    notes jsonb not null default '[]'
);
-- The one alert of a rule and group that is not over: what makes a second one impossible.
create unique index alert_events_open on app.alert_events (rule_id, group_value)
    where state in ('pending', 'firing');
create index alert_events_newest on app.alert_events (rule_id, group_value, resolved_at desc)
    where state = 'resolved';
create index alert_events_project on app.alert_events (project_id, pending_since desc);
create index alert_events_tenant on app.alert_events (tenant_id, pending_since desc);

comment on table app.alert_events is
    'One row per alert: from the first window that met its condition to the end.';
comment on column app.alert_events.rule_id is 'Null: the rule is gone; definition still has it';
comment on column app.alert_events.group_value is
    'Value of what the rule is grouped by; empty without';
comment on column app.alert_events.state is
    'missed: late data has met the condition of a window that was over; nobody was told';
comment on column app.alert_events.pending_since is
    'End of the first window that met the condition';
comment on column app.alert_events.fired_at is 'End of the window that made it fire';
comment on column app.alert_events.clear_since is
    'End of the first of the newest windows that no longer meet it; null: the newest does';
comment on column app.alert_events.resolved_at is 'End of the window that resolved it';
comment on column app.alert_events.resolved_reason is 'Why it is over';
comment on column app.alert_events.window_start is 'Start of the newest judged window';
comment on column app.alert_events.window_end is 'End of the newest judged window';
comment on column app.alert_events.value is 'What was compared, of that window; null: no data';
comment on column app.alert_events.figure is 'Its own figure; differs from value for a change';
comment on column app.alert_events.baseline is 'The figure that a change is against';
comment on column app.alert_events.threshold is 'As it stood then';
comment on column app.alert_events.call_count is 'Calls of that window';
comment on column app.alert_events.fired_value is 'Value of the window that made it fire';
comment on column app.alert_events.query is 'The SQL behind that value, ready to be run';
comment on column app.alert_events.definition is 'The rule as it was when this began';
comment on column app.alert_events.channel_ids is
    'Who was told that it fires, and is told of its end';
comment on column app.alert_events.told_at is 'When its channels were last told; null: never';
comment on column app.alert_events.acknowledged_by is 'Who has seen it; it reminds nobody then';
comment on column app.alert_events.notes is
    'What is to be known besides: late data, a changed rule; each with at and text';
"""


def upgrade() -> None:
    """Create the rules, their results and their alerts."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Drop them."""
    for table in ("alert_events", "alert_rule_results", "alert_rule_channels", "alert_rules"):
        op.execute(f"drop table app.{table}")
