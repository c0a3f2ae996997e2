{{ config(**roll_up_config('usage_hour')) }}

with

touched as (
    {{ touched_periods(ref('fct_llm_calls'), 'hour', 'started_at', 'cost_computed_at') }}
),

calls as (
    {{ rows_of_touched(ref('fct_llm_calls'), 'hour', 'started_at') }}
),

-- Each call keeps a row, also without any price, so that every touched hour has rows.
costs as (
    select
        calls.period_start,
        calls.tenant_id,
        calls.project_id,
        calls.provider_name,
        calls.model,
        buckets.bucket,
        buckets.price_id,
        buckets.cost_usd
    from calls
    cross join
        lateral (
            values
            {%- for cost in costs() %}
            ('{{ cost }}', {{ cost }}_price_id, {{ cost }}_cost_usd)
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        ) as buckets (bucket, price_id, cost_usd)
    where buckets.price_id is not null or buckets.bucket = 'uncached_input'
),

final as (
    select
        period_start as usage_hour,
        tenant_id,
        project_id,
        provider_name,
        model,
        bucket,
        price_id,
        count(*) as call_count,
        sum(cost_usd) as cost_usd,
        now() as refreshed_at
    from costs
    group by period_start, tenant_id, project_id, provider_name, model, bucket, price_id
)

select * from final
order by project_id, usage_hour
