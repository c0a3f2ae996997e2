{% macro quality_counts() %}
    {{ return([
        'call_count', 'unpriced_call_count', 'missing_usage_call_count',
        'missing_stream_usage_call_count', 'negative_uncached_input_call_count',
        'late_call_count', 'double_count_suspect_call_count', 'held_event_count', 'dead_letter_count',
    ]) }}
{% endmacro %}

{#-
  All of these counts, zero where `found` has none. Late calls of a demo are not found: a month of
  history is sent at once, and would hide the calls that are really late.
-#}
{% macro counts_of(found) -%}
    {%- for name in quality_counts() -%}
        ({{ found.get(name, '0') }})::bigint as {{ name }}{% if not loop.last %},
        {% endif %}
    {%- endfor %}
{%- endmacro %}
