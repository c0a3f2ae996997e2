{#- Of the tags of a call those whose keys its project declares; jsonb, so the order is nothing. -#}
{% macro declared_tags(tags, keys) -%}
    case
        when {{ keys }} = '{}' or {{ tags }} = '{}' then '{}'::jsonb
        else (
            select coalesce(jsonb_object_agg(pairs.key, pairs.value), '{}')
            from jsonb_each({{ tags }}) as pairs
            where pairs.key = any({{ keys }})
        )
    end
{%- endmacro %}

{#-
  Ids, as a list of literals, of projects that have declared other tags since the model was built.
  The overlap is for a declaration that was stamped before that build, and committed after it had
  looked: it is one statement, so seconds are plenty.
-#}
{% macro projects_with_new_tags() -%}
    {%- set sql -%}
        select project_id from {{ source('app', 'projects') }}
        where rollup_tags_changed_at
            > '{{ newest('refreshed_at') }}'::timestamptz - interval '10 seconds'
    {%- endset -%}
    {%- set ids = run_query(sql).columns[0].values() if execute and is_incremental() else [] -%}
    {%- if ids -%}
        {%- for id in ids -%}'{{ id }}'{% if not loop.last %}, {% endif %}{%- endfor -%}
    {%- else -%}
        null
    {%- endif -%}
{%- endmacro %}
