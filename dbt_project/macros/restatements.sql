{#- Whether a request to price anew covers a call: made after its load, and wide enough. -#}
{% macro covers(request, call) -%}
    {{ request }}.requested_at > {{ call }}.loaded_at
    and {{ request }}.period_start <= {{ call }}.started_at
    and {{ request }}.period_end > {{ call }}.started_at
    and ({{ request }}.tenant_id is null or {{ request }}.tenant_id = {{ call }}.tenant_id)
    and ({{ request }}.project_id is null or {{ request }}.project_id = {{ call }}.project_id)
    and (
        {{ request }}.provider_name is null
        or {{ request }}.provider_name = {{ call }}.provider_name
    )
    and ({{ request }}.model is null or {{ request }}.model = {{ call }}.model)
{%- endmacro %}

{#-
  fct_llm_calls before this build changes it; null in the first build. No ref: it depends on the
  restatements, which have to note the figures that they replace.
-#}
{% macro relation_of_built_calls() %}
    {{ return(
        load_relation(this.incorporate(path={'identifier': 'fct_llm_calls'}))
        if execute and is_incremental()
    ) }}
{% endmacro %}

{% macro built_calls() -%}
    {%- set relation = relation_of_built_calls() -%}
    select * from {{ relation if relation else 'costed_calls' }}
{%- endmacro %}

{#-
  Requests that a build may still have to look at. Whoever makes a request stamps it under the load
  lock, as loaders stamp rows, so a build sees all requests that are older than its newest row.
-#}
{% macro is_unapplied() -%}
    {%- set relation = relation_of_built_calls() -%}
    requested_at > '{{ newest('loaded_at', relation) if relation else 'infinity' }}'
{%- endmacro %}

{% macro unapplied_period() -%}
    select min(period_start), max(period_end)
    from {{ source('app', 'cost_restatements') }} where {{ is_unapplied() }}
{%- endmacro %}

{#- What a build noted that then failed before it changed the calls; it is looked at again. -#}
{% macro forget_unapplied_restatements() -%}
    {%- set relation = relation_of_built_calls() -%}
    {%- if relation -%}
    delete from {{ this }} where restated_at > '{{ newest('cost_computed_at', relation) }}'
    {%- endif -%}
{%- endmacro %}

{#- The price rows of a call by bucket. -#}
{% macro price_ids(call) -%}
    jsonb_strip_nulls(jsonb_build_object(
        {%- for cost in costs() %}
        '{{ cost }}', {{ call }}.{{ cost }}_price_id{% if not loop.last %},{% endif %}
        {%- endfor %}
    ))
{%- endmacro %}

{#-
  Keys of calls that this build prices beside the new ones: those whose restatement has been noted
  since the last one, unpriced ones whose model or price has become known since, and released ones. The overlap
  is for a price that was stamped before that build, and committed after it had read the prices.
-#}
{% macro calls_to_reprice() %}
    select
        project_id,
        event_id,
        started_at
    from {{ ref('fct_cost_restatements') }}
    where restated_at > '{{ newest('cost_computed_at') }}'
    union
    select
        calls.project_id,
        calls.event_id,
        calls.started_at
    from {{ ref('int_model_matches') }} as matches
    inner join {{ this }} as calls
        on matches.provider_name = calls.provider_name
        and coalesce(matches.request_model, '') = coalesce(calls.request_model, '')
        and coalesce(matches.response_model, '') = coalesce(calls.response_model, '')
    where calls.total_cost_usd is null
        and calls.cost_computed_at < matches.price_changed_at + interval '1 minute'
    union
    {{ calls_released_since() }}
{% endmacro %}

{#-
  The calls of the keys in a CTE as they cost now, looked up by key: a join would price every call
  of the time that the keys span. `offset 0` keeps the planner from turning it into one.
    keys: The CTE
    query: What it holds, asked before for the first and the last call
-#}
{% macro costed_calls_of(keys, query) %}
    select costed_calls.*
    from {{ keys }}
    cross join lateral (
        select * from {{ ref('int_llm_calls_costed') }} as calls_below
        where calls_below.project_id = {{ keys }}.project_id
            and calls_below.started_at = {{ keys }}.started_at
            and calls_below.event_id = {{ keys }}.event_id
            and {{ started_between(
                'select min(started_at), max(started_at) from (' ~ query ~ ') as calls'
            ) }}
        offset 0
    ) as costed_calls
{% endmacro %}
