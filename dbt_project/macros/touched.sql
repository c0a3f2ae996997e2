{#-
  The periods (`minute`, `quarter_hour`, `hour` or `day`, UTC) of a project that hold a row of
  `relation` that is newer than what the model has built. Each layer stamps its rows with the time of
  the build, and builds follow each other, so the newest stamp of a model is an exact watermark on
  the stamps of the layer below.
-#}
{% macro touched_periods(relation, period, started_at, built_at='refreshed_at') %}
    select distinct
        project_id,
        {{ period_of(started_at, period) }} as period_start
    from {{ relation }}
    where {{ built_at }} > '{{ newest('refreshed_at') }}'
{% endmacro %}

{#-
  All rows of `relation` that belong to the periods in the CTE `touched`. `offset 0` keeps the
  planner from turning the look-ups by index into a join on project_id alone, in which every row of
  a project meets every period.
    keys: What a touched period has beside its start
    touched: The CTE, if it has another name
-#}
{% macro rows_of_touched(
    relation, period, started_at, keys=['project_id'], touched='touched'
) %}
    select
        layer_below.*,
        {{ touched }}.period_start
    from {{ touched }}
    cross join lateral (
        select * from {{ relation }} as rows_below
        where rows_below.{{ started_at }} >= {{ touched }}.period_start
        {%- for key in keys %}
            and rows_below.{{ key }} = {{ touched }}.{{ key }}
        {%- endfor %}
            and rows_below.{{ started_at }} < {{ touched }}.period_start + {{ length_of(period) }}
        offset 0
    ) as layer_below
{% endmacro %}

{#- When the period that holds an instant begins. -#}
{% macro period_of(at, period) -%}
    {%- if period == 'quarter_hour' -%}
        date_bin({{ length_of(period) }}, {{ at }}, timestamptz 'epoch')
    {%- else -%}
        date_trunc('{{ period }}', {{ at }}, 'UTC')
    {%- endif -%}
{%- endmacro %}

{% macro length_of(period) -%}
    interval '{{ '15 minutes' if period == 'quarter_hour' else '1 ' ~ period }}'
{%- endmacro %}

{#- The UTC day that begins at `period_start`. -#}
{% macro utc_date(period_start='period_start') -%}
    ({{ period_start }} at time zone 'UTC')::date
{%- endmacro %}

{#-
  All rows of `relation` in the periods of a project that it has built anew: for a model of the
  same periods and fewer dimensions. `offset 0` keeps the look-ups by index.
-#}
{% macro rows_built_anew(relation, period) %}
    select layer_below.*
    from (
        select distinct project_id, {{ period }}
        from {{ relation }}
        where refreshed_at > '{{ newest('refreshed_at') }}'
    ) as touched
    cross join lateral (
        select * from {{ relation }} as rows_below
        where rows_below.project_id = touched.project_id
            and rows_below.{{ period }} = touched.{{ period }}
        offset 0
    ) as layer_below
{% endmacro %}

{#- The instant at which the period in a column begins; days are dates. -#}
{% macro start_of(column, period) -%}
    {{ column }}{% if period == 'day' %}::timestamp at time zone 'UTC'{% endif %}
{%- endmacro %}
