{{ config(materialized='view') }}

{% set traffic = traffic_columns() | join(', ') %}
{% set found = [
    ('cache_repeated_prefixes', 'repeated_saving_usd', 'traffic'),
    ('batch_calls', 'batch_saving_usd', 'batch_traffic'),
    ('stop_paid_retries', 'retried_cost_usd', 'traffic'),
    ('cap_long_outputs', 'saving_usd', 'long_outputs'),
    ('use_cheaper_model', 'saving_usd', 'cheaper_models'),
] %}

with

period as (
    select
        date_trunc('day', max(usage_hour), 'UTC') - interval '{{ advice_days() | int - 1 }} days'
            as period_start,
        date_trunc('day', max(usage_hour), 'UTC') + interval '1 day' as period_end
    from {{ ref('int_call_evidence_hourly') }}
),

hours as (
    select * from {{ ref('int_call_evidence_hourly') }}
    where usage_hour >= (select period.period_start from period)
),

usage as (
    select * from {{ ref('fct_usage_daily') }}
    where usage_date >= (select (period.period_start at time zone 'UTC')::date from period)
),

traffic as (
    select
        {{ traffic }},
        {{ sums(['call_count', 'priced_call_count', 'total_cost_usd', 'repeated_call_count',
                 'repeated_tokens', 'repeated_saving_usd', 'batchable_call_count',
                 'batch_saving_usd', 'retried_call_count', 'retried_cost_usd']) }}
    from hours
    group by {{ traffic }}
),

-- Nobody waits for calls that are neither streamed nor part of a conversation.
batch_traffic as (
    select * from traffic
    where batchable_call_count >= 0.95 * priced_call_count
),

bins as (
    select
        {{ traffic }},
        output_bin,
        sum(priced_call_count) as call_count,
        sum(priced_output_tokens) as output_tokens,
        sum(output_cost_usd) as cost_usd
    from hours
    group by {{ traffic }}, output_bin
),

{{ judge_outputs(traffic) }},

{{ judge_models() }},

advice as (
    {% for kind, saving, source in found %}
    select
        '{{ kind }}' as advice_kind,
        {{ traffic }},
        {% if kind == 'use_cheaper_model' %}
        {{ source }}.suggested_model,
        {% else %}
        null::text as suggested_model,
        {% endif %}
        period.period_start,
        period.period_end,
        {{ evidence_of(kind) }} as evidence,
        {{ saving }} as saving_usd,
        {{ proof_sql(kind, saving) }} as proof_sql
    from {{ source }}
    cross join period
    where {{ saving }} >= {{ least_saving_usd() }}
    {% if not loop.last %}union all{% endif %}
    {% endfor %}
),

final as (
    select
        md5(concat_ws('|', advice_kind, {{ traffic }})) as advice_id,
        *
    from advice
)

select * from final
