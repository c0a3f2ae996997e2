{{ config(**roll_up_config('usage_hour')) }}

with

touched as (
    {{ touched_periods(ref('fct_latency_minutely'), 'hour', 'usage_minute') }}
),

minutes as (
    {{ rows_of_touched(ref('fct_latency_minutely'), 'hour', 'usage_minute') }}
),

final as (
    select
        period_start as usage_hour,
        {{ latency_dimensions() }},
        metric,
        bin_index,
        sum(call_count)::bigint as call_count,
        now() as refreshed_at
    from minutes
    group by period_start, metric, bin_index, {{ latency_dimensions(is_grouping=true) }}
)

select * from final
