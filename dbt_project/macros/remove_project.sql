{#-
  Deletes a project from every table of ours that has a project_id, found in the catalog so that
  a new one cannot be forgotten. Raw rows are the caller's business and must go first, or the
  next build brings them back.
    dbt run-operation remove_project --args '{project_id: ...}'
-#}
{% macro remove_project(project_id) %}
    {% if not modules.re.fullmatch('[0-9a-fA-F-]{36}', project_id) %}
        {{ exceptions.raise_compiler_error('project_id must be a UUID') }}
    {% endif %}
    {% set tables %}
        select format('%I.%I', columns.table_schema, columns.table_name) as table_name
        from information_schema.columns
        inner join information_schema.tables using (table_schema, table_name)
        where columns.column_name = 'project_id'
            and columns.table_schema in ('staging', 'intermediate', 'marts', 'reports')
            and tables.table_type = 'BASE TABLE'
        order by 1
    {% endset %}
    {% for table_name in run_query(tables).columns[0].values() %}
        {% do run_query("delete from " ~ table_name ~ " where project_id = '" ~ project_id ~ "'") %}
        {{ log("removed from " ~ table_name, info=true) }}
    {% endfor %}
    {% do run_query('update app.mart_stamps set refreshed_at = now()') %}
    {% do run_query('commit') %}
{% endmacro %}
