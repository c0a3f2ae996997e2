with

model_matches as (
    select * from {{ ref('stg_pricing__model_matches') }}
),

model_prices as (
    select * from {{ ref('stg_pricing__model_prices') }}
),

priced_models as (
    select
        catalog_provider,
        catalog_model,
        jsonb_agg(distinct service_tier) as priced_service_tiers,
        max(revised_at) as revised_at
    from model_prices
    group by catalog_provider, catalog_model
),

final as (
    select
        model_matches.provider_name,
        model_matches.request_model,
        model_matches.response_model,
        model_matches.catalog_provider,
        model_matches.catalog_model,
        model_matches.unmatched_reason,
        coalesce(priced_models.priced_service_tiers, '[]') as priced_service_tiers,
        greatest(model_matches.resolved_at, priced_models.revised_at) as price_changed_at
    from model_matches
    left join priced_models using (catalog_provider, catalog_model)
)

select * from final
