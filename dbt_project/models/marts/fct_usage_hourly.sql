{{ config(**roll_up_config('usage_hour')) }}

with

touched as (
    {{ touched_periods(ref('fct_usage_minutely'), 'hour', 'usage_minute') }}
),

minutes as (
    {{ rows_of_touched(ref('fct_usage_minutely'), 'hour', 'usage_minute') }}
),

final as (
    select
        period_start as usage_hour,
        {{ usage_dimensions() }},
        {{ measures_of_layer_below() }},
        {{ newest_value(
            'last_price_id',
            by='last_called_at',
            where='last_price_id is not null'
        ) }} as last_price_id,
        now() as refreshed_at
    from minutes
    group by period_start, {{ usage_dimensions(is_grouping=true) }}
)

select * from final
