{#-
  The grain: no two rows share these columns. Nulls count as equal. Of a view over all calls, those
  are read that `calls` holds of late.
-#}
{% test is_unique_by(model, columns, calls=none) %}
    select {{ columns | join(', ') }}, count(*) as row_count
    from {{ model }}
    where {{ 'true' if calls is none else started_lately(calls) }}
    group by {{ columns | join(', ') }}
    having count(*) > 1
{% endtest %}
