{#-
  The rules whose breach holds an event back: what it reports would be a wrong figure. Written by
  `python -m quality.held_rules` from quality/raw_llm_events.py, where they are stated.
-#}
{% macro held_rules() %}
    {{ return({
        "usage_semantics_is_known": "coalesce(usage_semantics, '') in ('inclusive', 'cache_exclusive')",
        "service_tier_is_known": "service_tier in ('default', 'flex', 'priority', 'batch')",
        "token_counts_lie_within_the_contract": "least(input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, cache_write_1h_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens, input_image_tokens) >= 0 and greatest(input_tokens, output_tokens, cache_read_input_tokens, cache_write_input_tokens, cache_write_1h_input_tokens, reasoning_output_tokens, input_audio_tokens, output_audio_tokens, input_image_tokens) <= 1000000000",
        "durations_lie_within_the_contract": "least(duration_seconds, time_to_first_chunk_seconds) >= 0 and greatest(duration_seconds, time_to_first_chunk_seconds) <= 604800",
        "reasoning_tokens_lie_within_output_tokens": "reasoning_output_tokens <= output_tokens",
        "audio_and_image_tokens_lie_within_their_totals": "(usage_semantics = 'cache_exclusive' or coalesce(input_audio_tokens, 0) + coalesce(input_image_tokens, 0) <= input_tokens) and (output_audio_tokens <= output_tokens) is not false",
        "calls_end_after_they_start": "ended_at >= started_at",
        "calls_start_within_the_contract": "started_at between '2020-01-01 00:00Z' and received_at + interval '1 day'",
    }) }}
{% endmacro %}
