{{ config(materialized='view') }}

with

budgets as (
    select * from {{ source('app', 'budgets') }}
),

spend as (
    select * from {{ ref('int_budget_spend_daily') }}
),

calendar as (
    select
        budgets.*,
        days.usage_date::date as usage_date,
        date_trunc('month', days.usage_date)::date as usage_month
    from budgets
    cross join lateral generate_series(
        budgets.valid_from::timestamp,
        least(budgets.valid_to - 1, (now() at time zone 'UTC')::date)::timestamp,
        interval '1 day'
    ) as days (usage_date)
),

running as (
    select
        calendar.*,
        coalesce(spend.cost_usd, 0) as day_usd,
        spend.unpriced_call_count,
        sum(coalesce(spend.cost_usd, 0)) over month_to_date as spent_usd,
        sum(coalesce(spend.unpriced_call_count, 0)) over month_to_date as unpriced_to_date,
        -- Full days only: today is not over. A new budget has none and takes what it has.
        coalesce(avg(coalesce(spend.cost_usd, 0)) over week_before, spend.cost_usd, 0)
            as burn_rate_usd,
        (calendar.usage_month + interval '1 month')::date - 1 - calendar.usage_date as days_left
    from calendar
    left join spend
        on calendar.budget_id = spend.budget_id and calendar.usage_date = spend.usage_date
    window
        month_to_date as (
            partition by calendar.budget_id, calendar.usage_month order by calendar.usage_date
        ),
        week_before as (
            partition by calendar.budget_id order by calendar.usage_date
            rows between 7 preceding and 1 preceding
        )
),

projected as (
    select
        *,
        spent_usd - day_usd + greatest(day_usd, burn_rate_usd) + burn_rate_usd * days_left
            as projected_month_usd
    from running
),

final as (
    select
        budget_id,
        usage_date,
        tenant_id,
        project_id,
        name as budget_name,
        month_usd,
        day_usd as cost_usd,
        spent_usd,
        spent_usd / month_usd as used_ratio,
        burn_rate_usd,
        days_left as days_left_count,
        projected_month_usd,
        projected_month_usd / month_usd as projected_ratio,
        greatest(projected_month_usd - month_usd, 0) as projected_overrun_usd,
        unpriced_to_date::bigint as unpriced_call_count
    from projected
)

select * from final
