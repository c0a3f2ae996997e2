{{ config(**roll_up_config('usage_date')) }}

with

days as (
    {{ rows_built_anew(ref('fct_usage_daily'), 'usage_date') }}
),

final as (
    {{ usage_by(['provider_name', 'model'], 'days', 'usage_date') }}
)

select * from final
order by project_id, usage_date
