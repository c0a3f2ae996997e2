with

candidates as (
    select * from {{ ref('int_price_candidates') }}
),

scopes as (
    select distinct
        tenant_id,
        scope_id,
        provider_name,
        request_model,
        response_model
    from candidates
),

-- A project has the prices of its tenant too, and everyone has those of everyone.
final as (
    select
        scopes.scope_id,
        scopes.provider_name,
        scopes.request_model,
        scopes.response_model,
        candidates.revision_id,
        candidates.book_rank,
        candidates.name_rank,
        candidates.known_from,
        candidates.known_to,
        candidates.valid_from,
        candidates.valid_to
    from scopes
    inner join candidates using (provider_name, request_model, response_model)
    where candidates.scope_id in (scopes.scope_id, scopes.tenant_id, {{ everyone() }})
)

select * from final
