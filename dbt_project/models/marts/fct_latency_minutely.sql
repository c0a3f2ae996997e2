{{ config(**roll_up_config('usage_minute')) }}

with

touched as (
    {{ touched_periods(ref('fct_llm_calls'), 'minute', 'started_at', 'cost_computed_at') }}
),

calls as (
    {{ rows_of_touched(ref('fct_llm_calls'), 'minute', 'started_at') }}
),

-- Calls of unknown duration keep a row (without a bin), so that every touched minute has rows.
measurements as (
    select
        *,
        'duration' as metric,
        duration_seconds as seconds
    from calls
    union all
    select
        *,
        'time_to_first_chunk' as metric,
        time_to_first_chunk_seconds as seconds
    from calls
    where time_to_first_chunk_seconds is not null
),

binned as (
    select
        *,
        {{ bin_index('seconds') }} as bin_index
    from measurements
),

final as (
    select
        period_start as usage_minute,
        {{ latency_dimensions() }},
        metric,
        bin_index,
        count(*) as call_count,
        now() as refreshed_at
    from binned
    group by period_start, metric, bin_index, {{ latency_dimensions(is_grouping=true) }}
)

select * from final
