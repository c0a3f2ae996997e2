{{ config(**roll_up_config('usage_date', [{'columns': ['project_id', 'user_id', 'usage_date']}])) }}

with

days as (
    {{ rows_built_anew(ref('fct_attributed_usage_daily'), 'usage_date') }}
),

final as (
    select
        usage_date,
        tenant_id,
        project_id,
        user_id,
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from days
    group by usage_date, tenant_id, project_id, user_id
)

select * from final
order by project_id, usage_date
