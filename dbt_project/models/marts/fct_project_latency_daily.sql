{{ config(**roll_up_config('usage_date')) }}

with

touched as (
    {{ touched_periods(ref('fct_project_latency_hourly'), 'day', 'usage_hour') }}
),

hours as (
    {{ rows_of_touched(ref('fct_project_latency_hourly'), 'day', 'usage_hour') }}
),

final as (
    select
        {{ utc_date() }} as usage_date,
        tenant_id,
        project_id,
        metric,
        bin_index,
        sum(call_count)::bigint as call_count,
        now() as refreshed_at
    from hours
    group by period_start, tenant_id, project_id, metric, bin_index
)

select * from final
order by project_id, usage_date
