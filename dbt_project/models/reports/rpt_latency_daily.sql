{{ config(
    materialized='incremental',
    on_schema_change='append_new_columns',
    **roll_up_config('usage_date')
) }}

with

touched_days as (
    select distinct
        project_id,
        usage_date
    from {{ ref('fct_latency_daily') }}
    where refreshed_at > '{{ newest('refreshed_at') }}'
),

projects as (
    select * from {{ source('app', 'projects') }}
),

bins as (
    select
        latency.*,
        {{ bin_seconds('latency.bin_index') }} as bin_seconds,
        sum(latency.call_count) over (group_bins order by latency.bin_index) as rank_count,
        sum(latency.call_count) filter (where latency.bin_index is not null)
            over group_bins as group_count
    from {{ ref('fct_latency_daily') }} as latency
    inner join touched_days
        on latency.project_id = touched_days.project_id
        and latency.usage_date = touched_days.usage_date
    window group_bins as (
        partition by
            latency.usage_date, latency.project_id, latency.provider_name, latency.model,
            latency.metric
    )
),

final as (
    select
        bins.usage_date,
        bins.tenant_id,
        bins.project_id,
        projects.name as project_name,
        bins.provider_name,
        bins.model,
        sum(bins.call_count) filter (where bins.metric = 'duration')::bigint as call_count,
        {{ quantile('duration', 0.50) }} as p50_duration_seconds,
        {{ quantile('duration', 0.90) }} as p90_duration_seconds,
        {{ quantile('duration', 0.95) }} as p95_duration_seconds,
        {{ quantile('duration', 0.99) }} as p99_duration_seconds,
        {{ quantile('time_to_first_chunk', 0.50) }} as p50_time_to_first_chunk_seconds,
        {{ quantile('time_to_first_chunk', 0.95) }} as p95_time_to_first_chunk_seconds,
        now() as refreshed_at
    from bins
    inner join projects on bins.project_id = projects.project_id
    group by 1, 2, 3, 4, 5, 6
)

select * from final
