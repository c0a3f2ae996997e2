with

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        usage.usage_date,
        usage.tenant_id,
        usage.project_id,
        projects.name as project_name,
        projects.is_demo,
        usage.environment,
        usage.service_name,
        usage.provider_name,
        usage.model,
        usage.operation_name,
        {{ sums(['call_count', 'error_count', 'stream_count'] + token_measures()) }},
        sum(usage.total_cost_usd) as total_cost_usd,
        {{ sums(['unpriced_call_count', 'missing_usage_call_count']) }}
    from usage
    inner join projects on usage.project_id = projects.project_id
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10
)

select * from final
