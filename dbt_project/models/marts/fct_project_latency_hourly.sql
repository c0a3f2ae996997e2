{{ config(**roll_up_config('usage_hour')) }}

with

hours as (
    {{ rows_built_anew(ref('fct_latency_hourly'), 'usage_hour') }}
),

final as (
    select
        usage_hour,
        tenant_id,
        project_id,
        metric,
        bin_index,
        sum(call_count)::bigint as call_count,
        now() as refreshed_at
    from hours
    group by usage_hour, tenant_id, project_id, metric, bin_index
)

select * from final
order by project_id, usage_hour
