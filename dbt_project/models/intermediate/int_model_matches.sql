with

model_matches as (
    select * from {{ ref('stg_pricing__model_matches') }}
),

candidates as (
    select * from {{ ref('int_price_candidates') }}
),

price_changes as (
    select
        provider_name,
        request_model,
        response_model,
        max(known_from) as price_changed_at
    from candidates
    group by provider_name, request_model, response_model
),

final as (
    select
        model_matches.provider_name,
        model_matches.request_model,
        model_matches.response_model,
        model_matches.catalog_provider,
        model_matches.catalog_model,
        model_matches.unmatched_reason,
        greatest(model_matches.known_from, price_changes.price_changed_at) as price_changed_at
    from model_matches
    left join price_changes
        on model_matches.provider_name = price_changes.provider_name
        and coalesce(model_matches.request_model, '') = price_changes.request_model
        and coalesce(model_matches.response_model, '') = price_changes.response_model
    where model_matches.known_to = 'infinity'
)

select * from final
