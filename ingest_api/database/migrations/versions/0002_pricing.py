"""The price ledger: dated prices, resolved models and the log of catalog refreshes."""

from alembic import op

revision = "0002"
down_revision = "0001"

PRICING = """
create schema pricing;
create table pricing.model_prices (
    price_id uuid primary key default gen_random_uuid(),
    catalog_provider text not null,
    catalog_model text not null,
    token_kind text not null,
    service_tier text not null default 'default',
    tier_start_tokens bigint not null default 0 check (tier_start_tokens >= 0),
    daily_start_time time not null default '00:00',
    daily_end_time time not null default '24:00',
    usd_per_million numeric not null check (usd_per_million >= 0),
    valid_from timestamptz not null,
    valid_to timestamptz check (valid_to > valid_from),
    source text not null,
    catalog_version text not null,
    tenant_id uuid,
    project_id uuid,
    created_at timestamptz not null default now(),
    check (daily_start_time < daily_end_time),
    unique nulls not distinct (
        catalog_provider, catalog_model, created_at, token_kind, service_tier, tier_start_tokens,
        valid_from, daily_start_time, tenant_id, project_id
    )
);
create table pricing.model_matches (
    provider_name text not null,
    request_model text,
    response_model text,
    catalog_provider text,
    catalog_model text,
    unmatched_reason text
        check (unmatched_reason in ('unknown_provider', 'unknown_model', 'no_price')),
    source text not null,
    catalog_version text not null,
    resolved_at timestamptz not null default now(),
    check (catalog_model is not null or unmatched_reason is not null),
    unique nulls not distinct (provider_name, request_model, response_model, resolved_at)
);
create table pricing.catalog_refreshes (
    refresh_id bigint generated always as identity primary key,
    source text not null,
    catalog_version text not null,
    observed_before timestamptz not null,
    match_count int not null,
    price_count int not null,
    refreshed_at timestamptz not null default now()
);

create function pricing.refuse_edit() returns trigger language plpgsql as $$
begin
    raise exception 'rows of %.% are never edited: insert a newer one',
        tg_table_schema, tg_table_name;
end $$;
create trigger model_prices_are_never_edited before update on pricing.model_prices
    for each row execute function pricing.refuse_edit();
create trigger model_matches_are_never_edited before update on pricing.model_matches
    for each row execute function pricing.refuse_edit();

comment on table pricing.model_prices is
    'One row per model, token kind, service tier, tier threshold, daily window and validity '
    'period. The rows of a model that share created_at are one revision; the newest rules.';
comment on column pricing.model_prices.tier_start_tokens is
    'The price holds for all tokens of a call with more input tokens than this; 0 = the base price';
comment on column pricing.model_prices.daily_start_time is 'UTC; the daily window is half-open';
comment on column pricing.model_prices.usd_per_million is 'USD per million tokens or requests';
comment on table pricing.model_matches is
    'What an observed combination is priced as; the newest row per combination rules.';
comment on table pricing.catalog_refreshes is
    'One row per look at the calls: all loaded before observed_before had their models resolved.';
"""


def upgrade() -> None:
    """Create the schema `pricing`."""
    op.execute(PRICING)


def downgrade() -> None:
    """Refuse: going back would drop the prices that stored costs refer to."""
    raise NotImplementedError("prices have no way back: restore a backup instead")
