{#-
  What usage is rolled up by. A call without an environment or service counts as '(none)'; no
  error and no reason to be unpriced stay null. Errors and reasons are part of the grain, and not
  marts of their own, so that every touched hour has rows: a rebuild then always replaces it.
-#}
{% macro usage_dimensions(is_grouping=false) -%}
    {%- set optional = ['environment', 'service_name'] -%}
    {%- set required = ['tenant_id', 'project_id', 'provider_name', 'model', 'operation_name',
                      'error_type', 'unpriced_reason'] -%}
    {{ required | join(', ') }}
    {%- for column in optional -%}
        , coalesce({{ column }}, '(none)'){% if not is_grouping %} as {{ column }}{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro token_measures() %}
    {{ return([
        'input_tokens', 'uncached_input_tokens', 'cache_read_input_tokens',
        'cache_write_input_tokens', 'output_tokens', 'reasoning_output_tokens',
    ]) }}
{% endmacro %}

{% macro count_measures() %}
    {{ return([
        'call_count', 'error_count', 'stream_count', 'unpriced_call_count',
        'missing_usage_call_count', 'missing_stream_usage_call_count',
        'negative_uncached_input_call_count', 'late_call_count',
    ]) }}
{% endmacro %}

{% macro cost_measures() %}
    {{ return([
        'total_cost_usd', 'uncached_input_cost_usd', 'cache_read_cost_usd',
        'cache_write_cost_usd', 'output_cost_usd', 'request_cost_usd',
    ]) }}
{% endmacro %}

{#- Sums under their own names; counts as bigint, because the sum of bigints is a numeric. -#}
{% macro sums(columns) -%}
    {%- for column in columns -%}
        {%- if column.endswith('_usd') -%}
            sum({{ column }}) as {{ column }}
        {%- else -%}
            sum({{ column }})::bigint as {{ column }}
        {%- endif -%}
        {%- if not loop.last %},
        {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- `value` of the newest row of a group that meets `where`. -#}
{% macro newest_value(value, by, where) -%}
    (array_agg({{ value }} order by {{ by }} desc) filter (where {{ where }}))[1]
{%- endmacro %}
