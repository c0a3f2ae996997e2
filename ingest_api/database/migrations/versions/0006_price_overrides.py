"""Price books of tenants and projects, beside the catalog and our own reviewed prices."""

from alembic import op

revision = "0006"
down_revision = "0005"

STATEMENTS = """
alter table pricing.model_prices
    add column created_by text,
    add column reason text,
    add column source_url text,
    add column reviewed_on date,
    add check (project_id is null or tenant_id is not null),
    add check ((source = 'override') = (tenant_id is not null));
do $$
declare
    constraint_name text;
begin
    for constraint_name in
        select conname from pg_constraint
        where conrelid = 'pricing.model_prices'::regclass
            and (contype = 'u' or pg_get_constraintdef(oid) like '%valid_to%')
    loop
        execute format('alter table pricing.model_prices drop constraint %I', constraint_name);
    end loop;
end $$;
alter table pricing.model_prices
    add constraint model_prices_do_not_end_before_they_start check (valid_to >= valid_from),
    add constraint model_prices_are_written_once unique nulls not distinct (
        source, tenant_id, project_id, catalog_provider, catalog_model, created_at, token_kind,
        service_tier, tier_start_tokens, valid_from, daily_start_time
    );

create index model_prices_overrides_created_at on pricing.model_prices (created_at)
    where source = 'override';

comment on table pricing.model_prices is
    'One row per book, model, token kind, service tier, tier threshold, daily window, validity '
    'period and revision. The books: of a project, of a tenant, our own reviewed prices, the '
    'catalog. The rows of one book and model that share created_at are one revision, in force '
    'until the next.';
comment on column pricing.model_prices.catalog_model is
    'The model as the catalog names it; in books of ours the exact name, or a beginning and *';
comment on column pricing.model_prices.token_kind is
    'What is counted: input, output, cache_read, request, web_search, hour ...';
comment on column pricing.model_prices.usd_per_million is
    'USD per million tokens, requests, searches or hours';
comment on column pricing.model_prices.valid_to is
    'Null = for ever. A row that ends when it starts was withdrawn and never holds.';
comment on column pricing.model_prices.source is
    'genai-prices (the catalog), llmscope (our own reviewed prices) or override';
comment on column pricing.model_prices.created_by is 'Who wrote an override: a user or an API key';
comment on column pricing.model_prices.reason is 'Why an override was written';
comment on column pricing.model_prices.source_url is 'Where the price is published';
comment on column pricing.model_prices.reviewed_on is 'When it was last compared with source_url';
"""


def upgrade() -> None:
    """Add what overrides and reviewed prices need; no row changes."""
    op.execute(STATEMENTS)


def downgrade() -> None:
    """Refuse: going back would drop the prices that stored costs refer to."""
    raise NotImplementedError("prices have no way back: restore a backup instead")
