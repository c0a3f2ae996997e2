{#- Its history cannot be computed again: what stood in the marts before is noted here alone. -#}
{{ config(
    full_refresh=false,
    incremental_strategy='append',
    indexes=[
        {'columns': ['project_id', 'started_at', 'event_id', 'restatement_id'], 'unique': true},
        {'columns': ['restatement_id']},
        {'columns': ['restated_at']},
    ],
    pre_hook="{{ forget_unapplied_restatements() }}",
) }}

with

requests as (
    select * from {{ source('app', 'cost_restatements') }}
    where {{ is_unapplied() }}
),

costed_calls as (
    select * from {{ ref('int_llm_calls_costed') }}
    where {{ started_between(unapplied_period()) }}
),

built_calls as (
    {{ built_calls() }}
),

-- A call is priced as of the newest request: the figures of those before it were never shown.
final as (
    select
        requests.restatement_id,
        before.tenant_id,
        before.project_id,
        before.event_id,
        before.started_at,
        before.provider_name,
        before.model,
        before.total_cost_usd as before_cost_usd,
        costed_calls.total_cost_usd as after_cost_usd,
        before.unpriced_reason as before_unpriced_reason,
        costed_calls.unpriced_reason as after_unpriced_reason,
        {{ price_ids('before') }} as before_price_ids,
        {{ price_ids('costed_calls') }} as after_price_ids,
        requests.reason,
        requests.requested_by,
        requests.requested_at,
        now() as restated_at
    from requests
    inner join costed_calls on requests.requested_at = costed_calls.priced_as_of
    inner join built_calls as before
        on costed_calls.project_id = before.project_id
        and costed_calls.event_id = before.event_id
        and costed_calls.started_at = before.started_at
)

select * from final
where (before_cost_usd, before_unpriced_reason, before_price_ids)
    is distinct from (after_cost_usd, after_unpriced_reason, after_price_ids)
