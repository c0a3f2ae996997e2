{#-
  How much of a call is in each bucket: columns of `stg_ingest__llm_calls`, and what each is
  multiplied by. `calls` is 1 for each call, `hours` is its duration. Live estimates read this by
  way of `int_price_rules`.
-#}
{% macro bucket_counts() %}
    {{ return({
        'uncached_input': {
            'input_tokens': 1, 'cache_read_input_tokens': -1, 'cache_write_input_tokens': -1,
            'input_audio_tokens': -1, 'cache_read_audio_tokens': 1,
            'input_image_tokens': -1, 'cache_read_image_tokens': 1,
            'input_video_tokens': -1, 'cache_read_video_tokens': 1,
        },
        'cache_read': {
            'cache_read_input_tokens': 1, 'cache_read_audio_tokens': -1,
            'cache_read_image_tokens': -1, 'cache_read_video_tokens': -1,
        },
        'cache_read_audio': {'cache_read_audio_tokens': 1},
        'cache_read_image': {'cache_read_image_tokens': 1},
        'cache_read_video': {'cache_read_video_tokens': 1},
        'cache_write_5m': {'cache_write_input_tokens': 1, 'cache_write_1h_input_tokens': -1},
        'cache_write_1h': {'cache_write_1h_input_tokens': 1},
        'input_audio': {'input_audio_tokens': 1, 'cache_read_audio_tokens': -1},
        'input_image': {'input_image_tokens': 1, 'cache_read_image_tokens': -1},
        'input_video': {'input_video_tokens': 1, 'cache_read_video_tokens': -1},
        'output': {
            'output_tokens': 1, 'reasoning_output_tokens': -1, 'output_audio_tokens': -1,
            'output_image_tokens': -1, 'output_video_tokens': -1, 'output_citation_tokens': -1,
        },
        'output_reasoning': {'reasoning_output_tokens': 1},
        'output_citation': {'output_citation_tokens': 1},
        'output_audio': {'output_audio_tokens': 1},
        'output_image': {'output_image_tokens': 1},
        'output_video': {'output_video_tokens': 1},
        'request': {'calls': 1},
        'web_search': {'reported_web_search_count': 1},
        'storage_search': {'reported_storage_search_count': 1},
        'hour': {'hours': 1},
    }) }}
{% endmacro %}

{#- The terms of a bucket as one expression. -#}
{% macro bucket_count(bucket) -%}
    {%- set made = {'calls': '1', 'hours': 'coalesce(duration_seconds, 0)::numeric / 3600'} -%}
    {%- for column, factor in bucket_counts()[bucket].items() %}
    {%- if not loop.first or factor < 0 %} {{ '+' if factor > 0 else '-' }} {% endif -%}
    {{ made.get(column, 'coalesce(' ~ column ~ ', 0)') }}
    {%- endfor %}
{%- endmacro %}
