"""The ledger: tenants, projects, keys, raw events, contents and dead letters."""

from alembic import op

revision = "0001"
down_revision = None

APP = """
create table app.tenants (
    tenant_id uuid primary key default gen_random_uuid(),
    name text not null unique,
    created_at timestamptz not null default now()
);
create table app.projects (
    project_id uuid primary key default gen_random_uuid(),
    tenant_id uuid not null references app.tenants,
    name text not null,
    is_demo boolean not null default false,
    created_at timestamptz not null default now(),
    unique (tenant_id, name)
);
create table app.api_keys (
    api_key_id uuid primary key default gen_random_uuid(),
    project_id uuid not null references app.projects on delete cascade,
    name text not null,
    key_prefix text not null,
    key_hash bytea not null unique,
    scopes text[] not null,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz not null default now()
);
comment on column app.api_keys.key_hash is 'SHA-256 of the key; the key itself is stored nowhere';
create table app.check_results (
    check_result_id bigint generated always as identity primary key,
    checked_at timestamptz not null default now(),
    asset_key text not null,
    check_name text not null,
    severity text not null,
    is_passed boolean not null,
    failed_count bigint,
    description text not null default ''
);
create index on app.check_results (checked_at);
"""

RAW = """
create schema raw;
create table raw.llm_events (
    event_id uuid not null,
    tenant_id uuid not null,
    project_id uuid not null,
    api_key_id uuid,
    provider_name text not null,
    request_model text,
    response_model text,
    operation_name text not null,
    started_at timestamptz not null,
    ended_at timestamptz,
    duration_seconds double precision,
    time_to_first_chunk_seconds double precision,
    is_stream boolean,
    input_tokens bigint,
    output_tokens bigint,
    cache_read_input_tokens bigint,
    cache_write_input_tokens bigint,
    cache_write_1h_input_tokens bigint,
    reasoning_output_tokens bigint,
    input_audio_tokens bigint,
    output_audio_tokens bigint,
    input_image_tokens bigint,
    usage_details jsonb,
    usage_source text not null,
    usage_semantics text not null,
    service_tier text,
    response_id text,
    response_finish_reasons text[],
    error_type text,
    error_message text,
    http_status_code smallint,
    user_id text,
    conversation_id text,
    trace_id text,
    span_id text,
    parent_span_id text,
    environment text,
    service_name text,
    tags jsonb not null default '{}',
    reported_cost_usd numeric,
    sdk_name text,
    sdk_version text,
    received_at timestamptz not null,
    loaded_at timestamptz not null,
    check (request_model is not null or response_model is not null),
    unique (project_id, event_id, started_at)
);
select create_hypertable('raw.llm_events', by_range('started_at', interval '1 day'),
                         create_default_indexes => false);
create index llm_events_loaded_at on raw.llm_events using brin (loaded_at)
    with (pages_per_range = 16, autosummarize = on);
create index llm_events_started_at on raw.llm_events (project_id, started_at desc);

create table raw.llm_event_contents (
    event_id uuid not null,
    project_id uuid not null,
    started_at timestamptz not null,
    input_messages jsonb,
    output_messages jsonb,
    loaded_at timestamptz not null,
    unique (project_id, event_id, started_at)
);
select create_hypertable('raw.llm_event_contents', by_range('started_at', interval '1 day'),
                         create_default_indexes => false);

create table raw.dead_letters (
    dead_letter_id bigint generated always as identity primary key,
    stream text not null,
    entry_id text not null,
    event_index int,
    tenant_id uuid,
    project_id uuid,
    api_key_id uuid,
    received_at timestamptz,
    payload bytea not null,
    rejected_reason text not null,
    rejected_at timestamptz not null default now(),
    replayed_at timestamptz,
    discarded_at timestamptz
);
-- A crash between commit and acknowledgement re-reads the entry: its letter must not double.
create unique index dead_letters_entry on raw.dead_letters
    (stream, entry_id, coalesce(event_index, -1));
create index dead_letters_rejected_at on raw.dead_letters (rejected_at);
"""


def upgrade() -> None:
    """Create the schemas `app` and `raw`."""
    op.execute(APP)
    op.execute(RAW)


def downgrade() -> None:
    """Refuse: going back would drop the ledger."""
    raise NotImplementedError("the ledger has no way back: restore a backup instead")
