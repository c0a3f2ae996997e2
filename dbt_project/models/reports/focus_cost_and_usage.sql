with

usage as (
    select * from {{ ref('fct_usage_daily') }}
    where unpriced_reason is null
),

projects as (
    select * from {{ source('app', 'projects') }}
),

tenants as (
    select * from {{ source('app', 'tenants') }}
),

charges as (
    select
        usage.usage_date,
        usage.tenant_id,
        usage.project_id,
        usage.provider_name,
        usage.model,
        usage.operation_name,
        usage.environment,
        usage.service_name,
        kinds.token_kind,
        kinds.meter,
        kinds.unit,
        kinds.priced_per,
        sum(kinds.quantity) as quantity,
        sum(kinds.cost_usd) as cost_usd
    from usage
    cross join {{ focus_kinds_of_usage() }} as kinds
    where kinds.quantity > 0
    group by 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
),

final as (
    select
        {{ focus_columns() }},
        charges.tenant_id,
        charges.project_id
    from charges
    inner join projects on charges.project_id = projects.project_id
    inner join tenants on charges.tenant_id = tenants.tenant_id
)

select * from final
