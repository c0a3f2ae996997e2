{#-
  The periods (`hour` or `day`, UTC) that hold a row of `relation` that is newer than what the
  model has built. Each layer stamps its rows with the time of the build, and builds follow each
  other, so the newest stamp of a model is an exact watermark on the stamps of the layer below.
-#}
{% macro touched_periods(relation, period, started_at, built_at) %}
    select distinct date_trunc('{{ period }}', {{ started_at }}, 'UTC') as period_start
    from {{ relation }}
    where {{ built_at }} > '{{ newest('refreshed_at') }}'
{% endmacro %}
