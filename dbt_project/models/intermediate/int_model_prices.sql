{{ config(materialized='table', indexes=[{'columns': ['revision_id']}]) }}

{% set period = [
    'revision_id', 'scope_id', 'tenant_id', 'project_id', 'book_rank', 'source',
    'catalog_provider', 'catalog_model', 'known_from', 'known_to', 'service_tier', 'valid_from',
    'valid_to', 'daily_start_time', 'daily_end_time',
] | join(', ') %}
{% set period_key = [
    'revision_id', 'service_tier', 'valid_from', 'valid_to', 'daily_start_time', 'daily_end_time',
] | join(', ') %}

with

model_prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

tier_starts as (
    select distinct {{ period_key }}, tier_start_tokens
    from model_prices
),

tiers as (
    select
        *,
        lead(tier_start_tokens) over (
            partition by {{ period_key }} order by tier_start_tokens
        ) as tier_end_tokens
    from tier_starts
),

-- The highest tier of each kind that starts at or below the start of the model's tier.
tier_prices as (
    select distinct on ({{ period_key }}, tiers.tier_start_tokens, model_prices.token_kind)
        {{ period }},
        tiers.tier_start_tokens,
        tiers.tier_end_tokens,
        model_prices.token_kind,
        model_prices.price_id,
        model_prices.usd_per_million
    from tiers
    inner join model_prices using ({{ period_key }})
    where model_prices.tier_start_tokens <= tiers.tier_start_tokens
    order by
        {{ period_key }}, tiers.tier_start_tokens, model_prices.token_kind,
        model_prices.tier_start_tokens desc
),

final as (
    select
        {{ period }},
        {% for kind in token_kinds() %}
        max(usd_per_million) filter (where token_kind = '{{ kind }}') as {{ kind }}_usd_per_million,
        min(price_id::text) filter (where token_kind = '{{ kind }}')::uuid as {{ kind }}_price_id,
        {% endfor %}
        tier_start_tokens,
        tier_end_tokens
    from tier_prices
    group by {{ period }}, tier_start_tokens, tier_end_tokens
)

select * from final
