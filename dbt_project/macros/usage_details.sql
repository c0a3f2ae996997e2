{#-
  A count from the provider's own usage object, by the first of several JSON paths that finds a
  whole number; null where none does. Silent: what a sender puts there must not stop a build.
-#}
{% macro usage_detail(paths) -%}
    coalesce(
        {%- for path in paths %}
        (jsonb_path_query_first(usage_details, '{{ path }}.bigint()', '{}', true) #>> '{}')::bigint
        {%- if not loop.last %},{% endif %}
        {%- endfor %}
    )
{%- endmacro %}

{#- Gemini lists counts by modality; OpenAI names them `audio_tokens`, `image_tokens`. -#}
{% macro cached_modality_paths(modality) %}
    {% set openai = 'cached_tokens_details.' ~ modality | lower ~ '_tokens' %}
    {{ return([
        '$.cacheTokensDetails[*] ? (@.modality == "' ~ modality ~ '").tokenCount',
        '$.cache_tokens_details[*] ? (@.modality == "' ~ modality ~ '").token_count',
        '$.input_token_details.' ~ openai,
        '$.input_tokens_details.' ~ openai,
    ]) }}
{% endmacro %}

{% macro input_video_paths() %}
    {{ return([
        '$.promptTokensDetails[*] ? (@.modality == "VIDEO").tokenCount',
        '$.prompt_tokens_details[*] ? (@.modality == "VIDEO").token_count',
        '$.prompt_tokens_details.video_tokens',
    ]) }}
{% endmacro %}

{% macro output_modality_paths(modality) %}
    {{ return([
        '$.candidatesTokensDetails[*] ? (@.modality == "' ~ modality ~ '").tokenCount',
        '$.candidates_tokens_details[*] ? (@.modality == "' ~ modality ~ '").token_count',
        '$.output_tokens_details.' ~ modality | lower ~ '_tokens',
        '$.completion_tokens_details.' ~ modality | lower ~ '_tokens',
    ]) }}
{% endmacro %}

{#- Anthropic; OpenRouter; Perplexity (chat, responses); xAI; OpenAI beside its usage object. -#}
{% macro web_search_paths() %}
    {{ return([
        '$.server_tool_use.web_search_requests',
        '$.server_tool_use_details.web_search_requests',
        '$.num_search_queries',
        '$.tool_calls_details.search_web.invocation',
        '$.server_side_tool_usage_details.web_search_calls',
        '$.tool_usage.web_search.num_requests',
    ]) }}
{% endmacro %}

{% macro storage_search_paths() %}
    {{ return([
        '$.server_side_tool_usage_details.file_search_calls',
        '$.tool_usage.file_search.num_requests',
    ]) }}
{% endmacro %}

{#- Counts without a field in the event contract, and where providers report them. -#}
{% macro usage_details_paths() %}
    {{ return({
        'cache_read_audio_tokens': cached_modality_paths('AUDIO'),
        'cache_read_image_tokens': cached_modality_paths('IMAGE'),
        'cache_read_video_tokens': cached_modality_paths('VIDEO'),
        'input_video_tokens': input_video_paths(),
        'output_image_tokens': output_modality_paths('IMAGE'),
        'output_video_tokens': output_modality_paths('VIDEO'),
        'output_citation_tokens': ['$.citation_tokens'],
        'reported_web_search_count': web_search_paths(),
        'reported_storage_search_count': storage_search_paths(),
    }) }}
{% endmacro %}
