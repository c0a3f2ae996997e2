{{ config(
    materialized='incremental',
    incremental_strategy='upsert',
    on_schema_change='append_new_columns',
    unique_key=['project_id', 'started_at', 'event_id'],
    indexes=[
        {'columns': ['project_id', 'started_at', 'event_id'], 'unique': true},
        {'columns': ['refreshed_at']},
    ],
) }}

with

events as (
    select * from {{ source('ingest', 'llm_events') }}
),

releases as (
    select * from {{ source('app', 'held_event_releases') }}
),

broken as (
    select
        tenant_id,
        project_id,
        event_id,
        started_at,
        received_at,
        loaded_at,
        {{ broken_rules() }} as broken_rules
    from events
    where loaded_at < '{{ loaded_before() }}' and loaded_at > '{{ newest_built_load() }}'
        and not ({{ is_sound() }})
        and operation_name not in (
            {% for operation in operations_around_calls() %}
            '{{ operation }}'{{ ',' if not loop.last }}
            {% endfor %}
        )
),

{% if is_incremental() %}
held as (
    select
        held_events.tenant_id,
        held_events.project_id,
        held_events.event_id,
        held_events.started_at,
        held_events.received_at,
        held_events.loaded_at,
        held_events.broken_rules
    from releases
    inner join {{ this }} as held_events using (project_id, event_id, started_at)
    where held_events.released_at is null
        and held_events.loaded_at <= '{{ newest_built_load() }}'
),
{% endif %}

judged as (
    select * from broken
    {% if is_incremental() %}
    union all
    select * from held
    {% endif %}
),

final as (
    select
        judged.*,
        releases.released_at,
        now() as refreshed_at
    from judged
    left join releases using (project_id, event_id, started_at)
)

select * from final
