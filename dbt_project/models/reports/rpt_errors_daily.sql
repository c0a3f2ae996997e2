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
        usage.provider_name,
        usage.model,
        usage.error_type,
        sum(usage.error_count)::bigint as error_count
    from usage
    inner join projects on usage.project_id = projects.project_id
    where usage.error_type is not null
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
