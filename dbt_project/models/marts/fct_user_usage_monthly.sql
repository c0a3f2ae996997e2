{{ config(
    incremental_strategy='upsert',
    unique_key=['project_id', 'user_id', 'usage_month'],
    indexes=[
        {'columns': ['project_id', 'user_id', 'usage_month'], 'unique': true},
        {'columns': ['refreshed_at']},
    ],
) }}

with

touched as (
    select distinct
        project_id,
        user_id,
        date_trunc('month', usage_date::timestamp)::date as period_start
    from {{ ref('fct_user_usage_daily') }}
    where user_id is not null and refreshed_at > '{{ newest('refreshed_at') }}'
),

days as (
    {{ rows_of_touched(
        ref('fct_user_usage_daily'), 'month', 'usage_date', keys=['project_id', 'user_id']
    ) }}
),

final as (
    select
        period_start as usage_month,
        tenant_id,
        project_id,
        user_id,
        {{ sums(['call_count', 'error_count', 'input_tokens', 'output_tokens', 'total_cost_usd',
                 'unpriced_call_count']) }},
        count(*) as active_day_count,
        min(first_called_at) as first_called_at,
        max(last_called_at) as last_called_at,
        now() as refreshed_at
    from days
    group by 1, 2, 3, 4
)

select * from final
