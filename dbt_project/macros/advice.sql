{#- Advice looks at the last thirty days that have calls, and at savings worth a cent. -#}
{% macro advice_days() -%} 30 {%- endmacro %}
{% macro least_saving_usd() -%} 0.01 {%- endmacro %}

{#- Fewer calls say nothing of a shape of traffic. -#}
{% macro least_advised_calls() -%} 50 {%- endmacro %}

{#- What one piece of advice is about. -#}
{% macro traffic_columns() %}
    {{ return([
        'tenant_id', 'project_id', 'service_name', 'operation_name', 'provider_name', 'model',
    ]) }}
{% endmacro %}

{#- CTEs from `bins` (traffic, output_bin, call_count, output_tokens, cost_usd) to `long_outputs`. -#}
{% macro judge_outputs(traffic) %}
ranked_bins as (
    select
        *,
        sum(call_count) over (partition by {{ traffic }} order by output_bin) as rank_count,
        sum(call_count) over (partition by {{ traffic }}) as group_count
    from bins
),

caps as (
    select
        *,
        (2 ^ min(output_bin) filter (where rank_count >= 0.95 * group_count)
            over (partition by {{ traffic }}))::bigint as cap_tokens
    from ranked_bins
),

long_outputs as (
    select
        {{ traffic }},
        sum(call_count)::bigint as call_count,
        sum(output_tokens)::bigint as output_tokens,
        min(group_count)::bigint as group_count,
        min(cap_tokens) as cap_tokens,
        sum(cost_usd) * (sum(output_tokens) - min(cap_tokens) * sum(call_count))
        / nullif(sum(output_tokens), 0) as saving_usd
    from caps
    where 2 ^ output_bin > cap_tokens
    group by {{ traffic }}
)
{% endmacro %}

{#-
  CTEs from `usage` (rows of fct_usage_daily) to `cheaper_models`: each model of a service with the
  model of its family that would have cost least, among those that the service also uses for calls
  of a similar size, and that fail no more often. A family is a provider and the first word of the
  model's name. Prices are those that the service has paid.
-#}
{% macro judge_models() %}
models as (
    select
        {{ traffic_columns() | join(', ') }},
        coalesce(substring(lower(model) from '[a-z]+'), '') as family,
        sum(call_count) as call_count,
        sum(error_count) / sum(call_count) as error_ratio,
        {%- for name in ['input', 'uncached_input', 'cache_read_input', 'cache_write_input',
                         'output'] %}
        sum({{ name }}_tokens) filter (where unpriced_reason is null) as {{ name }}_tokens,
        {%- endfor %}
        sum(uncached_input_cost_usd) as uncached_input_cost_usd,
        sum(cache_read_cost_usd) as cache_read_cost_usd,
        sum(cache_write_cost_usd) as cache_write_cost_usd,
        sum(output_cost_usd) as output_cost_usd,
        sum(total_cost_usd) as total_cost_usd
    from usage
    group by {{ traffic_columns() | join(', ') }}
    having sum(call_count) >= {{ least_advised_calls() }} and sum(total_cost_usd) > 0
),

paid_models as (
    select
        *,
        uncached_input_cost_usd / nullif(uncached_input_tokens, 0) as uncached_usd,
        cache_read_cost_usd / nullif(cache_read_input_tokens, 0) as read_usd,
        cache_write_cost_usd / nullif(cache_write_input_tokens, 0) as write_usd,
        coalesce(output_cost_usd / nullif(output_tokens, 0), 0) as output_usd,
        input_tokens / call_count as mean_input_tokens,
        output_tokens / call_count as mean_output_tokens
    from models
),

model_pairs as (
    select
        paid_models.*,
        cheaper.model as suggested_model,
        cheaper.call_count as suggested_call_count,
        cheaper.mean_input_tokens as suggested_mean_input_tokens,
        cheaper.mean_output_tokens as suggested_mean_output_tokens,
        paid_models.uncached_input_tokens * cheaper.uncached_usd
        + paid_models.cache_read_input_tokens * coalesce(cheaper.read_usd, cheaper.uncached_usd)
        + paid_models.cache_write_input_tokens * coalesce(cheaper.write_usd, cheaper.uncached_usd)
        + paid_models.output_tokens * cheaper.output_usd as suggested_cost_usd
    from paid_models
    inner join paid_models as cheaper
        on paid_models.project_id = cheaper.project_id
        and paid_models.service_name = cheaper.service_name
        and paid_models.operation_name = cheaper.operation_name
        and paid_models.provider_name = cheaper.provider_name
        and paid_models.family = cheaper.family
        and paid_models.model <> cheaper.model
        and paid_models.error_ratio + 0.01 >= cheaper.error_ratio
        and paid_models.mean_input_tokens between cheaper.mean_input_tokens / 2
        and cheaper.mean_input_tokens * 2
        and paid_models.mean_output_tokens between cheaper.mean_output_tokens / 2
        and cheaper.mean_output_tokens * 2
),

cheaper_models as (
    select distinct on ({{ traffic_columns() | join(', ') }})
        *,
        total_cost_usd - suggested_cost_usd as saving_usd
    from model_pairs
    order by {{ traffic_columns() | join(', ') }}, suggested_cost_usd, suggested_model
)
{% endmacro %}

{#- The evidence of each kind of advice, in columns of the CTE that found it. -#}
{% macro evidence_of(kind) -%}
    {%- set columns = {
        'cache_repeated_prefixes': ['repeated_call_count', 'repeated_tokens'],
        'batch_calls': ['batchable_call_count'],
        'stop_paid_retries': ['retried_call_count'],
        'cap_long_outputs': ['group_count', 'call_count', 'output_tokens', 'cap_tokens'],
        'use_cheaper_model': ['call_count', 'total_cost_usd', 'suggested_call_count',
            'suggested_cost_usd', 'mean_input_tokens', 'suggested_mean_input_tokens',
            'mean_output_tokens', 'suggested_mean_output_tokens'],
    }[kind] -%}
    jsonb_build_object(
    {%- for column in columns %}'{{ column }}', {{ column }}
        {%- if not loop.last %}, {% endif %}{% endfor -%}
    )
{%- endmacro %}

{#- Sums over judged calls, under the names they have in int_call_evidence_hourly. -#}
{% macro judged_sums() -%}
    count(repeated_saving_usd) as repeated_call_count,
        sum(repeated_tokens) filter (where repeated_saving_usd is not null)::bigint
            as repeated_tokens,
        sum(repeated_saving_usd) as repeated_saving_usd,
        count(batch_saving_usd) as batchable_call_count,
        sum(batch_saving_usd) as batch_saving_usd,
        count(retried_cost_usd) as retried_call_count,
        sum(retried_cost_usd) as retried_cost_usd
{%- endmacro %}
