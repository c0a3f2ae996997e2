{{ config(**roll_up_config('usage_date')) }}

with

days as (
    {{ rows_built_anew(ref('fct_attributed_usage_daily'), 'usage_date') }}
),

final as (
    {{ usage_by(['tags'], 'days', 'usage_date') }}
)

select * from final
order by project_id, usage_date
