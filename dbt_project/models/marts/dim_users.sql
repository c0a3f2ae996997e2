{{ config(
    incremental_strategy='upsert',
    unique_key=['project_id', 'user_id'],
    indexes=[
        {'columns': ['project_id', 'user_id'], 'unique': true},
        {'columns': ['refreshed_at']},
    ],
) }}

with

touched as (
    select distinct
        project_id,
        user_id
    from {{ ref('fct_user_usage_monthly') }}
    where refreshed_at > '{{ newest('refreshed_at') }}'
),

months as (
    select months.*
    from touched
    inner join {{ ref('fct_user_usage_monthly') }} as months
        on touched.project_id = months.project_id and touched.user_id = months.user_id
),

final as (
    select
        tenant_id,
        project_id,
        user_id,
        min(first_called_at) as first_seen_at,
        max(last_called_at) as last_seen_at,
        min(usage_month) as cohort_month,
        count(*) as active_month_count,
        {{ sums(['active_day_count', 'call_count', 'error_count', 'input_tokens', 'output_tokens',
                 'total_cost_usd', 'unpriced_call_count']) }},
        now() as refreshed_at
    from months
    group by tenant_id, project_id, user_id
)

select * from final
