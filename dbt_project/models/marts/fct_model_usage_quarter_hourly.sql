{{ config(**roll_up_config('usage_quarter_hour')) }}

with

touched as (
    {{ touched_periods(ref('fct_usage_minutely'), 'quarter_hour', 'usage_minute') }}
),

minutes as (
    {{ rows_of_touched(ref('fct_usage_minutely'), 'quarter_hour', 'usage_minute') }}
),

final as (
    select
        period_start as usage_quarter_hour,
        tenant_id,
        project_id,
        provider_name,
        model,
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from minutes
    group by period_start, tenant_id, project_id, provider_name, model
)

select * from final
