{#-
  A query that anyone who may read marts can run, and that gives the evidence and the saving of one
  piece of advice from the calls themselves. It is a text with places for format():
  %1$L project, %2$L service, %3$L operation, %4$L provider, %5$L model, %6$L start, %7$L end.
-#}
{% macro proof_sql(kind, saving) -%}
    {%- set of_traffic -%}
coalesce(service_name, '(none)') = %2$L and operation_name = %3$L and provider_name = %4$L
    {%- endset -%}
    {%- set sql -%}
        {%- if kind == 'use_cheaper_model' -%}
with usage as (
    select * from {{ portable(ref('fct_usage_daily')) }}
    where project_id = %1$L and usage_date >= (%6$L::timestamptz at time zone 'UTC')::date
        and usage_date < (%7$L::timestamptz at time zone 'UTC')::date
        and service_name = %2$L and operation_name = %3$L and provider_name = %4$L
),
{{ judge_models() }}
select {{ saving }} as saving_usd, {{ evidence_of(kind) }} as evidence
from cheaper_models where model = %5$L
        {%- elif kind == 'cap_long_outputs' -%}
with bins as (
    select model, {{ output_bin() }} as output_bin, count(*) as call_count,
        sum(output_tokens)::bigint as output_tokens,
        sum(output_cost_usd + output_audio_cost_usd) as cost_usd
    from {{ portable(ref('fct_llm_calls')) }}
    where project_id = %1$L and started_at >= %6$L and started_at < %7$L
        and total_cost_usd is not null and {{ of_traffic }} and model = %5$L
    group by 1, 2
),
{{ judge_outputs('model') }}
select {{ saving }} as saving_usd, {{ evidence_of(kind) }} as evidence from long_outputs
        {%- else -%}
with calls as (
    select * from {{ portable(ref('fct_llm_calls')) }}
    where project_id = %1$L and started_at >= %6$L::timestamptz - {{ evidence_reach() }}
        and started_at < %7$L
),
{{ judge_calls(portable(ref('dim_price_lists'))) }},
sums as (
    select {{ judged_sums() }} from judged_calls
    where started_at >= %6$L and {{ of_traffic }} and model = %5$L
)
select {{ saving }} as saving_usd, {{ evidence_of(kind) }} as evidence from sums
        {%- endif -%}
    {%- endset -%}
    format(
        '{{ sql | replace("'", "''") }}',
        project_id, service_name, operation_name, provider_name, model, period_start, period_end
    )
{%- endmacro %}

{#- A relation without its database, whose name another copy of it may not share. -#}
{% macro portable(relation) -%}
    {{ (relation | string).split('.')[-2:] | join('.') }}
{%- endmacro %}
