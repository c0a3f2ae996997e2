{{ config(
    unique_key='usage_date',
    indexes=[{'columns': ['usage_date']}, {'columns': ['refreshed_at']}],
) }}

with

touched_days as (
    {{ touched_periods(ref('fct_latency_hourly'), 'day', 'usage_hour', 'refreshed_at') }}
),

final as (
    select
        (touched_days.period_start at time zone 'UTC')::date as usage_date,
        hours.tenant_id,
        hours.project_id,
        hours.provider_name,
        hours.model,
        hours.metric,
        hours.bin_index,
        sum(hours.call_count)::bigint as call_count,
        now() as refreshed_at
    from touched_days
    inner join {{ ref('fct_latency_hourly') }} as hours
        on hours.usage_hour >= touched_days.period_start
        and hours.usage_hour < touched_days.period_start + interval '1 day'
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
