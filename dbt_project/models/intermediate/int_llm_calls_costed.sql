with

priced_calls as (
    select * from {{ ref('int_llm_calls_priced') }}
),

costed as (
    select
        {{ call_columns() }},
        priced_as_of,
        {{ cost_columns() }},
        unpriced_reason
    from priced_calls
),

final as (
    select
        *,
        reported_cost_usd - total_cost_usd as cost_difference_usd
    from costed
)

select * from final
