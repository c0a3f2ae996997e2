{{ config(materialized='view', meta={'rows_of_nobody': true}) }}

{% set kinds = ['input', 'cache_read', 'cache_write', 'cache_write_1h', 'output'] %}

with

model_prices as (
    select
        *,
        coalesce(valid_to, 'infinity') as ends_at
    from {{ source('pricing', 'model_prices') }}
    where valid_from is distinct from valid_to
),

-- What was published together with a price and holds for calls of the same size and hour.
published as (
    select
        prices.price_id,
        prices.ends_at,
        greatest(prices.valid_from, listed.valid_from) as listed_from,
        listed.ends_at as listed_to,
        listed.token_kind,
        listed.usd_per_million,
        listed.tier_start_tokens,
        listed.service_tier = prices.service_tier as is_same_tier,
        listed.service_tier = 'batch' as is_batch
    from model_prices as prices
    inner join model_prices as listed
        using (source, catalog_provider, catalog_model, created_at)
    where prices.token_kind in ('input', 'cache_read')
        and prices.tenant_id is not distinct from listed.tenant_id
        and prices.project_id is not distinct from listed.project_id
        and prices.tier_start_tokens >= listed.tier_start_tokens
        and prices.daily_start_time >= listed.daily_start_time
        and prices.daily_end_time <= listed.daily_end_time
        and prices.valid_from < listed.ends_at
        and prices.ends_at > listed.valid_from
),

changes as (
    select distinct
        price_id,
        ends_at,
        listed_from as valid_from
    from published
),

lists as (
    select
        changes.price_id,
        changes.valid_from,
        {% for kind in kinds %}
        {% for batch, tier in [('', 'is_same_tier'), ('batch_', 'is_batch')] %}
        (
            array_agg(published.usd_per_million order by published.tier_start_tokens desc)
            filter (where published.{{ tier }} and published.token_kind = '{{ kind }}')
        )[1] as {{ batch }}{{ kind }}_usd,
        {% endfor %}
        {% endfor %}
        lead(changes.valid_from, 1, min(changes.ends_at)) over (
            partition by changes.price_id order by changes.valid_from
        ) as valid_to
    from changes
    inner join published
        on changes.price_id = published.price_id
        and changes.valid_from >= published.listed_from
        and changes.valid_from < published.listed_to
    group by changes.price_id, changes.valid_from
),

final as (
    select
        model_prices.tenant_id,
        model_prices.project_id,
        lists.price_id,
        lists.valid_from,
        lists.valid_to,
        {% for batch in ['', 'batch_'] %}
        {{ listed_prices(batch) }}{% if not loop.last %},{% endif %}
        {% endfor %}
    from lists
    inner join model_prices on lists.price_id = model_prices.price_id
)

select * from final
