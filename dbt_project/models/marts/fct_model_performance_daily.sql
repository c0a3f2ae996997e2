{{ config(materialized='view') }}

with

usage as (
    select
        usage_date,
        tenant_id,
        project_id,
        provider_name,
        model,
        {{ sums(['call_count', 'error_count', 'unpriced_call_count', 'input_tokens',
                 'output_tokens', 'total_cost_usd', 'output_cost_usd']) }},
        sum(output_tokens) filter (where unpriced_reason is null)::bigint as priced_output_tokens,
        sum(call_count) filter (where unpriced_reason is null)::bigint as priced_call_count
    from {{ ref('fct_usage_daily') }}
    group by 1, 2, 3, 4, 5
),

durations as (
    select
        usage_date,
        project_id,
        provider_name,
        model,
        -- As numeric, so that the sum is the same in any order.
        sum(call_count * ({{ bin_seconds('bin_index') }})::numeric) as duration_seconds
    from {{ ref('fct_latency_daily') }}
    where metric = 'duration' and bin_index is not null
    group by 1, 2, 3, 4
),

final as (
    select
        usage.usage_date,
        usage.tenant_id,
        usage.project_id,
        usage.provider_name,
        usage.model,
        usage.call_count,
        usage.call_count / sum(usage.call_count) over project_day as call_ratio,
        usage.total_cost_usd / nullif(sum(usage.total_cost_usd) over project_day, 0) as cost_ratio,
        usage.error_count,
        usage.error_count::numeric / usage.call_count as error_ratio,
        usage.input_tokens,
        usage.output_tokens,
        usage.unpriced_call_count,
        usage.total_cost_usd,
        usage.total_cost_usd / nullif(usage.priced_call_count, 0) as usd_per_call,
        1000 * usage.total_cost_usd / nullif(usage.priced_output_tokens, 0)
            as usd_per_thousand_output_tokens,
        usage.output_tokens / nullif(durations.duration_seconds, 0) as output_tokens_per_second
    from usage
    left join durations
        on usage.usage_date = durations.usage_date
        and usage.project_id = durations.project_id
        and usage.provider_name = durations.provider_name
        and usage.model = durations.model
    window project_day as (partition by usage.usage_date, usage.project_id)
)

select * from final
