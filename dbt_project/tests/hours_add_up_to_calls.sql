{{ config(meta={'dagster': {'ref': {'name': 'fct_usage_hourly'}}}) }}

with

hours as (
    select
        usage_hour,
        sum(call_count) as call_count,
        sum(input_tokens) as input_tokens,
        sum(output_tokens) as output_tokens,
        sum(total_cost_usd) as total_cost_usd
    from {{ ref('fct_usage_hourly') }}
    where refreshed_at > now() - interval '2 minutes'
    group by usage_hour
),

calls as (
    select
        hours.usage_hour,
        count(*) as call_count,
        sum(calls.input_tokens) as input_tokens,
        sum(calls.output_tokens) as output_tokens,
        sum(calls.total_cost_usd) as total_cost_usd
    from hours
    inner join {{ ref('fct_llm_calls') }} as calls
        on calls.started_at >= hours.usage_hour
        and calls.started_at < hours.usage_hour + interval '1 hour'
    group by hours.usage_hour
)

select hours.*
from hours
inner join calls on hours.usage_hour = calls.usage_hour
where hours.call_count <> calls.call_count
    or hours.input_tokens <> calls.input_tokens
    or hours.output_tokens <> calls.output_tokens
    or hours.total_cost_usd is distinct from calls.total_cost_usd
