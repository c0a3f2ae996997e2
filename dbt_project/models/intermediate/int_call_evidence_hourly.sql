{{ config(
    materialized='incremental',
    on_schema_change='append_new_columns',
    post_hook="
        create index if not exists int_call_evidence_hourly_suspects_idx on {{ this }}
        (project_id, usage_hour) where double_count_suspect_call_count > 0
    ",
    **roll_up_config('usage_hour')
) }}

with

loaded as (
    {{ touched_periods(ref('fct_llm_calls'), 'hour', 'started_at', 'cost_computed_at') }}
),

-- A new call also sheds another light on those that follow it.
touched as (
    select * from loaded
    union
    select
        project_id,
        period_start + interval '1 hour' as period_start
    from loaded
),

calls as (
    {{ calls_of_touched_hours(ref('fct_llm_calls')) }}
),

{{ judge_calls(ref('dim_price_lists'), period='usage_hour,') }},

final as (
    select
        usage_hour,
        tenant_id,
        project_id,
        coalesce(service_name, '(none)') as service_name,
        operation_name,
        provider_name,
        model,
        {{ output_bin() }} as output_bin,
        count(*) as call_count,
        sum(input_tokens)::bigint as input_tokens,
        {{ sums(['cache_read_input_tokens', 'cache_write_input_tokens']) }},
        sum(output_tokens) filter (where total_cost_usd is not null)::bigint
            as priced_output_tokens,
        count(*) filter (where total_cost_usd is not null) as priced_call_count,
        sum(output_cost_usd + output_audio_cost_usd) as output_cost_usd,
        sum(total_cost_usd) as total_cost_usd,
        sum(cache_read_input_tokens * list_input * 0.000001 - cache_read_cost_usd)
            as cache_saved_usd,
        sum(
            cache_write_5m_cost_usd + cache_write_1h_cost_usd
            - cache_write_input_tokens * list_input * 0.000001
        ) as cache_write_premium_usd,
        {{ judged_sums() }},
        count(*) filter (where is_double_count_suspect) as double_count_suspect_call_count,
        now() as refreshed_at
    from judged_calls
    where started_at >= usage_hour
    group by 1, 2, 3, 4, 5, 6, 7, 8
)

select * from final
