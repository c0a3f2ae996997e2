with

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

final as (
    select
        tenant_id,
        project_id,
        provider_name,
        model,
        unpriced_reason,
        {{ sums(['call_count', 'input_tokens', 'output_tokens']) }},
        min(first_called_at) as first_called_at,
        max(last_called_at) as last_called_at
    from usage
    -- A call without usage costs an unknown amount at any price: its model is not at fault.
    where unpriced_reason not in ('no_usage', 'missing_usage')
    group by tenant_id, project_id, provider_name, model, unpriced_reason
)

select * from final
