with

usage as (
    select
        tenant_id,
        project_id,
        max(refreshed_at) as refreshed_at,
        max(last_called_at) as newest_started_at,
        sum(call_count)::bigint as call_count
    from {{ ref('fct_usage_daily') }}
    group by tenant_id, project_id
),

projects as (
    select * from {{ source('app', 'projects') }}
),

final as (
    select
        usage.tenant_id,
        usage.project_id,
        usage.refreshed_at,
        usage.newest_started_at,
        (select max(calls.loaded_at) from {{ ref('fct_llm_calls') }} as calls)
            as newest_loaded_at,
        usage.call_count,
        case when projects.is_demo then usage.call_count else 0 end as demo_call_count
    from usage
    left join projects on usage.project_id = projects.project_id
)

select * from final
