{{ config(
    unique_key='usage_hour',
    indexes=[{'columns': ['usage_hour']}, {'columns': ['refreshed_at']}],
) }}

with

touched_hours as (
    {{ touched_periods(ref('fct_llm_calls'), 'hour', 'started_at', 'cost_computed_at') }}
),

calls as (
    select
        calls.*,
        touched_hours.period_start as usage_hour
    from touched_hours
    inner join {{ ref('fct_llm_calls') }} as calls
        on calls.started_at >= touched_hours.period_start
        and calls.started_at < touched_hours.period_start + interval '1 hour'
),

-- Calls of unknown duration keep a row (without a bin), so that every touched hour has rows.
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

final as (
    select
        usage_hour,
        tenant_id,
        project_id,
        provider_name,
        model,
        metric,
        {{ bin_index('seconds') }} as bin_index,
        count(*) as call_count,
        now() as refreshed_at
    from measurements
    group by 1, 2, 3, 4, 5, 6, 7
)

select * from final
