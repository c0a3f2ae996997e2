{#-
  Whether what a raw event reports can be published. Null, the answer about what was not reported,
  is no breach.
-#}
{% macro is_sound() -%}
    {%- for truth in held_rules().values() %}
    ({{ truth }}) is not false{% if not loop.last %} and{% endif %}
    {%- endfor %}
{%- endmacro %}

{#- Names of the rules that a raw event breaks. -#}
{% macro broken_rules() -%}
    array_remove(array[
        {%- for name, truth in held_rules().items() %}
        case when ({{ truth }}) is false then '{{ name }}' end{% if not loop.last %},{% endif %}
        {%- endfor %}
    ], null)
{%- endmacro %}

{#-
  The newest load that the calls of the marts hold. Everything before it was judged by the build
  that made them. No ref: the calls depend on the events that are held.
-#}
{% macro newest_built_load() -%}
    {%- set calls = load_relation(
        this.incorporate(path={'schema': 'marts', 'identifier': 'fct_llm_calls'})
    ) if execute and is_incremental() -%}
    {{ newest('loaded_at', calls) if calls else '-infinity' }}
{%- endmacro %}

{#-
  Keys of calls that an operator has released since the last build, and that were loaded before it.
  Those that were loaded later are new calls anyhow.
-#}
{% macro calls_released_since() %}
    select
        project_id,
        event_id,
        started_at
    from {{ ref('stg_ingest__held_events') }}
    where released_at is not null
        and refreshed_at > '{{ newest('cost_computed_at') }}'
        and loaded_at <= '{{ newest('loaded_at') }}'
{% endmacro %}
