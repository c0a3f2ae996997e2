with

usage as (
    select * from {{ ref('fct_usage_hourly') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        usage.usage_hour,
        usage.tenant_id,
        usage.project_id,
        projects.name as project_name,
        usage.provider_name,
        usage.model,
        {{ sums(['call_count', 'error_count', 'input_tokens', 'output_tokens']) }},
        sum(usage.total_cost_usd) as total_cost_usd,
        sum(usage.unpriced_call_count)::bigint as unpriced_call_count
    from usage
    inner join projects on usage.project_id = projects.project_id
    where usage.usage_hour >= now() - interval '14 days'
    group by 1, 2, 3, 4, 5, 6
)

select * from final
