{{ config(**roll_up_config('usage_date')) }}

with

touched as (
    {{ touched_periods(ref('fct_latency_hourly'), 'day', 'usage_hour') }}
),

hours as (
    {{ rows_of_touched(ref('fct_latency_hourly'), 'day', 'usage_hour') }}
),

final as (
    select
        {{ utc_date() }} as usage_date,
        {{ latency_dimensions() }},
        metric,
        bin_index,
        sum(call_count)::bigint as call_count,
        now() as refreshed_at
    from hours
    group by period_start, metric, bin_index, {{ latency_dimensions(is_grouping=true) }}
)

select * from final
