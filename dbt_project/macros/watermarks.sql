{#-
  The upper bound of a build: every row loaded before it is committed. A build by hand takes the
  load lock for an instant, as the orchestration does (orchestration/load_order.py).
  The orchestration passes its bound in the environment, read only in execution: another value
  of a var would make dbt parse the whole project again, which is half the time of a build.
-#}
{% macro loaded_before() -%}
    {%- if var('loaded_before') -%}
        {{ var('loaded_before') }}
    {%- elif execute and env_var('LLMSCOPE_LOADED_BEFORE', '') -%}
        {{ env_var('LLMSCOPE_LOADED_BEFORE') }}
    {%- elif execute -%}
        {%- do run_query('select pg_advisory_lock(7233001)') -%}
        {{ run_query('select clock_timestamp()').columns[0].values()[0] }}
        {%- do run_query('select pg_advisory_unlock(7233001)') -%}
    {%- endif -%}
{%- endmacro %}

{#-
  The newest value of a column of what is already built, as a literal: with a literal the planner
  knows that few rows are newer, with a subquery it assumes a third of the table.
-#}
{% macro newest(column, relation=this) -%}
    {%- if execute and is_incremental() -%}
        {%- set sql = "select coalesce(max(" ~ column ~ "), '-infinity')::text from " ~ relation -%}
        {{ run_query(sql).columns[0].values()[0] }}
    {%- else -%}
        -infinity
    {%- endif -%}
{%- endmacro %}

{#-
  Bounds of `started_at`, as literals, from a query for the first and the last: the planner then
  leaves out the chunks of raw rows that it does not need, and all of them if the query finds none.
  A model has no rows to ask for in its first build; a test has.
-#}
{% macro started_between(first_and_last, is_asked=none) -%}
    {%- if execute and (is_incremental() if is_asked is none else is_asked) -%}
        {%- set found = run_query(first_and_last).rows[0].values() -%}
        started_at >= '{{ found[0] or 'infinity' }}' and started_at <= '{{ found[1] or '-infinity' }}'
    {%- else -%}
        false
    {%- endif -%}
{%- endmacro %}

{#- The same of what `calls` holds of the last ten minutes, the longest that a test looks back. -#}
{% macro started_lately(calls) -%}
    {%- set first_and_last -%}
        select min(started_at), max(started_at) from {{ calls }}
        where loaded_at > now() - interval '10 minutes'
    {%- endset -%}
    {{ started_between(first_and_last, is_asked=true) }}
{%- endmacro %}

{#-
  Raw rows that no build has seen. When the first and the last of them started is looked up first,
  in a small index of each chunk, so that their chunks alone are planned and priced; `offset 0`
  keeps the planner from going through all rows by time for it.
-#}
{% macro is_new_row() -%}
    {%- set is_new -%}
        loaded_at < '{{ loaded_before() }}' and loaded_at > '{{ newest('loaded_at') }}'
    {%- endset -%}
    {{ is_new }}
    {%- if is_incremental() %}
        {%- set first_and_last_start -%}
            select min(started_at), max(started_at) from (
                select started_at from {{ source('ingest', 'llm_events') }}
                where {{ is_new }} offset 0
            ) as new_rows
        {%- endset %}
        and {{ started_between(first_and_last_start) }}
    {%- endif -%}
{%- endmacro %}

{#-
  A post-hook of every mart: keeps the newest stamp of its rows in `app.mart_stamps`, in the
  transaction that wrote them. The Query API asks there whether a kept answer still holds.
-#}
{% macro stamp_mart() -%}
    {%- if config.get('materialized') == 'incremental' -%}
    {%- set others = {
        'fct_llm_calls': 'cost_computed_at',
        'fct_cost_restatements': 'restated_at',
    } -%}
    {%- set stamp = others.get(this.identifier, 'refreshed_at') %}
    insert into app.mart_stamps (mart, refreshed_at)
    select
        '{{ this.identifier }}',
        max({{ stamp }})
    from {{ this }}
    having max({{ stamp }}) is not null
    on conflict (mart) do update set refreshed_at = excluded.refreshed_at
    where mart_stamps.refreshed_at <> excluded.refreshed_at
    {%- endif -%}
{%- endmacro %}
