{#-
  `upsert`: for a key whose rows are nearly always new. dbt's own delete+insert looks for each of
  them in the whole table first; here the unique index, which the insert needs anyway, finds the
  few that are there already.
-#}
{% macro get_incremental_upsert_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | list %}
    insert into {{ arg_dict['target_relation'] }} ({{ columns | join(', ') }})
    select {{ columns | join(', ') }} from {{ arg_dict['temp_relation'] }}
    on conflict ({{ arg_dict['unique_key'] | join(', ') }}) do update set
    {%- for column in columns if column not in arg_dict['unique_key'] %}
        {{ column }} = excluded.{{ column }}{% if not loop.last %},{% endif %}
    {%- endfor %}
{% endmacro %}

{#-
  `replace_periods`: deletes all rows of the periods that are built anew, then inserts. What is new
  is analysed first: without statistics the planner takes the few periods of an ordinary build for
  many, and reads the whole table to find them. Rows of a period lie together, so that a question
  about some periods reads few pages.
-#}
{% macro get_incremental_replace_periods_sql(arg_dict) %}
    {%- set columns = arg_dict['dest_columns'] | map(attribute='name') | join(', ') %}
    {%- set period = arg_dict['unique_key'] %}
    {%- do run_query('analyze ' ~ arg_dict['temp_relation']) %}
    delete from {{ arg_dict['target_relation'] }} as built
    using (
        select distinct {{ period | join(', ') }} from {{ arg_dict['temp_relation'] }}
    ) as anew
    where {% for column in period -%}
        built.{{ column }} = anew.{{ column }}{% if not loop.last %} and {% endif %}
    {%- endfor %};
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
    order by {{ period | join(', ') }}
{% endmacro %}

{#- Configuration of a roll-up whose rows are replaced by project and period. -#}
{% macro roll_up_config(period, more_indexes=[]) %}
    {{ return({
        'incremental_strategy': 'replace_periods',
        'unique_key': ['project_id', period],
        'indexes': [{'columns': ['project_id', period]}, {'columns': ['refreshed_at']}]
            + more_indexes,
    }) }}
{% endmacro %}

{#-
  A post-hook of a table that only grows: it is vacuumed after so many new rows, not after a fifth of
  its own. A vacuum makes known where pages have room for one more row. Known all at once, at 20
  million calls, 60,000 new calls went into 58,000 old pages, and all that is built of them took two
  to three times as long as where they lie together.
-#}
{% macro vacuum_every(row_count) -%}
    do $$
    begin
        if not exists (
            select from pg_class
            where oid = '{{ this }}'::regclass
                and reloptions @> array['autovacuum_vacuum_insert_threshold={{ row_count }}']
        ) then
            alter table {{ this }} set (
                autovacuum_vacuum_insert_scale_factor = 0,
                autovacuum_vacuum_insert_threshold = {{ row_count }}
            );
        end if;
    end $$
{%- endmacro %}
