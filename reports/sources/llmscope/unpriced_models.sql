select
    provider_name,
    model,
    unpriced_reason,
    call_count,
    input_tokens,
    output_tokens,
    first_called_at,
    last_called_at
from reports.rpt_unpriced_models
order by call_count desc
