{#-
  What usage is rolled up by. A call without an environment or service counts as '(none)'; no
  error and no reason to be unpriced stay null. Errors and reasons are part of the grain, and not
  marts of their own, so that every touched period has rows: a rebuild then always replaces it.
-#}
{% macro usage_dimensions(is_grouping=false) -%}
    {{ _dimensions(
        ['tenant_id', 'project_id', 'provider_name', 'model', 'operation_name',
         'error_type', 'unpriced_reason'],
        is_grouping
    ) }}
{%- endmacro %}

{#- What latency is rolled up by, beside metric and bin. -#}
{% macro latency_dimensions(is_grouping=false) -%}
    {{ _dimensions(
        ['tenant_id', 'project_id', 'provider_name', 'model', 'operation_name'], is_grouping
    ) }}
{%- endmacro %}

{#- What usage is attributed to, beside the tags that the project declares. -#}
{% macro attributed_dimensions(is_grouping=false) -%}
    {{ _dimensions(
        ['tenant_id', 'project_id', 'provider_name', 'model', 'operation_name', 'user_id'],
        is_grouping
    ) }}
{%- endmacro %}

{% macro _dimensions(required, is_grouping) -%}
    {{ required | join(', ') }}
    {%- for column in ['environment', 'service_name'] -%}
        , coalesce({{ column }}, '(none)'){% if not is_grouping %} as {{ column }}{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro token_measures() %}
    {{ return([
        'input_tokens', 'uncached_input_tokens', 'cache_read_input_tokens',
        'cache_write_input_tokens', 'cache_write_1h_input_tokens', 'input_audio_tokens',
        'input_image_tokens', 'output_tokens', 'reasoning_output_tokens', 'output_audio_tokens',
    ]) }}
{% endmacro %}

{#- Counts of calls, and how each is counted in calls. -#}
{% macro counted() %}
    {{ return({
        'call_count': 'true',
        'error_count': 'is_error',
        'stream_count': 'is_stream',
        'unpriced_call_count': "total_cost_usd is null and unpriced_reason <> 'no_usage'",
        'missing_usage_call_count': "unpriced_reason = 'missing_usage'",
        'missing_stream_usage_call_count': "unpriced_reason = 'missing_usage' and is_stream",
        'negative_uncached_input_call_count': 'uncached_input_tokens < 0',
        'late_call_count': "loaded_at > started_at + interval '1 hour'",
    }) }}
{% endmacro %}

{% macro count_measures() %}
    {{ return(counted() | list) }}
{% endmacro %}

{#- Tokens of calls without a cost. -#}
{% macro unpriced_token_measures() %}
    {{ return(['unpriced_input_tokens', 'unpriced_output_tokens']) }}
{% endmacro %}

{#- `cache_write_cost_usd` is the sum of the two behind it; the others are disjoint. -#}
{% macro cost_measures() %}
    {{ return([
        'total_cost_usd', 'uncached_input_cost_usd', 'cache_read_cost_usd',
        'cache_write_cost_usd', 'cache_write_5m_cost_usd', 'cache_write_1h_cost_usd',
        'input_audio_cost_usd', 'input_image_cost_usd', 'output_cost_usd',
        'output_audio_cost_usd', 'request_cost_usd', 'reported_cost_usd', 'cost_difference_usd',
    ]) }}
{% endmacro %}

{#- All measures of calls: what the lowest layer of a roll-up computes. -#}
{% macro measures_of_calls() -%}
    {%- for name, condition in counted().items() %}
        count(*) filter (where {{ condition }}) as {{ name }},
    {%- endfor %}
        {{ sums(token_measures()) }},
    {%- for name in unpriced_token_measures() %}
        coalesce(
            sum({{ name | replace('unpriced_', '') }}) filter (where total_cost_usd is null), 0
        )::bigint as {{ name }},
    {%- endfor %}
    {%- for name in cost_measures() %}
        sum({% if name == 'cache_write_cost_usd' -%}
            cache_write_5m_cost_usd + cache_write_1h_cost_usd
        {%- else %}{{ name }}{% endif %}) as {{ name }},
    {%- endfor %}
        min(started_at) as first_called_at,
        max(started_at) as last_called_at
{%- endmacro %}

{#- The same measures, made of those of the layer below. -#}
{% macro measures_of_layer_below() -%}
        {{ sums(
            count_measures() + token_measures() + unpriced_token_measures() + cost_measures()
        ) }},
        min(first_called_at) as first_called_at,
        max(last_called_at) as last_called_at
{%- endmacro %}

{#-
  A thin roll-up: the rows of the CTE `rows` by period, project and a few dimensions.
    period: The column that says when the period begins
    period_start: That of `rows`, if it has another name
-#}
{% macro usage_by(dimensions, rows, period, period_start=none) %}
    {%- set keys = ['tenant_id', 'project_id'] + dimensions %}
    select
        {{ period_start ~ ' as ' ~ period if period_start else period }},
        {{ keys | join(',\n        ') }},
        {{ measures_of_layer_below() }},
        now() as refreshed_at
    from {{ rows }}
    group by {{ period_start or period }}, {{ keys | join(', ') }}
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

{#- What the test `adds_up_to` compares: each measure summed, or by an expression of its own. -#}
{% macro compared(measures, is_layer_below=false) -%}
    {%- for measure, expression in measures.items() -%}
        {{ expression if is_layer_below else 'sum(' ~ measure ~ ')' }} as {{ measure }}
        {%- if not loop.last %}, {% endif -%}
    {%- endfor -%}
{%- endmacro %}

{#- `value` of the newest row of a group that meets `where`. -#}
{% macro newest_value(value, by, where) -%}
    (array_agg({{ value }} order by {{ by }} desc) filter (where {{ where }}))[1]
{%- endmacro %}
