{{ config(meta={'dagster': {'ref': {'name': 'fct_usage_daily'}}}) }}

with

days as (
    select
        usage_date,
        sum(call_count) as call_count,
        sum(total_cost_usd) as total_cost_usd
    from {{ ref('fct_usage_daily') }}
    where refreshed_at > now() - interval '2 minutes'
    group by usage_date
),

hours as (
    select
        days.usage_date,
        sum(hours.call_count) as call_count,
        sum(hours.total_cost_usd) as total_cost_usd
    from days
    inner join {{ ref('fct_usage_hourly') }} as hours
        on hours.usage_hour >= days.usage_date::timestamp at time zone 'UTC'
        and hours.usage_hour < (days.usage_date + 1)::timestamp at time zone 'UTC'
    group by days.usage_date
)

select days.*
from days
inner join hours on days.usage_date = hours.usage_date
where days.call_count <> hours.call_count
    or days.total_cost_usd is distinct from hours.total_cost_usd
