{{ config(**roll_up_config('hour_start_at', more_indexes=[{'columns': ['hour_start_at']}])) }}

{%- set judged_until = newest_usage_hour() %}

with

starts as (
    {{ starts_of_judging(judged_until) }}
),

calls as (
    {{ calls_of_series(judged_until) }}
),

latencies as (
    {{ latencies_of_series(judged_until) }}
),

history as (
    {{ judged_before() }}
),

hours as (
    {{ hours_of_series(judged_until) }}
),

measured as (
    select
        hours.*,
        metrics.metric,
        metrics.value,
        metrics.metric in ('cost', 'calls')
        and hours.hour_start_at < '{{ judged_until }}' as can_drop
    from hours
    left join latencies
        on hours.project_id = latencies.project_id
        and hours.hour_start_at = latencies.hour_start_at
        and hours.provider_name is not distinct from latencies.provider_name
        and hours.model is not distinct from latencies.model
    cross join
        lateral (
            values
            ('cost', hours.total_cost_usd::double precision),
            ('calls', hours.call_count::double precision),
            ('latency', latencies.p95_duration_seconds),
            ('error_rate', hours.error_count / nullif(hours.call_count, 0)::double precision)
        ) as metrics (metric, value)
    where metrics.value is not null
),

points as (
    select
        {{ series_key() }} as series,
        hour_start_at as at,
        hour_start_at,
        metric,
        value,
        call_count,
        can_drop,
        true as is_judged,
        null::double precision as known_value,
        null::double precision as known_score
    from measured
    union all
    select
        {{ series_key() }} as series,
        hour_start_at as at,
        hour_start_at,
        metric,
        value,
        null as call_count,
        false as can_drop,
        false as is_judged,
        expected_value as known_value,
        score as known_score
    from history
),

{{ judged_points('points', noise=noise_of_metric()) }},

final as (
    select
        measured.hour_start_at,
        measured.tenant_id,
        measured.project_id,
        measured.provider_name,
        measured.model,
        measured.metric,
        measured.value,
        judged.expected_value,
        case when judged.score is not null then greatest(judged.lower_bound, 0) end as lower_bound,
        judged.upper_bound,
        judged.score,
        coalesce(judged.is_anomaly, false) as is_anomaly,
        coalesce(judged.is_anomaly and judged.is_news, false) as is_onset,
        case
            when judged.is_anomaly and measured.value > judged.expected_value then 'spike'
            when judged.is_anomaly then 'drop'
        end as direction,
        measured.call_count,
        now() as refreshed_at
    from measured
    inner join judged
        on {{ series_key('measured') }} = judged.series
        and measured.hour_start_at = judged.at
)

select * from final
