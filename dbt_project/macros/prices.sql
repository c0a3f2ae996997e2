{#- Every kind that a price row can be for. -#}
{% macro token_kinds() %}
    {{ return([
        'input', 'cache_read', 'cache_read_audio', 'cache_read_image', 'cache_read_video',
        'cache_write', 'cache_write_1h', 'input_audio', 'input_image', 'input_video', 'output',
        'output_reasoning', 'output_citation', 'output_audio', 'output_image', 'output_video',
        'request', 'web_search', 'storage_search', 'hour',
    ]) }}
{% endmacro %}

{#-
  The disjoint buckets of a call, each with the kinds whose price it takes: the first that the
  model has. This is genai-prices' rule: a part without a price of its own costs what the whole
  costs (`genai_prices.decompose.compute_leaf_values`).
-#}
{% macro buckets() %}
    {{ return({
        'uncached_input': ['input'],
        'cache_read': ['cache_read', 'input'],
        'cache_read_audio': ['cache_read_audio', 'cache_read', 'input_audio', 'input'],
        'cache_read_image': ['cache_read_image', 'cache_read', 'input_image', 'input'],
        'cache_read_video': ['cache_read_video', 'cache_read', 'input_video', 'input'],
        'cache_write_5m': ['cache_write', 'input'],
        'cache_write_1h': ['cache_write_1h', 'cache_write', 'input'],
        'input_audio': ['input_audio', 'input'],
        'input_image': ['input_image', 'input'],
        'input_video': ['input_video', 'input'],
        'output': ['output'],
        'output_reasoning': ['output_reasoning', 'output'],
        'output_citation': ['output_citation', 'output'],
        'output_audio': ['output_audio', 'output'],
        'output_image': ['output_image', 'output'],
        'output_video': ['output_video', 'output'],
        'request': ['request'],
        'web_search': ['web_search'],
        'storage_search': ['storage_search'],
        'hour': ['hour'],
    }) }}
{% endmacro %}

{#- Requests, searches and hours cost extra where the model prices them, and nothing elsewhere. -#}
{% macro surcharges() %}
    {{ return(['request', 'web_search', 'storage_search', 'hour']) }}
{% endmacro %}

{#- The kinds of input whose cached part can have a price of its own. -#}
{% macro modalities() %}
    {{ return(['audio', 'image', 'video']) }}
{% endmacro %}

{#- What a bucket's price has in `column` (`usd_per_million` or `price_id`). -#}
{% macro bucket_price(bucket, column) -%}
    {%- set kinds = buckets()[bucket] -%}
    {%- if kinds | length > 1 %}coalesce({% endif -%}
    {%- for kind in kinds %}prices.{{ kind }}_{{ column }}{% if not loop.last %}, {% endif %}{% endfor -%}
    {%- if kinds | length > 1 %}){% endif -%}
{%- endmacro %}

{#- The buckets that cost what `root` costs where they have no price of their own. -#}
{% macro parts_of(root) %}
    {% set parts = [] %}
    {% for bucket, kinds in buckets().items() if kinds[-1] == buckets()[root][0] and bucket != root %}
        {% do parts.append(bucket) %}
    {% endfor %}
    {{ return(parts) }}
{% endmacro %}

{#-
  True where a price would be charged for a negative count, as for more cached tokens than there
  were input tokens. Buckets that share a price are counted together, as genai-prices does.
-#}
{% macro any_price_has_negative_count() -%}
    {%- for root in ['uncached_input', 'output'] %}
    {{ root }}_count
        {%- for part in parts_of(root) %}
        + case when {{ part }}_price_id = {{ root }}_price_id then {{ part }}_count else 0 end
        {%- endfor %} < 0
        {%- for part in parts_of(root) %}
    or ({{ part }}_count < 0 and {{ part }}_price_id <> {{ root }}_price_id)
        {%- endfor %}
    {%- if not loop.last %}
    or{% endif %}
    {%- endfor %}
{%- endmacro %}

{#-
  True where cached audio (image, video) has a price of its own, a call has both cached and audio tokens,
  and nothing says how many are both.
-#}
{% macro any_cached_modality_is_unknown() -%}
    {%- for modality in modalities() %}
    (
        has_cached_{{ modality }}_price and cache_read_{{ modality }}_tokens is null
        and cache_read_input_tokens > 0 and input_{{ modality }}_tokens > 0
    )
    {%- if not loop.last %}
    or{% endif %}
    {%- endfor %}
{%- endmacro %}

{% macro any_needed_price_is_missing() -%}
    {%- for bucket in buckets() if bucket not in surcharges() %}
    ({{ bucket }}_count <> 0 and {{ bucket }}_usd_per_million is null)
    {%- if not loop.last %}
    or{% endif %}
    {%- endfor %}
{%- endmacro %}

{#-
  Why a call of `with_prices` has no cost, null where it has one. What a model costs by the hour
  pays for its tokens, unless they have a price too; a call without a duration cannot be priced so.
-#}
{% macro unpriced_reason() -%}
        case
            when is_priced_by_hour and duration_seconds is null then 'missing_duration'
            when not has_usage and is_error and not is_priced_by_hour then 'no_usage'
            when not has_usage and not is_priced_by_hour then 'missing_usage'
            when unmatched_reason is not null then unmatched_reason
            when has_no_price then 'no_price'
            when {{ any_price_has_negative_count() }} then 'invalid_usage'
            when {{ any_cached_modality_is_unknown() }} then 'ambiguous_usage'
            when not is_priced_by_hour and ({{ any_needed_price_is_missing() }}) then 'no_price'
        end
{%- endmacro %}
