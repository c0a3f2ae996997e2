{{ config(**roll_up_config('usage_date')) }}

with

touched as (
    {{ touched_periods(ref('int_call_evidence_hourly'), 'day', 'usage_hour') }}
),

hours as (
    {{ rows_of_touched(ref('int_call_evidence_hourly'), 'day', 'usage_hour') }}
),

days as (
    select
        {{ utc_date() }} as usage_date,
        tenant_id,
        project_id,
        provider_name,
        model,
        {{ sums([
            'call_count', 'input_tokens', 'cache_read_input_tokens', 'cache_write_input_tokens',
            'cache_saved_usd', 'cache_write_premium_usd',
        ]) }}
    from hours
    group by 1, 2, 3, 4, 5
),

final as (
    select
        usage_date,
        tenant_id,
        project_id,
        provider_name,
        model,
        call_count,
        input_tokens,
        cache_read_input_tokens,
        cache_write_input_tokens,
        greatest(cache_write_input_tokens - cache_read_input_tokens, 0)
            as unread_cache_write_tokens,
        cache_read_input_tokens::numeric / nullif(input_tokens, 0) as cache_hit_ratio,
        cache_saved_usd as saved_usd,
        cache_write_premium_usd,
        -- Nobody says which write a read came from. More written than read was not all read.
        cache_write_premium_usd
        * greatest(cache_write_input_tokens - cache_read_input_tokens, 0)
        / nullif(cache_write_input_tokens, 0) as wasted_usd,
        cache_saved_usd - cache_write_premium_usd as net_saved_usd,
        now() as refreshed_at
    from days
)

select * from final
