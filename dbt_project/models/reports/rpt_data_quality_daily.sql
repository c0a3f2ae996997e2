with

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

dead_letters as (
    select * from {{ source('ingest', 'dead_letters') }}
),

projects as (
    select * from {{ source('app', 'projects') }}
),

counts as (
    select
        usage.usage_date,
        usage.project_id,
        usage.call_count,
        usage.unpriced_call_count,
        usage.missing_usage_call_count,
        usage.missing_stream_usage_call_count,
        usage.negative_uncached_input_call_count,
        -- A month of demo history is sent at once: it would hide the calls that are really late.
        case when projects.is_demo then 0 else usage.late_call_count end as late_call_count,
        0 as dead_letter_count
    from usage
    left join projects on usage.project_id = projects.project_id
    union all
    select
        (rejected_at at time zone 'UTC')::date as usage_date,
        project_id,
        0 as call_count,
        0 as unpriced_call_count,
        0 as missing_usage_call_count,
        0 as missing_stream_usage_call_count,
        0 as negative_uncached_input_call_count,
        0 as late_call_count,
        1 as dead_letter_count
    from dead_letters
),

final as (
    select
        counts.usage_date,
        coalesce(projects.name, '(unknown)') as project_name,
        {{ sums([
            'call_count', 'unpriced_call_count', 'missing_usage_call_count',
            'missing_stream_usage_call_count', 'negative_uncached_input_call_count',
            'late_call_count', 'dead_letter_count',
        ]) }}
    from counts
    left join projects on counts.project_id = projects.project_id
    group by 1, 2
)

select * from final
