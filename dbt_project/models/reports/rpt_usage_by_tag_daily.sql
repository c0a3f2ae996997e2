with

usage as (
    select * from {{ ref('fct_attributed_usage_daily') }}
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
        tags.key as tag_key,
        tags.value as tag_value,
        {{ sums(['call_count', 'error_count', 'input_tokens', 'output_tokens', 'total_cost_usd',
                 'unpriced_call_count']) }}
    from usage
    inner join projects on usage.project_id = projects.project_id
    cross join lateral jsonb_each_text(usage.tags) as tags
    group by 1, 2, 3, 4, 5, 6
)

select * from final
