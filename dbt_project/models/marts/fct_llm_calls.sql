{{ config(
    incremental_strategy='upsert',
    unique_key=['project_id', 'started_at', 'event_id'],
    indexes=[
        {'columns': ['project_id', 'started_at', 'event_id'], 'unique': true},
        {'columns': ['loaded_at']},
        {'columns': ['cost_computed_at']},
    ],
    post_hook=[
        "create index if not exists fct_llm_calls_unpriced_idx on {{ this }}
        (provider_name, coalesce(request_model, ''), coalesce(response_model, ''), cost_computed_at)
        where total_cost_usd is null",
        "create index if not exists fct_llm_calls_conversation_idx on {{ this }}
        (project_id, conversation_id) where conversation_id is not null",
        "create index if not exists fct_llm_calls_user_idx on {{ this }}
        (project_id, user_id, started_at) where user_id is not null",
        "{{ vacuum_every(100000) }}",
    ],
) }}

{% set calls_to_reprice = calls_to_reprice() %}

with

-- The view is named in each place: a CTE that is read twice would be computed for all raw rows.
new_calls as (
    select * from {{ ref('int_llm_calls_costed') }}
    where {{ is_new_row() }}
),

{% if is_incremental() %}
calls_to_reprice as (
    {{ calls_to_reprice }}
),

repriced_calls as (
    {{ costed_calls_of('calls_to_reprice', calls_to_reprice) }}
),
{% endif %}

calls as (
    select * from new_calls
    {% if is_incremental() %}
    union all
    select * from repriced_calls
    {% endif %}
),

final as (
    select
        {{ costed_columns() }},
        now() as cost_computed_at
    from calls
)

select * from final
