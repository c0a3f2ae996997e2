-- Unpriced is not zero: a cost of a model, even 0, needs at least one priced call behind it.
with

costs as (
    select * from {{ ref('rpt_cost_by_model') }}
),

usage as (
    select * from {{ ref('fct_usage_daily') }}
),

priced_models as (
    select distinct
        provider_name,
        model
    from usage
    where last_price_id is not null
),

final as (
    select
        costs.provider_name,
        costs.model
    from costs
    left join priced_models
        on costs.provider_name = priced_models.provider_name
        and costs.model = priced_models.model
    where costs.total_cost_usd is not null and priced_models.model is null
)

select * from final
