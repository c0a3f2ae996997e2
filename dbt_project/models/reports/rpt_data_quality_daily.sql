with

projects as (
    select * from {{ source('app', 'projects') }}
),

usage as (
    select
        usage.usage_date,
        usage.project_id,
        {{ counts_of({
            'call_count': 'usage.call_count',
            'unpriced_call_count': 'usage.unpriced_call_count',
            'missing_usage_call_count': 'usage.missing_usage_call_count',
            'missing_stream_usage_call_count': 'usage.missing_stream_usage_call_count',
            'negative_uncached_input_call_count': 'usage.negative_uncached_input_call_count',
            'late_call_count': 'case when projects.is_demo then 0 else usage.late_call_count end',
        }) }}
    from {{ ref('fct_usage_daily') }} as usage
    left join projects on usage.project_id = projects.project_id
),

suspects as (
    select
        {{ utc_date('usage_hour') }} as usage_date,
        project_id,
        {{ counts_of({
            'double_count_suspect_call_count': 'double_count_suspect_call_count',
        }) }}
    from {{ ref('int_call_evidence_hourly') }}
    where double_count_suspect_call_count > 0
),

held_events as (
    select
        {{ utc_date('received_at') }} as usage_date,
        project_id,
        {{ counts_of({'held_event_count': '1'}) }}
    from {{ ref('stg_ingest__held_events') }}
    where released_at is null
),

dead_letters as (
    select
        {{ utc_date('rejected_at') }} as usage_date,
        project_id,
        {{ counts_of({'dead_letter_count': '1'}) }}
    from {{ source('ingest', 'dead_letters') }}
),

counted as (
    select * from usage
    union all
    select * from suspects
    union all
    select * from held_events
    union all
    select * from dead_letters
),

final as (
    select
        counted.usage_date,
        projects.tenant_id,
        counted.project_id,
        coalesce(projects.name, '(unknown)') as project_name,
        {{ sums(quality_counts()) }}
    from counted
    left join projects on counted.project_id = projects.project_id
    group by 1, 2, 3, 4
)

select * from final
