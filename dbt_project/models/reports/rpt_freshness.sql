with

calls as (
    select * from {{ ref('fct_llm_calls') }}
),

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

counts as (
    select
        max(usage.refreshed_at) as refreshed_at,
        coalesce(sum(usage.call_count), 0)::bigint as call_count,
        coalesce(sum(usage.call_count) filter (where projects.is_demo), 0)::bigint
            as demo_call_count
    from usage
    left join projects on usage.project_id = projects.project_id
),

final as (
    select
        counts.refreshed_at,
        (select max(calls.started_at) from calls) as newest_started_at,
        (select max(calls.loaded_at) from calls) as newest_loaded_at,
        counts.call_count,
        counts.demo_call_count
    from counts
)

select * from final
