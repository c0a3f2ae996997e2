{{ config(**roll_up_config('usage_date')) }}

with

touched as (
    {{ touched_periods(ref('fct_usage_hourly'), 'day', 'usage_hour') }}
),

hours as (
    {{ rows_of_touched(ref('fct_usage_hourly'), 'day', 'usage_hour') }}
),

final as (
    select
        {{ utc_date() }} as usage_date,
        {{ usage_dimensions() }},
        {{ measures_of_layer_below() }},
        {{ newest_value(
            'last_price_id',
            by='last_called_at',
            where='last_price_id is not null'
        ) }} as last_price_id,
        now() as refreshed_at
    from hours
    group by period_start, {{ usage_dimensions(is_grouping=true) }}
)

select * from final
