{{ config(**roll_up_config('usage_hour')) }}

with

hours as (
    {{ rows_built_anew(ref('fct_usage_hourly'), 'usage_hour') }}
),

final as (
    {{ usage_by(['provider_name', 'model'], 'hours', 'usage_hour') }}
)

select * from final
order by project_id, usage_hour
