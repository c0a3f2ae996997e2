{{ config(**roll_up_config('usage_date')) }}

with

days as (
    {{ rows_built_anew(ref('fct_usage_daily'), 'usage_date') }}
),

final as (
    select
        usage_date,
        tenant_id,
        project_id,
        provider_name,
        model,
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from days
    group by usage_date, tenant_id, project_id, provider_name, model
)

select * from final
order by project_id, usage_date
