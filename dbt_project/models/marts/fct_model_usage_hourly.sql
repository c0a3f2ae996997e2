{{ config(**roll_up_config('usage_hour')) }}

with

hours as (
    {{ rows_built_anew(ref('fct_usage_hourly'), 'usage_hour') }}
),

final as (
    select
        usage_hour,
        tenant_id,
        project_id,
        provider_name,
        model,
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from hours
    group by usage_hour, tenant_id, project_id, provider_name, model
)

select * from final
order by project_id, usage_hour
