{{ config(**roll_up_config('usage_quarter_hour')) }}

with

touched as (
    {{ touched_periods(ref('fct_usage_minutely'), 'quarter_hour', 'usage_minute') }}
),

minutes as (
    {{ rows_of_touched(ref('fct_usage_minutely'), 'quarter_hour', 'usage_minute') }}
),

final as (
    {{ usage_by(['provider_name', 'model'], 'minutes', 'usage_quarter_hour', 'period_start') }}
)

select * from final
