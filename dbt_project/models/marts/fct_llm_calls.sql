{{ config(
    unique_key=['project_id', 'event_id', 'started_at'],
    indexes=[
        {'columns': ['project_id', 'event_id', 'started_at'], 'unique': true},
        {'columns': ['started_at']},
        {'columns': ['loaded_at']},
        {'columns': ['cost_computed_at']},
    ],
    post_hook="
        create index if not exists fct_llm_calls_unpriced on {{ this }}
        (provider_name, request_model, response_model) where total_cost_usd is null
    ",
) }}

with

priced_calls as (
    select * from {{ ref('int_llm_calls_priced') }}
),

model_matches as (
    select * from {{ ref('int_model_matches') }}
),

new_calls as (
    select * from priced_calls
    where loaded_at < '{{ loaded_before() }}' and loaded_at > '{{ newest('loaded_at') }}'
),

{% if is_incremental() %}
-- Calls whose model or price has become known since their cost was computed.
late_priced_calls as (
    select priced_calls.*
    from {{ this }} as built_calls
    inner join model_matches
        on built_calls.provider_name = model_matches.provider_name
        and coalesce(built_calls.request_model, '') = coalesce(model_matches.request_model, '')
        and coalesce(built_calls.response_model, '') = coalesce(model_matches.response_model, '')
    inner join priced_calls
        on built_calls.project_id = priced_calls.project_id
        and built_calls.event_id = priced_calls.event_id
        and built_calls.started_at = priced_calls.started_at
    where built_calls.total_cost_usd is null
        and model_matches.price_changed_at > built_calls.cost_computed_at
),
{% endif %}

calls as (
    select * from new_calls
    {% if is_incremental() %}
    union all
    select * from late_priced_calls
    {% endif %}
),

final as (
    select
        {{ call_columns() }},
        {{ cost_columns() }},
        unpriced_reason,
        now() as cost_computed_at
    from calls
)

select * from final
