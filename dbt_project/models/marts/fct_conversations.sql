{{ config(
    incremental_strategy='upsert',
    unique_key=['project_id', 'conversation_id'],
    indexes=[
        {'columns': ['project_id', 'conversation_id'], 'unique': true},
        {'columns': ['project_id', 'last_called_at', 'conversation_id']},
        {'columns': ['refreshed_at']},
    ],
) }}

with

touched_conversations as (
    select distinct
        project_id,
        conversation_id
    from {{ ref('fct_llm_calls') }}
    where conversation_id is not null
        and cost_computed_at > '{{ newest('refreshed_at') }}'
),

calls as (
    select calls.*
    from touched_conversations
    inner join {{ ref('fct_llm_calls') }} as calls
        on touched_conversations.project_id = calls.project_id
        and touched_conversations.conversation_id = calls.conversation_id
),

final as (
    select
        tenant_id,
        project_id,
        conversation_id,
        {{ newest_value('user_id', by='started_at', where='user_id is not null') }} as user_id,
        {{ newest_value('service_name', by='started_at', where='service_name is not null') }}
            as service_name,
        array_agg(distinct model order by model) as models,
        min(started_at) as first_called_at,
        max(started_at) as last_called_at,
        extract(epoch from max(
            started_at + coalesce(duration_seconds, 0) * interval '1 second'
        ) - min(started_at))::double precision as length_seconds,
        count(*) as call_count,
        count(*) filter (where is_error) as error_count,
        {{ sums([
            'input_tokens', 'cache_read_input_tokens', 'output_tokens', 'total_cost_usd',
        ]) }},
        count(*) filter (where {{ counted()['unpriced_call_count'] }}) as unpriced_call_count,
        now() as refreshed_at
    from calls
    group by tenant_id, project_id, conversation_id
)

select * from final
