{{ config(
    unique_key='usage_hour',
    indexes=[{'columns': ['usage_hour']}, {'columns': ['refreshed_at']}],
) }}

with

touched_hours as (
    {{ touched_periods(ref('fct_llm_calls'), 'hour', 'started_at', 'cost_computed_at') }}
),

calls as (
    select
        calls.*,
        touched_hours.period_start as usage_hour
    from touched_hours
    inner join {{ ref('fct_llm_calls') }} as calls
        on calls.started_at >= touched_hours.period_start
        and calls.started_at < touched_hours.period_start + interval '1 hour'
),

final as (
    select
        usage_hour,
        {{ usage_dimensions() }},
        count(*) as call_count,
        count(*) filter (where is_error) as error_count,
        count(*) filter (where is_stream) as stream_count,
        {{ sums(token_measures()) }},
        sum(total_cost_usd) as total_cost_usd,
        sum(uncached_input_cost_usd + input_audio_cost_usd + input_image_cost_usd)
            as uncached_input_cost_usd,
        sum(cache_read_cost_usd) as cache_read_cost_usd,
        sum(cache_write_5m_cost_usd + cache_write_1h_cost_usd) as cache_write_cost_usd,
        sum(output_cost_usd + output_audio_cost_usd) as output_cost_usd,
        sum(request_cost_usd) as request_cost_usd,
        count(*) filter (where total_cost_usd is null and unpriced_reason <> 'no_usage')
            as unpriced_call_count,
        count(*) filter (where unpriced_reason = 'missing_usage') as missing_usage_call_count,
        count(*) filter (where unpriced_reason = 'missing_usage' and is_stream)
            as missing_stream_usage_call_count,
        count(*) filter (where uncached_input_tokens < 0) as negative_uncached_input_call_count,
        count(*) filter (where loaded_at > started_at + interval '1 hour') as late_call_count,
        min(started_at) as first_called_at,
        max(started_at) as last_called_at,
        {{ newest_value(
            'coalesce(uncached_input_price_id, output_price_id)',
            by='started_at',
            where='total_cost_usd is not null'
        ) }} as last_price_id,
        now() as refreshed_at
    from calls
    group by usage_hour, {{ usage_dimensions(is_grouping=true) }}
)

select * from final
