{#- Schemas that analysts read, by the role llmscope_bi (docs/bi.md). -#}
{% macro analysts_schemas() %}
    {{ return(['marts', 'reports']) }}
{% endmacro %}

{#-
  A view is read with the rights of its owner, who passes row-level security. So each view that
  analysts can read filters itself: the platform sees all rows, anyone else those of one tenant. A
  model without tenant_id cannot be built as a view there.

  `meta: {rows_of_nobody: true}` shows everyone the rows that have no tenant, such as list prices.
-#}
{% macro postgres__create_view_as(relation, sql) -%}
    {%- if relation.schema not in analysts_schemas() -%}
    {{ default__create_view_as(relation, sql) }}
    {%- else %}
    create view {{ relation.render() }} with (security_barrier = true)
    {% if config.get('contract').enforced %}
        {{ get_assert_columns_equivalent(sql) }}
    {%- endif %}
    as (
        select * from (
            {{ sql }}
        ) as rows_of_all_tenants
        where (select app.sees_all_tenants())
            or tenant_id = (select app.bi_tenant())
            {%- if has_rows_of_nobody() %}
            or tenant_id is null
            {%- endif %}
    );
    {%- endif %}
{%- endmacro %}

{% macro has_rows_of_nobody() %}
    {%- set meta = config.get('meta') -%}
    {{ return(meta is mapping and meta.get('rows_of_nobody', false)) }}
{% endmacro %}

{#- A post-hook of every model: in the transaction that makes a relation anew, so that analysts
  never find one that is closed for a moment. -#}
{% macro share_with_analysts() -%}
    select app.share_with_bi('{{ this }}'::regclass, {{ has_rows_of_nobody() | lower }})
{%- endmacro %}
