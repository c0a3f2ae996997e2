{{ config(**roll_up_config('usage_minute')) }}

with

touched as (
    {{ touched_periods(ref('fct_llm_calls'), 'minute', 'started_at', 'cost_computed_at') }}
),

calls as (
    {{ rows_of_touched(ref('fct_llm_calls'), 'minute', 'started_at') }}
),

final as (
    select
        period_start as usage_minute,
        {{ usage_dimensions() }},
        {{ measures_of_calls() }},
        {{ newest_value(
            'coalesce(uncached_input_price_id, output_price_id, request_price_id)',
            by='started_at',
            where='total_cost_usd is not null'
        ) }} as last_price_id,
        now() as refreshed_at
    from calls
    group by period_start, {{ usage_dimensions(is_grouping=true) }}
)

select * from final
