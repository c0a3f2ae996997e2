{#- What fct_llm_calls keeps of a call as it was reported. -#}
{% macro call_columns() -%}
    {{ [
        'tenant_id', 'project_id', 'event_id', 'provider_name', 'model', 'request_model',
        'response_model', 'operation_name', 'started_at', 'ended_at', 'duration_seconds',
        'time_to_first_chunk_seconds', 'is_stream', 'is_error', 'error_type', 'http_status_code',
        'service_tier', 'usage_source', 'has_usage', 'input_tokens', 'uncached_input_tokens',
        'cache_read_input_tokens', 'cache_write_input_tokens', 'cache_write_1h_input_tokens',
        'input_audio_tokens', 'input_image_tokens', 'output_tokens', 'reasoning_output_tokens',
        'output_audio_tokens', 'user_id', 'conversation_id', 'trace_id', 'span_id', 'response_id',
        'environment', 'service_name', 'tags', 'received_at', 'loaded_at', 'catalog_provider',
        'catalog_model', 'price_service_tier', 'reported_cost_usd',
    ] | join(',\n        ') }}
{%- endmacro %}

{#- The cost columns of a call, and the buckets that each adds up. -#}
{% macro costs() %}
    {{ return({
        'uncached_input': ['uncached_input'],
        'cache_read': ['cache_read', 'cache_read_audio', 'cache_read_image', 'cache_read_video'],
        'cache_write_5m': ['cache_write_5m'],
        'cache_write_1h': ['cache_write_1h'],
        'input_audio': ['input_audio'],
        'input_image': ['input_image', 'input_video'],
        'output': ['output', 'output_reasoning', 'output_citation', 'output_image', 'output_video'],
        'output_audio': ['output_audio'],
        'request': ['request', 'web_search', 'storage_search', 'hour'],
    }) }}
{% endmacro %}

{#- One cost and one price id a group; the price id is that of its first bucket in use. -#}
{% macro cost_columns() -%}
    {%- for cost, parts in costs().items() %}
        {{ parts | join('_bucket_usd + ') }}_bucket_usd as {{ cost }}_cost_usd,
        coalesce(
            {%- for part in parts %}
            case when {{ part }}_count <> 0 and unpriced_reason is null then {{ part }}_price_id end
            {%- if not loop.last %},{% endif %}
            {%- endfor %}
        ) as {{ cost }}_price_id,
    {%- endfor %}
        {{ buckets().keys() | join('_bucket_usd + ') }}_bucket_usd as total_cost_usd
{%- endmacro %}

{#- What fct_llm_calls takes from int_llm_calls_costed: what was reported, and what it costs. -#}
{% macro costed_columns() -%}
    {{ call_columns() }},
    {%- for cost in costs() %}
        {{ cost }}_cost_usd,
        {{ cost }}_price_id,
    {%- endfor %}
        total_cost_usd,
        unpriced_reason,
        cost_difference_usd
{%- endmacro %}
