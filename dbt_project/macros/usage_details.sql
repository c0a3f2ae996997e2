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

{% macro output_image_paths() %}
    {{ return([
        '$.candidatesTokensDetails[*] ? (@.modality == "IMAGE").tokenCount',
        '$.candidates_tokens_details[*] ? (@.modality == "IMAGE").token_count',
        '$.output_tokens_details.image_tokens',
    ]) }}
{% endmacro %}
