{#- The scope of prices that hold for every project. -#}
{% macro everyone() -%}
    '00000000-0000-0000-0000-000000000000'::uuid
{%- endmacro %}

{#-
  Whether a name in a price book of ours means an observed combination. Case does not matter; a
  name that ends in `*` means every model that begins with what stands before it.
-#}
{% macro is_named_by(name, observed) -%}
    (
        {%- for model in ['response_model', 'request_model'] %}
        lower({{ observed }}.{{ model }}) = lower({{ name }})
        or (
            right({{ name }}, 1) = '*' and {{ observed }}.{{ model }} <> ''
            and starts_with(lower({{ observed }}.{{ model }}), lower(rtrim({{ name }}, '*')))
        )
        {%- if not loop.last %} or {% endif %}
        {%- endfor %}
    )
{%- endmacro %}

{#- Smaller is closer: the whole name before a beginning, a longer beginning before a shorter. -#}
{% macro name_rank(name, observed) -%}
    case
        when lower({{ observed }}.response_model) = lower({{ name }}) then -2000
        when lower({{ observed }}.request_model) = lower({{ name }}) then -1999
        else -length({{ name }})
    end
{%- endmacro %}

{#- The spans between all the instants at which something changes for a combination. -#}
{% macro spans(kind, candidates, combination, bounds) -%}
{{ kind }}_bounds as (
    {%- for bound in bounds %}
    select {{ combination }}, {{ bound }} as {{ kind }}_from from {{ candidates }}
    {%- if not loop.last %}
    union
    {%- endif %}
    {%- endfor %}
),

{{ kind }}_ends as (
    select
        *,
        lead({{ kind }}_from) over (
            partition by {{ combination }} order by {{ kind }}_from
        ) as {{ kind }}_to
    from {{ kind }}_bounds
),

{{ kind }}_spans as (
    select * from {{ kind }}_ends
    where {{ kind }}_to is not null
)
{%- endmacro %}

{#- Whose price a call takes, the closest first, each with the id that its rows bear. -#}
{% macro price_scopes() %}
    {{ return({
        'project': 'calls.project_id',
        'tenant': 'calls.tenant_id',
        'general': everyone(),
    }) }}
{% endmacro %}

{% macro first_choice(column) -%}
    coalesce(
        {%- for scope in price_scopes() %}{{ scope }}_choices.{{ column }}
        {%- if not loop.last %}, {% endif %}{% endfor -%}
    )
{%- endmacro %}

{#- On coalesce, because a null equals nothing and `is not distinct from` cannot be hashed. -#}
{% macro left_join_choice(scope) -%}
    {%- set choices = scope ~ '_choices' -%}
    left join price_choices as {{ choices }}
        on {{ choices }}.scope_id = {{ price_scopes()[scope] }}
        and calls.provider_name = {{ choices }}.provider_name
        and coalesce(calls.request_model, '') = {{ choices }}.request_model
        and coalesce(calls.response_model, '') = {{ choices }}.response_model
        and calls.started_at >= {{ choices }}.started_from
        and calls.started_at < {{ choices }}.started_to
        and calls.priced_as_of >= {{ choices }}.asked_from
        and calls.priced_as_of < {{ choices }}.asked_to
{%- endmacro %}

{% macro left_join_match() -%}
    left join model_matches as matches
        on calls.provider_name = matches.provider_name
        and coalesce(calls.request_model, '') = coalesce(matches.request_model, '')
        and coalesce(calls.response_model, '') = coalesce(matches.response_model, '')
{%- endmacro %}
