-- The browser gets those that cost most; all of them are in the mart.
select
    project_name,
    conversation_id,
    user_id,
    service_name,
    array_to_string(models, ', ') as models,
    first_called_at,
    last_called_at,
    length_seconds,
    call_count,
    error_count,
    input_tokens,
    output_tokens,
    total_cost_usd,
    unpriced_call_count
from reports.rpt_conversations
order by total_cost_usd desc nulls last, call_count desc
limit 2000
