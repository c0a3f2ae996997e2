{{ config(**roll_up_config('usage_date', [{'columns': ['project_id', 'user_id']}])) }}

with

touched as (
    {{ touched_periods(ref('fct_attributed_usage_hourly'), 'day', 'usage_hour') }}
),

hours as (
    {{ rows_of_touched(ref('fct_attributed_usage_hourly'), 'day', 'usage_hour') }}
),

final as (
    select
        {{ utc_date() }} as usage_date,
        {{ attributed_dimensions() }},
        tags,
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from hours
    group by period_start, tags, {{ attributed_dimensions(is_grouping=true) }}
)

select * from final
