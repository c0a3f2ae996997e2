with

model_matches as (
    select * from {{ source('pricing', 'model_matches') }}
),

final as (
    select distinct on (provider_name, request_model, response_model)
        provider_name,
        request_model,
        response_model,
        catalog_provider,
        catalog_model,
        unmatched_reason,
        resolved_at
    from model_matches
    order by provider_name, request_model, response_model, resolved_at desc
)

select * from final
