with

model_prices as (
    select * from {{ source('pricing', 'model_prices') }}
),

revisions as (
    select
        *,
        max(created_at) over (partition by catalog_provider, catalog_model) as revised_at
    from model_prices
    where tenant_id is null and project_id is null
),

final as (
    select
        price_id,
        catalog_provider,
        catalog_model,
        token_kind,
        service_tier,
        tier_start_tokens,
        daily_start_time,
        daily_end_time,
        usd_per_million,
        valid_from,
        coalesce(valid_to, 'infinity') as valid_to,
        source,
        catalog_version,
        revised_at
    from revisions
    where created_at = revised_at
)

select * from final
