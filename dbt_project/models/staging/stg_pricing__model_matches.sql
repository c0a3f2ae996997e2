with

model_matches as (
    select * from {{ source('pricing', 'model_matches') }}
),

final as (
    select
        provider_name,
        request_model,
        response_model,
        catalog_provider,
        catalog_model,
        unmatched_reason,
        resolved_at as known_from,
        coalesce(
            lead(resolved_at) over (
                partition by provider_name, request_model, response_model order by resolved_at
            ),
            'infinity'
        ) as known_to
    from model_matches
)

select * from final
