{{ config(
    unique_key='usage_date',
    indexes=[{'columns': ['usage_date']}, {'columns': ['refreshed_at']}],
) }}

with

touched_days as (
    {{ touched_periods(ref('fct_usage_hourly'), 'day', 'usage_hour', 'refreshed_at') }}
),

hours as (
    select
        hours.*,
        (touched_days.period_start at time zone 'UTC')::date as usage_date
    from touched_days
    inner join {{ ref('fct_usage_hourly') }} as hours
        on hours.usage_hour >= touched_days.period_start
        and hours.usage_hour < touched_days.period_start + interval '1 day'
),

final as (
    select
        usage_date,
        {{ usage_dimensions() }},
        {{ sums(count_measures() + token_measures() + cost_measures()) }},
        min(first_called_at) as first_called_at,
        max(last_called_at) as last_called_at,
        {{ newest_value(
            'last_price_id',
            by='last_called_at',
            where='last_price_id is not null'
        ) }} as last_price_id,
        now() as refreshed_at
    from hours
    group by usage_date, {{ usage_dimensions(is_grouping=true) }}
)

select * from final
