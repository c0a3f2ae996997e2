select
    project_id,
    event_id,
    started_at,
    total_cost_usd,
    unpriced_reason
from {{ ref('fct_llm_calls') }}
where cost_computed_at > now() - interval '2 minutes'
    and (total_cost_usd is null) <> (unpriced_reason is not null)
