select
    provider_name,
    model,
    unpriced_reason,
    sum(call_count) as call_count,
    sum(input_tokens) as input_tokens,
    sum(output_tokens) as output_tokens,
    min(first_called_at) as first_called_at,
    max(last_called_at) as last_called_at
from reports.rpt_unpriced_models
group by provider_name, model, unpriced_reason
order by call_count desc
