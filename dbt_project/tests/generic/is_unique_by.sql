{#- The grain: no two rows share these columns. Nulls count as equal. -#}
{% test is_unique_by(model, columns) %}
    select {{ columns | join(', ') }}, count(*) as row_count
    from {{ model }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
